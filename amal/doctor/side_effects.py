"""A Function leaves alone what is not its own, and keeps nothing alive."""

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from amal.tensors import memory_of, rolled

from .function_under_test import Call, CallError, Composite, detach, is_freed, kept_on
from .subject import Observation, Subject, random_like


def leaves_alone(subject: Subject) -> Iterator[Observation]:
    """Forward and backward change nothing that was passed in."""
    call = subject.function(subject.arguments, subject.variables)
    yield from _changed(subject, call, "forward")
    if call.node is None:
        return
    grad_output = random_like(call.output, 1)
    before = grad_output.clone()
    outputs = [(of, of.detach().clone(), of._version) for of in call.outputs if isinstance(of, Tensor)]
    call.backward(grad_output, copy=False)
    for output, was, version in outputs:
        if not torch.equal(output.detach().nan_to_num(), was.nan_to_num()):
            yield Observation("mutates-input", "the output is changed by backward, and it belongs to the caller")
        elif output._version != version:  # by the call, which brought it back
            words = "the output is freed by backward: who reads it afterwards ends the process"
            yield Observation("mutates-input", words, note=True)
    if not torch.equal(grad_output, before):
        yield Observation(
            "mutates-grad-output", "backward changes grad_output, which belongs to others: they will read it too"
        )
    yield from _changed(subject, call, "backward")


def _changed(subject: Subject, call: Call, where: str) -> Iterator[Observation]:
    """Yield which inputs are not what they were, those apart that forward returns: it marks them as dirty."""
    for place, (now, before) in enumerate(zip(call.arguments, subject.arguments, strict=True)):
        marked = any(now is output for output in call.outputs)
        given = isinstance(now, Tensor) and place not in subject.constants
        if given and not marked and (is_freed(now) or not torch.equal(now.detach(), before)):
            words = f"is changed by {where}, and it belongs to the caller"
            if is_freed(now):
                words = f"is freed by {where}, and it belongs to the caller: who reads it ends the process"
            yield Observation("mutates-input", words, place, method=where)


def keeps_nothing(subject: Subject) -> Iterator[Observation]:
    """Tensors go through save_for_backward, and die with the graph."""
    if isinstance(subject.function, Composite):
        return
    collecting = gc.isenabled()
    gc.disable()  # a reference cycle must not be swept up before we look
    try:
        inputs = tuple(detach(of).clone() if isinstance(of, Tensor) else of for of in subject.arguments)
        needing = tuple(
            of.requires_grad_() * 1 if place in subject.variables and isinstance(of, Tensor) else of
            for place, of in enumerate(inputs)
        )
        del inputs
        call = subject.function.run(needing)
        if call.node is None:
            return
        kept = {name for name, value in kept_on(call.node) if value.is_floating_point() or _is_any(value, call)}
        if kept:
            kept -= _constants(subject, call)
        if kept:
            names = ", ".join(f"ctx.{name}" for name in sorted(kept))
            yield Observation(
                "keeps-tensors",
                f"a tensor is kept in {names}: there autograd cannot see it change, nor free it in time",
            )
            return
        call.backward(random_like(call.output, 1))
        watched = [weakref.ref(of) for of in (*needing, call.output) if isinstance(of, Tensor)]
        del call, needing
        if any(reference() is not None for reference in watched):
            yield Observation(
                "keeps-tensors", "an input or the output stays alive when the graph is gone: something else holds it"
            )
    finally:
        if collecting:
            gc.enable()


def _constants(subject: Subject, call: Call) -> set[str]:
    """Return the names on a context of tensors that are not made of the inputs, as one of a Python number is not.

    Such a tensor stays what it is when the inputs move or change their places, and shares no memory with any.
    """
    moves: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda of: 1.01 * of + 1e-3,
        rolled,
    )
    others = []
    for move in moves:
        moved = (move(of) if isinstance(of, Tensor) and of.is_floating_point() else of for of in subject.arguments)
        try:
            others.append(_by_name(subject.function(tuple(moved), subject.variables)))
        except CallError:
            continue  # outside what it is made for
    memory = {memory_of(of) for of in (*call.arguments, *call.outputs) if isinstance(of, Tensor)}
    return {
        name
        for name, values in _by_name(call).items()
        if others
        and not any(memory_of(value) in memory for value in values)
        and all(_same(values, other.get(name, [])) for other in others)
    }


def _by_name(call: Call) -> dict[str, list[Tensor]]:
    """Return the tensors on a context, those of one attribute together."""
    found: dict[str, list[Tensor]] = {}
    for name, value in kept_on(call.node):
        found.setdefault(name, []).append(value)
    return found


def _same(ones: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    dense = all(value.layout == torch.strided for value in (*ones, *others))
    return dense and len(ones) == len(others) and all(map(torch.equal, ones, others))


def _is_any(value: Tensor, call: Call) -> bool:
    """Whether a tensor is an input or an output of a call. A mask of its own may stay on ctx: nothing leads from it."""
    return any(isinstance(of, Tensor) and of is value for of in (*call.arguments, *call.outputs))
