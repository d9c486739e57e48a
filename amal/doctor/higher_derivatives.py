"""The derivative of backward, and what torch.func and forward mode can do with a Function."""

import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.graph import _engine_run_backward

from .directions import DIRECTIONS, is_slope
from .evidence import same
from .function_under_test import Arguments, CallError, Composite, plain
from .other_inputs import is_large
from .slopes import slope
from .subject import Observation, Subject, gradients, pulled_back, random_like, with_leaves


def second_derivative(subject: Subject) -> Iterator[Observation]:
    """The derivative of backward is right, or refused."""
    if subject.dtype != torch.float64:
        return
    variables, function = subject.variables, subject.function
    first = function(subject.arguments, variables)
    if first.node is None:
        return
    grad_output = random_like(first.output, 1)
    returned = gradients(subject, subject.arguments)
    places = [place for place in variables if place < len(returned) and isinstance(returned[place], Tensor)]
    weights = {place: random_like(returned[place], 7 + place) for place in places}

    def weighed(arguments: Arguments) -> Tensor:
        *inputs, grad_output = arguments
        pulled = function(inputs, variables).backward(grad_output)
        return torch.stack([(weights[place] * pulled[place]).sum() for place in places]).sum()

    leaves, given = with_leaves(subject.arguments, places)
    inputs, outer = list(leaves.values()), grad_output.clone().requires_grad_()
    output = function.run(given).output
    try:
        pulled = pulled_back(output, inputs, outer, create_graph=True)
        pairs = zip(places, pulled, strict=True)
        total = torch.stack([(weights[place] * of).sum() for place, of in pairs if of is not None]).sum()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]  # autograd.grad would pass by a node that refuses
    except Exception:  # whatever a student's backward does under create_graph
        yield Observation("not-reached", "the second derivative is refused", note=True)
        return
    names = [*(subject.name(place) for place in places), "grad_output"]
    everything = (*subject.arguments, grad_output)
    for variable, name, place in zip([*inputs, outer], names, [*places, len(everything) - 1], strict=True):
        actual = torch.zeros_like(variable) if variable.grad is None else variable.grad
        if not is_slope(actual, weighed, everything, place, directions=1 if is_large(subject) else DIRECTIONS):
            how = "wrong" if actual.any() else "missing"
            words = f"the second derivative by {name} is {how}, and nothing says so"
            words += ": backward uses something that the graph does not know"
            yield Observation("second-order", words)
            return
    yield from _third(subject, places, grad_output, weights)


def _third(
    subject: Subject, places: Sequence[int], grad_output: Tensor, weights: Mapping[int, Tensor]
) -> Iterator[Observation]:
    """The derivative of the second derivative is right, or refused."""

    def second(arguments: Arguments, create_graph: bool = False) -> tuple[list[Tensor], Tensor]:
        """Return the variables, and their second derivatives, weighed and added up."""
        leaves, given = with_leaves(arguments, places)
        total = subject.function.run(given).output.mul(grad_output).sum()
        inputs = list(leaves.values())
        for _ in range(2):
            asked = torch.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
            parts = [(weights[place] * of).sum() for place, of in zip(places, asked, strict=True) if of is not None]
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
                words = (
                    f"the third derivative by {subject.name(place)} is wrong, and nothing says so, though the second"
                )
                own = not isinstance(subject.function, Composite)  # torch's own layer_norm has such a third derivative
                yield Observation("second-order", f"{words} is right", note=not own)
                return
    except Exception:
        yield Observation("not-reached", "the third derivative is refused", note=True)


def transforms(subject: Subject) -> Iterator[Observation]:
    """What torch.func and forward mode can do with it: whatever the class says that it has is run."""
    if isinstance(subject.function, Composite):
        return
    function = subject.function.implementation
    own_vmap = function.vmap is not torch.autograd.Function.vmap
    if refused := (yield from _many_gradients(subject)):
        words = "several grad_outputs at once (is_grads_batched, gradcheck's check_batched_grad) are refused"
        yield Observation("not-reached", f"{words}: {refused}", note=True)
    if own_vmap or getattr(function, "generate_vmap_rule", False):
        yield from _batched(subject)
    else:
        words = "there is neither generate_vmap_rule nor vmap: torch.func.vmap cannot batch it"
        yield Observation("no-vmap", words, note=True)
    if function.jvp is torch.autograd.Function.jvp:
        yield Observation("no-jvp", "there is no jvp: forward mode cannot differentiate it", note=True)
    elif subject.dtype == torch.float64:
        yield from _forward_mode(subject)


