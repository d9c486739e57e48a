"""A Function leaves alone what is not its own, and keeps nothing alive."""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from amal import _torch
from amal.tensors import memory_of, roll

from .calls import Call, CallError, context_tensors, graph_inputs, is_freed
from .function_under_test import Composite
from .subject import Observation, Subject, map_floating, random_like


def check_side_effects(subject: Subject) -> Iterator[Observation]:
    """Forward and backward change nothing that was passed in."""
    call = subject.function(subject.arguments, subject.variables)
    yield from _changes(subject, call, "forward")
    if call.node is None:
        return
    grad_output = random_like(call.output, 1)
    original = grad_output.clone()
    outputs = [output for output in call.outputs if isinstance(output, Tensor)]
    copies = [(output.detach().clone(), _torch.version(output)) for output in outputs]
    call.backward(grad_output, copy=False)
    for output, (copy, version) in zip(outputs, copies, strict=True):
        if not torch.equal(output.detach().nan_to_num(), copy.nan_to_num()):
            yield Observation("mutates-input", "the output is changed by backward, and it belongs to the caller")
        elif _torch.version(output) != version:  # by the call, which brought it back
            words = "the output is freed by backward: who reads it afterwards ends the process"
            yield Observation("mutates-input", words, note=True)
    if not torch.equal(grad_output, original):
        words = "backward changes grad_output, which belongs to others: they will read it too"
        yield Observation("mutates-grad-output", words)
    yield from _changes(subject, call, "backward")


def _changes(subject: Subject, call: Call, method: str) -> Iterator[Observation]:
    """Yield which inputs are not what they were, those apart that forward returns: it marks them as dirty."""
    for place, (now, original) in enumerate(zip(call.arguments, subject.arguments, strict=True)):
        is_marked = any(now is output for output in call.outputs)
        if not isinstance(now, Tensor) or place in subject.constants or is_marked:
            continue
        words = f"by {method}, and it belongs to the caller"
        if is_freed(now):
            words = f"is freed {words}: who reads it ends the process"
            yield Observation("mutates-input", words, place, method=method)
        elif not torch.equal(now.detach(), original):
            yield Observation("mutates-input", f"is changed {words}", place, method=method)


def check_memory(subject: Subject) -> Iterator[Observation]:
    """Tensors go through save_for_backward, and die with the graph."""
    if isinstance(subject.function, Composite):
        return
    collecting = gc.isenabled()
    gc.disable()  # a reference cycle must not be swept up before we look
    try:
        arguments = graph_inputs(subject.arguments, subject.variables)
        call = subject.function.run(arguments)
        if call.node is None:
            return
        tensors = context_tensors(call.node)
        suspects = {name for name, value in tensors if value.is_floating_point() or _is_own(value, call)}
        if suspects:
            suspects -= _constants(subject, call)
        if suspects:
            names = ", ".join(f"ctx.{name}" for name in sorted(suspects))
            words = f"a tensor is kept in {names}: there autograd cannot see it change, nor free it in time"
            yield Observation("keeps-tensors", words)
            return
        call.backward(random_like(call.output, 1))
        references = [weakref.ref(value) for value in (*arguments, call.output) if isinstance(value, Tensor)]
        del call, arguments
        if any(reference() is not None for reference in references):
            words = "an input or the output stays alive when the graph is gone: something else holds it"
            yield Observation("keeps-tensors", words)
    finally:
        if collecting:
            gc.enable()


def _constants(subject: Subject, call: Call) -> set[str]:
    """Return the names on a ctx of tensors that are not made of the inputs, as one of a Python number is not.

    Such a tensor stays what it is when the inputs move or change their places, and shares no memory with any.
    """
    moves: tuple[Callable[[Tensor], Tensor], ...] = (lambda value: 1.01 * value + 1e-3, roll)
    others = []
    for move in moves:
        with contextlib.suppress(CallError):  # outside what it is made for
            others.append(_by_name(subject.function(map_floating(move, subject.arguments), subject.variables)))
    memory = {memory_of(value) for value in (*call.arguments, *call.outputs) if isinstance(value, Tensor)}
    return {
        name
        for name, values in _by_name(call).items()
        if others
        and not any(memory_of(value) in memory for value in values)
        and all(_are_equal(values, other.get(name, [])) for other in others)
    }


def _by_name(call: Call) -> dict[str, list[Tensor]]:
    """Return the tensors on a ctx, those of one attribute together."""
    tensors: dict[str, list[Tensor]] = {}
    for name, value in context_tensors(call.node):
        tensors.setdefault(name, []).append(value)
    return tensors


def _are_equal(ones: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    dense = all(value.layout == torch.strided for value in (*ones, *others))
    return dense and len(ones) == len(others) and all(map(torch.equal, ones, others))


def _is_own(value: Tensor, call: Call) -> bool:
    """Whether a tensor is an input or an output of a call; a mask, from which no graph leads, is neither."""
    return any(isinstance(each, Tensor) and each is value for each in (*call.arguments, *call.outputs))
