"""Value and gradient do not depend on how tensors lie in memory."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from .directions import pair_along
from .evidence import same
from .function_under_test import CallError, clone, needing, nth
from .needs_input_grad import agrees
from .subject import Observation, Subject, random_like


def in_other_layouts(subject: Subject) -> Iterator[Observation]:
    """Value and gradient do not depend on how tensors lie in memory; forward may refuse, which misleads nobody."""
    for of in _laid(subject):
        refused = of.code == "raises" and of.method == "forward"
        yield replace(of, code="not-reached", note=True) if refused else of


def _laid(subject: Subject) -> Iterator[Observation]:
    if found := list(_for_turned_gradient(subject)):
        yield from found
        return
    yield from agrees(subject, subject.arguments, "for tensors that are not contiguous in memory", contiguous=False)
    usual = subject.function(subject.arguments, subject.variables)
    in_place = any(output is argument for output in usual.outputs for argument in usual.arguments)
    for words, (fits, laid) in LAYOUTS.items():
        tensors = [of for of in subject.arguments if isinstance(of, Tensor) and of.is_floating_point()]
        if any(fits(of) for of in tensors) and not (in_place and laid is _expanded):
            yield from _agrees_laid(subject, words, fits, laid)


def _for_turned_gradient(subject: Subject) -> Iterator[Observation]:
    """Backward takes a grad_output that is not contiguous, whatever forward says of inputs: nobody chooses that."""
    call = subject.function(subject.arguments, subject.variables)
    if call.node is None or call.output.dim() < 2:
        return
    words = "for a grad_output that is not contiguous in memory"
    expected = call.backward(random_like(call.output, 1))
    try:
        returned = subject.pull(random_like(call.output, 1, contiguous=False))
    except CallError as error:
        yield Observation("raises", f"{words}: {error}", method=error.method)
        return
    for place in subject.variables:
        actual, right = nth(returned, place), nth(expected, place)
        alike = isinstance(actual, Tensor) and isinstance(right, Tensor) and actual.shape == right.shape
        if alike and not same(actual, right, subject.tolerance):
            yield Observation("grad-value", f"is another {words}", place)
            return


class Subclass(Tensor):
    """A tensor of another class, as parameters and masked tensors are."""


def _expanded(value: Tensor) -> Tensor:
    return value[:1].expand(value.shape)


LAYOUTS: Final[dict[str, tuple[Callable[[Tensor], bool], Callable[[Tensor], Tensor]]]] = {
    "for tensors whose channels lie last in memory": (
        lambda value: value.dim() == 4,
        lambda value: value.contiguous(memory_format=torch.channels_last),
    ),
    "for inputs of which all rows share one place in memory (expanded)": (
        lambda value: value.dim() > 0 and len(value) > 1,
        _expanded,
    ),
    "for a subclass of Tensor": (lambda _: True, lambda value: value.as_subclass(Subclass)),
}
"""Words -> which tensors can lie so, and how they are brought to it."""


def _agrees_laid(
    subject: Subject, words: str, fits: Callable[[Tensor], bool], laid: Callable[[Tensor], Tensor]
) -> Iterator[Observation]:
    """Value and gradients are those of the same numbers in a usual layout."""

    def brought(value: Any, place: int) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        own = needing(clone(value)) if place in subject.variables else clone(value)
        return laid(own) if fits(own) and place not in subject.constants else own

    arguments = tuple(brought(of, place) for place, of in enumerate(subject.arguments))
    numbers = tuple(clone(of).as_subclass(Tensor) if isinstance(of, Tensor) else of for of in arguments)
    try:
        usual = subject.function(numbers, subject.variables)
        grad_output = random_like(usual.output, 1)
        wanted = usual.backward(grad_output)
        if not torch.isfinite(usual.output).all():
            return
    except CallError:
        return  # equal rows are nothing that it is made for
    try:
        call = subject.function.run(arguments)
        returned = call.backward(grad_output)
    except CallError as error:
        if isinstance(error.cause, NotImplementedError):
            return  # by torch itself, as the storage of a sparse tensor of a subclass is not
        yield Observation("raises", f"{words}: {error}", method=error.method)
        return
    if not same(call.output.detach().as_subclass(Tensor), usual.output.detach(), subject.tolerance):
        yield Observation("forward-value", f"the output is another {words}")
        return
    for place in subject.variables:
        actual, right = nth(returned, place), nth(wanted, place)
        alike = isinstance(actual, Tensor) and isinstance(right, Tensor) and actual.shape == right.shape
        if alike and not same(actual.as_subclass(Tensor), right, subject.tolerance):
            if pair_along(replace(subject, arguments=numbers), [place], grad_output).left_out:
                continue  # of rows that are equal it may be any one, in another layout another one
            yield Observation("grad-value", f"is another {words}", place)
            return