def _many_gradients(subject: Subject) -> Generator[Observation, None, str]:
    """For several grad_outputs at once (is_grads_batched) backward gives what it gives for one after the other.

    Returns:
        why that cannot be had, if it raises an exception: it is a convenience, which few backwards are written for.
    """
    leaves, given = with_leaves(subject.arguments, subject.variables)
    inputs = tuple(leaves.values())
    output = subject.function.run(given).output
    several = torch.stack([random_like(output, seed) for seed in (1, 2)])

    def pulled(grad_output: Tensor) -> tuple[Tensor, ...]:
        # What torch.autograd.grad calls, which would import sympy first; (output * grad_output) has no graph in vmap.
        options = {"allow_unreachable": True, "accumulate_grad": False}
        found = _engine_run_backward((output,), (grad_output,), True, False, inputs, **options)
        return tuple(torch.zeros_like(leaf) if of is None else of for of, leaf in zip(found, inputs, strict=True))

    try:
        alone = [pulled(grad_output) for grad_output in several]
    except Exception:
        return ""  # it can run once alone
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            together = torch.func.vmap(pulled)(several)  # as is_grads_batched does
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    for place, actual, *expected in zip(leaves, together, *alone, strict=True):
        if not same(actual, torch.stack(expected), subject.tolerance):
            yield Observation("vmap", "is another for several grad_outputs at once (is_grads_batched)", place)
    return ""


def _batched(subject: Subject) -> Iterator[Observation]:
    """Under torch.func.vmap, over three examples, value and gradients are those of one example after the other."""
    variables, arguments = subject.variables, subject.arguments
    examples = [tuple(arguments[place] * (1 + 0.01 * number) for place in variables) for number in range(3)]

    def with_gradients(*values: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(variables, values, strict=True))

        def output(*values: Tensor) -> Tensor:
            at = dict(zip(variables, values, strict=True))
            return subject.function.run(tuple(at.get(place, value) for place, value in enumerate(arguments))).output

        value, pull = torch.func.vjp(output, *given.values())  # type: ignore[misc]
        return value, *pull(torch.ones_like(value))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one_by_one = [with_gradients(*values) for values in examples]
            stacked = [torch.stack(values) for values in zip(*examples, strict=True)]
            batched = torch.func.vmap(with_gradients)(*stacked)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        yield Observation(
            "vmap", f"the class says that torch.func.vmap can batch it, which raises {type(error).__name__}: {said}"
        )
        return
    for number, (actual, expected) in enumerate(zip(batched, zip(*one_by_one, strict=True), strict=True)):
        if not same(actual, torch.stack(expected), subject.tolerance):
            place = variables[number - 1] if number else None
            words = "is another under torch.func.vmap" if number else "the output is another under torch.func.vmap"
            yield Observation("vmap", f"{words} than for one example after the other", place)
            return


def _forward_mode(subject: Subject) -> Iterator[Observation]:
    tangents = {place: random_like(subject.arguments[place], 3 + place) for place in subject.variables}

    def along(step: float) -> Tensor:
        moved = tuple(
            of + step * tangents[place] if place in tangents else of for place, of in enumerate(subject.arguments)
        )
        return subject.differentiable(moved)

    measured = slope(along)
    try:
        with warnings.catch_warnings(), forward_ad.dual_level():
            warnings.simplefilter("ignore")  # torch's own, of what it has deprecated
            duals = tuple(
                forward_ad.make_dual(of.clone(), tangents[place]) if place in tangents else of  # type: ignore[no-untyped-call]
                for place, of in enumerate(subject.arguments)
            )
            tangent = forward_ad.unpack_dual(subject.function.run(duals).output).tangent  # type: ignore[no-untyped-call]
    except CallError as error:
        yield Observation("no-jvp", f"jvp cannot be used: {error}", note=True, method="jvp")
        return
    if tangent is None:
        yield Observation("grad-missing", "jvp gives no tangent, and the output depends on the inputs", method="jvp")
        return
    if tangent.dtype != subject.dtype:
        words = f"jvp gives a tangent in {plain(tangent.dtype)}, for inputs in {plain(subject.dtype)}"
        yield Observation("grad-dtype", words, method="jvp")
    actual = torch.where(measured.smooth, tangent.detach().double().flatten(), measured.value)
    if not same(actual, measured.value, 1e-5, measured.error):
        words = "jvp does not give the slope of the output along a step of the inputs"
        yield Observation("grad-value", words, method="jvp")
