"""Each call of a Function stands by itself: nothing that another call leaves behind changes its gradient.

Two graphs are alive at once wherever a layer is used twice, and a tensor may be changed in place between forward and
backward: torch refuses to go back through one that `save_for_backward` holds. Of a number on the class, or of an array
that is a view of the tensor's memory, it knows nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from amal.tensors import memory_of, rolled

from .evidence import same
from .function_under_test import Arguments, Call, CallError, nth
from .sizes import by_example
from .subject import Observation, Subject, random_like


def apart(subject: Subject) -> Iterator[Observation]:
    """The gradient is the same after another call of forward, and in a second pass through the same graph."""
    usual = subject.function(subject.arguments, subject.variables)
    if usual.node is None:
        return
    grad_output = random_like(usual.output, 1)
    expected = usual.backward(grad_output)
    for others in _other_inputs(subject):
        call = subject.function(subject.arguments, subject.variables)
        try:
            subject.function(others, subject.variables)
        except CallError:
            continue  # nothing that it is made for
        words = "once forward has been called with other inputs: what it puts elsewhere than on ctx is the last call's"
        if found := list(_another(subject, call, grad_output, expected, words, silent=False)):
            yield from found
            return
    again = subject.function(subject.arguments, subject.variables)
    try:
        again.backward(grad_output)
    except CallError:
        return
    words = "in a second backward pass through the same graph (retain_graph=True): the first changed what is kept"
    yield from _another(subject, again, grad_output, expected, words, silent=True)


def _other_inputs(subject: Subject) -> Iterator[Arguments]:
    """Yield other inputs: other values, other numbers beside them, twice as many examples."""
    moved = tuple(rolled(of) * 1.1 if place in subject.variables else of for place, of in enumerate(subject.arguments))
    yield moved
    complete = (*moved, *(of.default for of in subject.function.parameters[len(moved) :]))
    others = tuple(
        not of if isinstance(of, bool) else of + 1 if isinstance(of, (int, float)) else of for of in complete
    )
    if any(of is not other for of, other in zip(complete, others, strict=True)):
        yield others
    yield by_example(subject, lambda _, value: torch.cat([value, value]))


def _another(
    subject: Subject, call: Call, grad_output: Tensor, expected: Sequence[Any], words: str, silent: bool
) -> Iterator[Observation]:
    """Say that a gradient is another than expected; an exception is one only where it need not be `silent`."""
    try:
        returned = call.backward(grad_output)
    except CallError as error:
        if not silent:
            yield Observation("grad-value", f"cannot be had {words}: {error}", subject.variables[0])
        return
    for place in subject.variables:
        actual, right = nth(returned, place), nth(expected, place)
        if not isinstance(right, Tensor):
            continue
        lost = actual is None and bool(right.any())
        if lost or (
            isinstance(actual, Tensor) and not same(actual.nan_to_num(), right.nan_to_num(), subject.tolerance)
        ):
            yield Observation("grad-value", f"is another {words}", place)
            return


def sees_changes(subject: Subject) -> Iterator[Observation]:
    """Where a tensor is changed in place before backward, that is refused, or makes no difference."""
    usual = subject.function(subject.arguments, subject.variables)
    if usual.node is None or _shares_memory(usual):
        return
    grad_output = random_like(usual.output, 1)
    expected = usual.backward(grad_output)
    for number, value in enumerate((*usual.arguments, usual.output)):
        if not isinstance(value, Tensor) or value.numel() < 2:
            continue
        call = subject.function(subject.arguments, subject.variables)
        values = (*call.arguments, call.output)
        try:
            with torch.no_grad():
                values[number].copy_(_changed(values[number]))
        except RuntimeError:
            continue  # torch does not let it be changed
        name = subject.name(number) if number < len(call.arguments) else "the output"
        words = f"if {name} is changed in place before backward, and nothing says so"
        for of in _another(subject, call, grad_output, expected, words, silent=True):
            what = f"the memory of {name} is kept elsewhere than by save_for_backward, which lets torch notice"
            yield Observation("keeps-tensors", f"{what}: the gradient of {subject.name(of.position or 0)} {of.words}")
            return


def _shares_memory(call: Call) -> bool:
    """Whether an output lies in the memory of an input: to change one is to change the other."""
    memory = [{memory_of(of) for of in values if isinstance(of, Tensor)} for values in (call.arguments, call.outputs)]
    return bool((memory[0] & memory[1]) - {None})


def _changed(value: Tensor) -> Tensor:
    """Return other values that are of the same kind: of classes by number the same ones in another order."""
    moved = rolled(value.detach())
    return 1.25 * moved + 0.1 if value.is_floating_point() else moved
