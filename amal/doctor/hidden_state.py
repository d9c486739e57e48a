"""Each call of a Function stands by itself: no hidden state of another call changes its gradient.

Two graphs are alive at once wherever a layer is used twice, and a tensor may be changed in place between
forward and backward: torch refuses to go back through one that `save_for_backward` holds. Of a number on
the class, or of an array that is a view of the tensor's memory, it knows nothing.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from amal.tensors import memory_of, roll

from .calls import Arguments, Call, CallError
from .sizes import map_examples
from .subject import Observation, Subject


def check_independence(subject: Subject) -> Iterator[Observation]:
    """The gradient is the same after another call of forward, and in a second pass through the same graph."""
    if subject.baseline.call.node is None:
        return
    for others in _other_inputs(subject):
        call = subject.function(subject.arguments, subject.variables)
        try:
            subject.function(others, subject.variables)
        except CallError:
            continue  # nothing that it is made for
        words = "once forward has been called with other inputs: what it puts elsewhere than on ctx is the last call's"
        if observations := list(_compare(subject, call, words, silent=False)):
            yield from observations
            return
    again = subject.function(subject.arguments, subject.variables)
    try:
        again.backward(subject.baseline.grad_output)
    except CallError:
        return
    words = "in a second backward pass through the same graph (retain_graph=True): the first changed what is kept"
    yield from _compare(subject, again, words, silent=True)


def _other_inputs(subject: Subject) -> Iterator[Arguments]:
    """Yield other inputs: other values, other numbers beside them, twice as many examples."""
    arguments = tuple(
        roll(value) * 1.1 if place in subject.variables else value for place, value in enumerate(subject.arguments)
    )
    yield arguments
    complete = (*arguments, *(parameter.default for parameter in subject.function.parameters[len(arguments) :]))
    others = tuple(
        not value if isinstance(value, bool) else value + 1 if isinstance(value, (int, float)) else value
        for value in complete
    )
    if any(value is not other for value, other in zip(complete, others, strict=True)):
        yield others
    yield map_examples(subject, lambda _, value: torch.cat([value, value]))


def _compare(subject: Subject, call: Call, words: str, silent: bool) -> Iterator[Observation]:
    """Say that a gradient is another than usual; an exception is one only where it need not be `silent`."""
    try:
        gradients = call.backward(subject.baseline.grad_output)
    except CallError as error:
        if not silent:
            yield Observation("grad-value", f"cannot be had {words}: {error}", subject.variables[0])
        return
    for place in subject.other_gradients(gradients, subject.baseline.gradients):
        yield Observation("grad-value", f"is another {words}", place)
        return


def check_changes_in_place(subject: Subject) -> Iterator[Observation]:
    """Where a tensor is changed in place before backward, that is refused, or makes no difference."""
    usual = subject.baseline.call
    if usual.node is None or _shares_memory(usual):
        return
    for number, value in enumerate((*usual.arguments, usual.output)):
        if not isinstance(value, Tensor) or value.numel() < 2:
            continue
        call = subject.function(subject.arguments, subject.variables)
        values = (*call.arguments, call.output)
        try:
            with torch.no_grad():
                values[number].copy_(_other_values(values[number]))
        except RuntimeError:
            continue  # torch does not let it be changed
        name = subject.name(number) if number < len(call.arguments) else "the output"
        words = f"if {name} is changed in place before backward, and nothing says so"
        for each in _compare(subject, call, words, silent=True):
            cause = f"the memory of {name} is kept elsewhere than by save_for_backward, which lets torch notice"
            gradient = f"the gradient of {subject.name(each.position or 0)}"
            yield Observation("keeps-tensors", f"{cause}: {gradient} {each.words}")
            return


def _shares_memory(call: Call) -> bool:
    """Whether an output lies in the memory of an input: to change one is to change the other."""
    inputs, outputs = (
        {memory_of(value) for value in values if isinstance(value, Tensor)} for values in (call.arguments, call.outputs)
    )
    return bool((inputs & outputs) - {None})


def _other_values(value: Tensor) -> Tensor:
    """Return other values that are of the same kind: of classes by number the same ones in another order."""
    other = roll(value.detach())
    return 1.25 * other + 0.1 if value.is_floating_point() else other
