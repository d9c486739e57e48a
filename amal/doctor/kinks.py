"""Gradients at ties: which of two equal entries is the largest does not matter where they move together.

The largest entry of a row has no slope by one of two entries that share it, but it has one as both move alike: what
backward gives to them adds up to that, however it is shared out. So it is with 0: what is not smooth there is smooth
along each direction that leaves 0 where it is.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, islice
from typing import Final

import torch
from torch import Tensor

from .directions import pair_along
from .evidence import distinct_texts
from .function_under_test import CallError, nth
from .other_inputs import is_large
from .subject import Observation, Subject, random_like

PAIRS: Final = 10
"""Of inputs, at most, that are made to have equal entries."""


def at_ties(subject: Subject) -> Iterator[Observation]:
    """Where entries are equal and the output has no slope, backward is right as they move together."""
    if subject.dtype != torch.float64:
        return
    if is_large(subject):
        yield Observation("not-reached", "the inputs are large: equal entries were not tried", note=True)
        return
    for words, place, tied in _tied(subject):
        try:
            found = list(_compared(tied, words, place))
        except (CallError, RuntimeError, ValueError, IndexError, ArithmeticError):
            continue  # outside what it is made for
        if found:
            yield from found
            return


def _tied(subject: Subject) -> Iterator[tuple[str, int, Subject]]:
    """Yield where entries are equal, in words, an input of which they are, and what is examined there."""
    optional = subject.definition.optional if subject.definition is not None else ()
    places = [place for place in subject.variables if place not in optional and subject.arguments[place].numel()]

    def changed(place: int, values: Tensor) -> Subject:
        return replace(subject, arguments=(*subject.arguments[:place], values, *subject.arguments[place + 1 :]))

    if subject.fixed_inputs and places:
        yield "at these inputs", places[0], subject
    for place in places:
        values = subject.arguments[place]
        words = f"where entries of {subject.name(place)} are"
        tied = torch.where(_some(values), values.max(), torch.where(_some(values, last=True), values.min(), values))
        yield f"{words} equal", place, changed(place, tied)
        yield f"{words} 0", place, changed(place, torch.where(_some(values), 0.0, values))
    for one, other in islice(combinations(places, 2), PAIRS):
        values, others = subject.arguments[one], subject.arguments[other]
        if values.shape == others.shape:
            words = f"where entries of {subject.name(one)} and {subject.name(other)} are equal"
            yield words, one, changed(other, torch.where(_some(values), values, others))


def _some(values: Tensor, last: bool = False) -> Tensor:
    """Return which entries are to be equal: four of ten, in no order, so that some are neighbours along each axis."""
    order = torch.randperm(values.numel(), generator=torch.Generator().manual_seed(4)).reshape(values.shape)
    return (values.numel() - 1 - order if last else order) < 0.4 * values.numel()


def _compared(subject: Subject, words: str, place: int) -> Iterator[Observation]:
    """Compare along directions that move equal entries together, if the output has no slope along others."""
    call = subject.function(subject.arguments, subject.variables)
    if call.node is None or not torch.isfinite(call.output).all():
        return
    grad_output = random_like(call.output, 1)
    returned = call.backward(grad_output)
    arguments, variables = subject.arguments, subject.variables
    known = [of for of in variables if getattr(nth(returned, of), "shape", None) == arguments[of].shape]
    if not known or not pair_along(subject, known, grad_output).left_out:
        return
    for by_share in (False, True):
        pair = pair_along(subject, known, grad_output, by_share=by_share, alike=True)
        if pair.agrees or not math.isfinite(pair.given):  # torch's own gradient of sqrt is inf at 0
            continue
        given, slope = distinct_texts(pair.given, pair.measured)
        worst = f"Along such a direction backward gives {given}, the slope is {slope}."
        alike = "as all of one value move together, which is smooth: what they get does not add up"
        yield Observation("kink", f"is not the slope of the output {words}, {alike}", place, worst)
        return
