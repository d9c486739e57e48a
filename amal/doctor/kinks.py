"""Gradients where the output has no slope: at the kinks of an operation, and where entries are equal (ties).

Where two entries of a row are the largest, that has no slope by either, but it has one as both move alike:
what backward gives to them adds up to it, however it is shared out. So it is with 0: what is not smooth
there is smooth along each direction that leaves 0 where it is.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, islice
from typing import Final

import torch
from torch import Tensor

from .calls import Arguments, CallError, nth, substitute
from .definitions import Definition, Kink
from .directions import pair_along
from .evidence import same
from .subject import Observation, Subject, differentiate

ASIDE: Final = 1e-3
"""How far from a kink the slopes on both sides are taken."""
PAIRS: Final = 10
"""Pairs of inputs, at most, that are made to have equal entries."""


def check_kinks(subject: Subject) -> Iterator[Observation]:
    """At a kink the gradient is the one that is agreed on, or at least one that can be defended."""
    for kink in subject.operation.kinks:
        arguments, definition = subject.with_first(kink.arguments), subject.definition
        if arguments is None or definition is None:
            continue
        place = definition.place(0)
        try:
            call = subject.function(arguments, subject.variables)
            actual = nth(call.backward(torch.ones_like(call.output)), place)
        except CallError as error:
            yield Observation("raises", f"at a kink: {error}", method=error.method)
            return
        expected = _slope(definition, arguments, 0.0) if kink.expected is None else kink.expected
        if not isinstance(actual, Tensor) or actual.shape != expected.shape:
            continue
        if kink.lowest is None or kink.highest is None:
            sides = torch.stack([_slope(definition, arguments, step) for step in (-ASIDE, ASIDE)])
            kink = replace(kink, lowest=sides.amin(0), highest=sides.amax(0))
        yield from _judge(actual.double(), expected, kink, place)
        return


def _slope(definition: Definition, arguments: Arguments, step: float) -> Tensor:
    """Return the definition's gradient of the first input, a step aside, for a grad_output of ones."""
    place = definition.place(0)
    aside = substitute(arguments, place, arguments[place] + step)
    ones = torch.ones_like(definition.reference(*aside))
    gradient: Tensor = differentiate(definition, aside, (place,), ones)[1][place]
    return gradient


def _judge(actual: Tensor, expected: Tensor, kink: Kink, place: int) -> Iterator[Observation]:
    if same(actual, expected):
        return
    worst = int((actual - expected).abs().argmax())
    words = f"is {float(actual.flatten()[worst]):g} at a kink: {kink.says}"
    defensible = False
    if kink.lowest is not None and kink.highest is not None and torch.isfinite(actual).all():
        in_bounds = bool((actual >= kink.lowest - 1e-9).all() and (actual <= kink.highest + 1e-9).all())
        defensible = in_bounds and (not kink.total or same(actual.sum(), expected.sum()))
    choice = "; this choice can be defended too" if defensible else ""
    yield Observation("kink", words + choice, place, note=defensible)


def check_ties(subject: Subject) -> Iterator[Observation]:
    """Where entries are equal and the output has no slope, backward is right as they move together."""
    if subject.dtype != torch.float64:
        return
    if subject.is_large:
        yield Observation("not-reached", "the inputs are large: equal entries were not tried", note=True)
        return
    for words, place, with_ties in _ties(subject):
        try:
            observations = list(_compare(with_ties, words, place))
        except (CallError, RuntimeError, ValueError, IndexError, ArithmeticError):
            continue  # outside what it is made for
        if observations:
            yield from observations
            return


def _ties(subject: Subject) -> Iterator[tuple[str, int, Subject]]:
    """Yield where entries are equal, in words, an input of which they are, and what is examined there."""
    optional = subject.definition.optional if subject.definition is not None else ()
    places = [place for place in subject.variables if place not in optional and subject.arguments[place].numel()]

    def change(place: int, values: Tensor) -> Subject:
        return replace(subject, arguments=substitute(subject.arguments, place, values))

    if subject.fixed_inputs and places:
        yield "at these inputs", places[0], subject
    for place in places:
        values = subject.arguments[place]
        words = f"where entries of {subject.name(place)} are"
        ties = torch.where(_some(values), values.max(), torch.where(_some(values, last=True), values.min(), values))
        yield f"{words} equal", place, change(place, ties)
        yield f"{words} 0", place, change(place, torch.where(_some(values), 0.0, values))
    for one, other in islice(combinations(places, 2), PAIRS):
        values, others = subject.arguments[one], subject.arguments[other]
        if values.shape == others.shape:
            words = f"where entries of {subject.name(one)} and {subject.name(other)} are equal"
            yield words, one, change(other, torch.where(_some(values), values, others))


def _some(values: Tensor, last: bool = False) -> Tensor:
    """Return which entries become equal: four of ten, in no order, so some are neighbours along each axis."""
    order = torch.randperm(values.numel(), generator=torch.Generator().manual_seed(4)).reshape(values.shape)
    return (values.numel() - 1 - order if last else order) < 0.4 * values.numel()


def _compare(subject: Subject, words: str, place: int) -> Iterator[Observation]:
    """Compare along directions that move equal entries together, if the output has no slope along others."""
    call, grad_output, gradients = subject.baseline
    if call.node is None or not torch.isfinite(call.output).all():
        return
    shapes = ((place, getattr(nth(gradients, place), "shape", None)) for place in subject.variables)
    comparable = [place for place, shape in shapes if shape == subject.arguments[place].shape]
    if not comparable or not pair_along(subject, comparable, grad_output).gaps:
        return
    for by_share in (False, True):
        pair = pair_along(subject, comparable, grad_output, by_share=by_share, alike=True)
        if pair.agrees or not math.isfinite(pair.gradient):  # torch's own gradient of sqrt is inf at 0
            continue
        alike = "as all of one value move together, which is smooth: what they get does not add up"
        words = f"is not the slope of the output {words}, {alike}"
        yield Observation("kink", words, place, f"Along such a direction {pair.words}.")
        return
