"""Value and gradient are right in every circumstance: layouts, batches, dtypes, whichever inputs need a gradient."""

from collections.abc import Iterator
from itertools import combinations

import torch
from torch import Tensor

from .hypotheses import same
from .specimen import Arguments, Raised, at, plain
from .subject import Found, Subject, cast, differentiated, gradients, random_like


def in_other_layouts(subject: Subject) -> Iterator[Found]:
    """Value and gradient do not depend on how tensors lie in memory."""
    yield from _agrees(subject, subject.arguments, "for tensors that are not contiguous in memory", contiguous=False)


def in_batches_of_one_and_none(subject: Subject) -> Iterator[Found]:
    """A batch may hold one example, or none."""
    if subject.definition is None or subject.given:
        return
    for n, words in ((1, "for a batch of one"), (0, "for an empty batch")):
        arguments = subject.drawn(2, n)
        try:
            expected = subject.definition.reference(*arguments)
        except Exception:  # what the definition cannot do need not be done
            continue
        if torch.isfinite(expected).all():  # the mean of nothing is nobody's business
            yield from _agrees(subject, arguments, words)


def in_float32(subject: Subject) -> Iterator[Found]:
    """In float32 the output and each gradient are float32."""
    if subject.dtype != torch.float64:
        return
    arguments = cast(subject.arguments, torch.float32)
    try:
        call = subject.specimen(arguments, subject.variables)
        returned = call.backward(random_like(call.output, 1))
    except Raised as error:
        yield Found("raises", f"in float32: {error}", method=error.where)
        return
    if call.output.dtype != torch.float32:
        yield Found("forward-value", f"for inputs in float32 the output is in {plain(call.output.dtype)}")
    for place in subject.variables:
        of = at(returned, place)
        if isinstance(of, Tensor) and of.dtype != torch.float32:
            yield Found("grad-dtype", f"is in {plain(of.dtype)}, and {subject.name(place)} in float32", place)


def some_alone(subject: Subject) -> Iterator[Found]:
    """A gradient is the same whichever of the other inputs need one: each alone, each left out, each two."""
    everything = gradients(subject, subject.arguments)
    variables = subject.variables
    left_out = [tuple(other for other in variables if other != place) for place in variables]
    for needs in dict.fromkeys([*((place,) for place in variables), *combinations(variables, 2), *left_out]):
        if needs in ((), variables):
            continue
        names = " and ".join(subject.name(place) for place in needs)
        words = f"when only {names} need{'s' if len(needs) == 1 else ''} a gradient"
        try:
            call = subject.specimen(subject.arguments, needs)
            returned = call.backward(random_like(call.output, 1))
        except Raised as error:
            yield Found("raises", f"{words}: {error}", method=error.where)
            return
        for place in needs:
            now = at(returned, place)
            before = at(everything, place)
            if isinstance(before, Tensor) and now is None and before.any():  # a None stands for zeros
                yield Found("grad-missing", f"is None {words}", place)
                return
            if isinstance(before, Tensor) and isinstance(now, Tensor) and not same(now, before):
                yield Found("grad-value", f"is another {words}", place)
                return


def _agrees(subject: Subject, arguments: Arguments, words: str, contiguous: bool = True) -> Iterator[Found]:
    """Value and gradients equal those of the definition; of a Function without one, those for contiguous tensors."""
    try:
        call = subject.specimen(arguments, subject.variables, contiguous)
        returned = call.backward(random_like(call.output, 1, contiguous))
    except Raised as error:
        yield Found("raises", f"{words}: {error}", method=error.where)
        return
    if subject.definition is None or subject.surrogate is not None:
        usual = subject.specimen(arguments, subject.variables)
        expected, wanted = usual.output, usual.backward(random_like(usual.output, 1))
    else:
        expected, wanted = differentiated(subject.definition, arguments, subject.variables, random_like(call.output, 1))
    if not same(call.output.detach(), expected.detach(), subject.tolerance):
        yield Found("forward-value", f"the output is not what the definition gives {words}")
        return
    for place in subject.variables:
        actual = at(returned, place)
        right = at(wanted, place)
        if not isinstance(actual, Tensor) or not isinstance(right, Tensor):
            continue
        if actual.shape != right.shape:
            shapes = f"{tuple(actual.shape)}, and {subject.name(place)} {tuple(right.shape)}"
            yield Found("grad-shape", f"has, {words}, shape {shapes}", place)
        elif not same(actual, right, max(subject.tolerance, 1e-6)):
            yield Found("grad-value", f"is not the slope of the output {words}", place)
