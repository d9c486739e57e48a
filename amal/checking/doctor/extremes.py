"""Large arguments, and kinks."""

from collections.abc import Iterator

import torch
from torch import Tensor

from .definitions import Kink
from .hypotheses import same
from .specimen import Arguments, Raised, at
from .subject import Found, Subject, differentiated


def at_extremes(subject: Subject) -> Iterator[Found]:
    """Large arguments give ordinary numbers where the definition does."""
    for given in subject.operation.extremes:
        arguments = subject.with_first(given)
        if arguments is None or subject.definition is None or not _alike(arguments, subject.arguments):
            continue
        try:
            call = subject.specimen(arguments, subject.variables)
            returned = call.backward(torch.ones_like(call.output))
        except Raised as error:
            yield Found("raises", f"for {subject.operation.extremes_are}: {error}", method=error.where)
            return
        expected = subject.definition.reference(*arguments)
        finite = torch.isfinite(expected) if subject.operation.exact_extremes else torch.ones_like(expected).bool()
        value = call.output.detach()
        where = f"for {subject.operation.extremes_are}"
        if not torch.isfinite(value[finite]).all():
            yield Found("forward-unstable", f"forward gives {_first_bad(value)} {where}")
            return
        if subject.operation.exact_extremes and not same(value[finite], expected[finite], max(subject.tolerance, 1e-6)):
            yield Found("forward-unstable", f"forward is finite and wrong {where}")
            return
        for place in subject.variables:
            of = at(returned, place)
            if isinstance(of, Tensor) and place == 0 and not torch.isfinite(of).all():
                yield Found("forward-unstable", f"is {_first_bad(of)} {where}", place, method="backward")
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


def at_kinks(subject: Subject) -> Iterator[Found]:
    """Where there is no derivative, the gradient is the one that is agreed on, or at least one that can be defended."""
    for kink in subject.operation.kinks:
        arguments = subject.with_first(kink.arguments)
        if arguments is None or subject.definition is None or not _alike(arguments, subject.arguments):
            continue
        try:
            call = subject.specimen(arguments, subject.variables)
            returned = at(call.backward(torch.ones_like(call.output)), 0)
        except Raised as error:
            yield Found("raises", f"at a kink: {error}", method=error.where)
            return
        ones = torch.ones_like(call.output)
        expected = kink.expected
        if expected is None:
            expected = differentiated(subject.definition, arguments, (0,), ones)[1][0]
        if not isinstance(returned, Tensor) or returned.shape != expected.shape:
            continue
        yield from _judged(returned.double(), expected, kink)
        return


def _judged(actual: Tensor, expected: Tensor, kink: Kink) -> Iterator[Found]:
    if same(actual, expected):
        return
    worst = int((actual - expected).abs().argmax())
    says = f"is {float(actual.flatten()[worst]):g} at a kink: {kink.says}"
    defended = False
    if kink.lowest is not None and kink.highest is not None and torch.isfinite(actual).all():
        inside = bool((actual >= kink.lowest - 1e-9).all() and (actual <= kink.highest + 1e-9).all())
        total = not kink.total or same(actual.sum(), expected.sum())
        defended = inside and total
    yield Found("kink", says + (", which can be defended" if defended else ""), 0, note=defended)
