"""Large arguments, and kinks."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from .definitions import Definition, Kink
from .evidence import same
from .function_under_test import Arguments, CallError, nth
from .subject import Observation, Subject, differentiate

ASIDE: Final = 1e-3
"""How far from a kink the slopes on both sides are taken."""


def at_extremes(subject: Subject) -> Iterator[Observation]:
    """Large arguments give ordinary numbers where the definition does."""
    for given in subject.operation.extremes:
        arguments = subject.with_first(given)
        if arguments is None or subject.definition is None or not _alike(arguments, subject.arguments):
            continue
        try:
            call = subject.function(arguments, subject.variables)
            returned = call.backward(torch.ones_like(call.output))
        except CallError as error:
            yield Observation("raises", f"for {subject.operation.extremes_are}: {error}", method=error.method)
            return
        expected = subject.definition.reference(*arguments)
        finite = torch.isfinite(expected) if subject.operation.exact_extremes else torch.ones_like(expected).bool()
        value = call.output.detach()
        where = f"for {subject.operation.extremes_are}"
        if not torch.isfinite(value[finite]).all():
            yield Observation("forward-unstable", f"forward gives {_first_bad(value)} {where}")
            return
        if subject.operation.exact_extremes and not same(
            value[finite], expected[finite], subject.tolerance.at_least(1e-6)
        ):
            yield Observation("forward-unstable", f"forward is finite and wrong {where}")
            return
        for place in subject.variables:
            of = nth(returned, place)
            if isinstance(of, Tensor) and place == subject.definition.place(0) and not torch.isfinite(of).all():
                yield Observation("forward-unstable", f"is {_first_bad(of)} {where}", place, method="backward")
                return


def _alike(one: Arguments, other: Arguments) -> bool:
    """Whether two lists of arguments are of the same kinds: classes by number, or in rows of zeros with a one."""
    kinds = [
        tuple((of.is_floating_point(), of.dim()) if isinstance(of, Tensor) else None for of in arguments)
        for arguments in (one, other)
    ]
    return kinds[0] == kinds[1]


def _first_bad(values: Tensor) -> str:
    return f"{float(values[~torch.isfinite(values)][0])}"


def at_kinks(subject: Subject) -> Iterator[Observation]:
    """Where there is no derivative, the gradient is the one that is agreed on, or at least one that can be defended."""
    for kink in subject.operation.kinks:
        arguments = subject.with_first(kink.arguments)
        if arguments is None or subject.definition is None or not _alike(arguments, subject.arguments):
            continue
        try:
            call = subject.function(arguments, subject.variables)
            place = subject.definition.place(0)
            returned = nth(call.backward(torch.ones_like(call.output)), place)
        except CallError as error:
            yield Observation("raises", f"at a kink: {error}", method=error.method)
            return
        expected = kink.expected
        if expected is None:
            expected = _slope(subject.definition, arguments, 0.0)
        if not isinstance(returned, Tensor) or returned.shape != expected.shape:
            continue
        if kink.lowest is None or kink.highest is None:
            sides = torch.stack([_slope(subject.definition, arguments, step) for step in (-ASIDE, ASIDE)])
            kink = replace(kink, lowest=sides.amin(0), highest=sides.amax(0))
        yield from _judged(returned.double(), expected, kink, place)
        return


def _slope(definition: Definition, arguments: Arguments, step: float) -> Tensor:
    """Return the gradient of the first input as the definition has it, a step aside, for a grad_output of ones."""
    place = definition.place(0)
    moved = (*arguments[:place], arguments[place] + step, *arguments[place + 1 :])
    ones = torch.ones_like(definition.reference(*moved))
    gradient: Tensor = differentiate(definition, moved, (place,), ones)[1][place]
    return gradient


def _judged(actual: Tensor, expected: Tensor, kink: Kink, place: int) -> Iterator[Observation]:
    if same(actual, expected):
        return
    worst = int((actual - expected).abs().argmax())
    says = f"is {float(actual.flatten()[worst]):g} at a kink: {kink.says}"
    defended = False
    if kink.lowest is not None and kink.highest is not None and torch.isfinite(actual).all():
        inside = bool((actual >= kink.lowest - 1e-9).all() and (actual <= kink.highest + 1e-9).all())
        total = not kink.total or same(actual.sum(), expected.sum())
        defended = inside and total
    words = "; this choice can be defended too" if defended else ""
    yield Observation("kink", says + words, place, note=defended)
