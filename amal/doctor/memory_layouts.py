"""Value and gradient do not depend on how tensors lie in memory."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from .calls import CallError, clone, floating_places, map_tensors, non_leaf
from .comparison import compare_with_definition
from .directions import pair_along
from .evidence import same
from .subject import Observation, Subject, random_like


def check_layouts(subject: Subject) -> Iterator[Observation]:
    """Value and gradient do not depend on how tensors lie in memory; forward may refuse a layout."""
    for each in _observations(subject):
        is_refusal = each.code == "raises" and each.method == "forward"
        yield replace(each, code="not-reached", note=True) if is_refusal else each


def _observations(subject: Subject) -> Iterator[Observation]:
    if observations := list(_with_other_grad_output(subject)):
        yield from observations
        return
    words = "for tensors that are not contiguous in memory"
    yield from compare_with_definition(subject, subject.arguments, words, contiguous=False)
    usual = subject.baseline.call
    in_place = any(output is argument for output in usual.outputs for argument in usual.arguments)
    tensors = [subject.arguments[place] for place in floating_places(subject.arguments)]
    for words, (fits, arrange) in LAYOUTS.items():
        if any(map(fits, tensors)) and not (in_place and arrange is _expand):
            yield from _in_layout(subject, words, fits, arrange)


def _with_other_grad_output(subject: Subject) -> Iterator[Observation]:
    """Backward takes a grad_output that is not contiguous: its user cannot choose the layout."""
    call = subject.baseline.call
    if call.node is None or call.output.dim() < 2:
        return
    words = "for a grad_output that is not contiguous in memory"
    try:
        gradients = subject.pull(random_like(call.output, 1, contiguous=False))
    except CallError as error:
        yield Observation("raises", f"{words}: {error}", method=error.method)
        return
    for place in subject.other_gradients(gradients, subject.baseline.gradients):
        yield Observation("grad-value", f"is another {words}", place)
        return


class Subclass(Tensor):
    """A tensor of another class, as parameters and masked tensors are."""


def _expand(value: Tensor) -> Tensor:
    return value[:1].expand(value.shape)


LAYOUTS: Final[dict[str, tuple[Callable[[Tensor], bool], Callable[[Tensor], Tensor]]]] = {
    "for tensors whose channels lie last in memory": (
        lambda value: value.dim() == 4,
        lambda value: value.contiguous(memory_format=torch.channels_last),
    ),
    "for inputs of which all rows share one place in memory (expanded)": (
        lambda value: value.dim() > 0 and len(value) > 1,
        _expand,
    ),
    "for a subclass of Tensor": (lambda _: True, lambda value: value.as_subclass(Subclass)),
}
"""Words -> which tensors can lie so, and how they are brought to it."""


def _in_layout(
    subject: Subject, words: str, fits: Callable[[Tensor], bool], arrange: Callable[[Tensor], Tensor]
) -> Iterator[Observation]:
    """Value and gradients are those of the same numbers in a usual layout."""

    def argument(value: Any, place: int) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        own = non_leaf(clone(value)) if place in subject.variables else clone(value)
        return arrange(own) if fits(own) and place not in subject.constants else own

    arguments = tuple(argument(value, place) for place, value in enumerate(subject.arguments))
    usual = replace(subject, arguments=map_tensors(lambda value: clone(value).as_subclass(Tensor), arguments))
    try:
        expected = usual.baseline
    except CallError:
        return  # equal rows are nothing that it is made for
    if not torch.isfinite(expected.call.output).all():
        return
    try:
        call = subject.function.run(arguments)
        gradients = call.backward(expected.grad_output)
    except CallError as error:
        if isinstance(error.cause, NotImplementedError):
            return  # by torch itself, as the storage of a sparse tensor of a subclass is not
        yield Observation("raises", f"{words}: {error}", method=error.method)
        return
    output = call.output.detach().as_subclass(Tensor)
    if not same(output, expected.call.output.detach(), subject.tolerance):
        yield Observation("forward-value", f"the output is another {words}")
        return
    if call.node is None:
        return  # an input that is changed in place, whose class hides the Function from the graph
    gradients = map_tensors(lambda value: value.as_subclass(Tensor), gradients)
    for place in usual.other_gradients(gradients, expected.gradients):  # of equal rows any one may have it
        if not pair_along(usual, [place], expected.grad_output).gaps:
            yield Observation("grad-value", f"is another {words}", place)
            return
