"""The derivative of backward, and the derivative of that."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from .calls import Arguments, nth
from .directions import DIRECTIONS, is_slope
from .function_under_test import Composite
from .subject import Observation, Subject, make_leaves, pull_back, random_like


def check_second_derivative(subject: Subject) -> Iterator[Observation]:
    """The derivative of backward is right, or refused."""
    if subject.dtype != torch.float64:
        return
    call, grad_output, gradients = subject.baseline
    if call.node is None:
        return
    places = [place for place in subject.variables if isinstance(nth(gradients, place), Tensor)]
    weights = {place: random_like(gradients[place], 7 + place) for place in places}

    def weigh(arguments: Arguments) -> Tensor:
        *inputs, grad_output = arguments
        grads = subject.function(inputs, subject.variables).backward(grad_output)
        return torch.stack([(weights[place] * grads[place]).sum() for place in places]).sum()

    leaves, arguments = make_leaves(subject.arguments, places)
    inputs, outer = list(leaves.values()), grad_output.clone().requires_grad_()
    output = subject.function.run(arguments).output
    try:
        grads = pull_back(output, inputs, outer, create_graph=True)
        pairs = zip(places, grads, strict=True)
        total = torch.stack([(weights[place] * grad).sum() for place, grad in pairs if grad is not None]).sum()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]  # autograd.grad would pass by a node that refuses
    except Exception:  # whatever a student's backward does under create_graph
        yield Observation("not-reached", "the second derivative is refused", note=True)
        return
    names = [*(subject.name(place) for place in places), "grad_output"]
    everything = (*subject.arguments, grad_output)
    directions = 1 if subject.is_large else DIRECTIONS
    for variable, name, place in zip([*inputs, outer], names, [*places, len(everything) - 1], strict=True):
        actual = torch.zeros_like(variable) if variable.grad is None else variable.grad
        if not is_slope(actual, weigh, everything, place, directions):
            how = "wrong" if actual.any() else "missing"
            words = f"the second derivative by {name} is {how}, and nothing says so"
            words += ": backward uses something that the graph does not know"
            yield Observation("second-order", words)
            return
    yield from _third_derivative(subject, places, grad_output, weights)


def _third_derivative(
    subject: Subject, places: Sequence[int], grad_output: Tensor, weights: Mapping[int, Tensor]
) -> Iterator[Observation]:
    """The derivative of the second derivative is right, or refused."""

    def second(arguments: Arguments, create_graph: bool = False) -> tuple[list[Tensor], Tensor]:
        """Return the variables, and the weighted sum of their second derivatives."""
        leaves, copies = make_leaves(arguments, places)
        total = subject.function.run(copies).output.mul(grad_output).sum()
        inputs = list(leaves.values())
        for _ in range(2):
            grads = torch.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
            pairs = zip(places, grads, strict=True)
            parts = [(weights[place] * grad).sum() for place, grad in pairs if grad is not None]
            total = torch.stack([*parts, torch.zeros((), dtype=subject.dtype)]).sum()
            if not total.requires_grad:
                break
        return inputs, total if create_graph else total.detach()

    try:
        inputs, total = second(subject.arguments, create_graph=True)
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
        for variable, place in zip(inputs, places, strict=True):
            actual = torch.zeros_like(variable) if variable.grad is None else variable.grad
            if not is_slope(actual, lambda arguments: second(arguments)[1], subject.arguments, place, directions=1):
                words = f"the third derivative by {subject.name(place)} is wrong"
                words += ", and nothing says so, though the second is right"
                # torch's own layer_norm has such a third derivative
                yield Observation("second-order", words, note=isinstance(subject.function, Composite))
                return
    except Exception:
        yield Observation("not-reached", "the third derivative is refused", note=True)
