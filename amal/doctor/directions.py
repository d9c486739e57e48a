"""The slope along random directions: two numbers to compare for each, however many entries there are.

For a direction d of an input and a gradient g of the output, the slope of <g, output> along d is <backward(g), d>. A
wrong entry anywhere in backward's answer shows in that, but for a coincidence; which entry, and why, it does not show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .evidence import Tolerance, same
from .function_under_test import Arguments
from .slopes import slope, slopes
from .subject import Subject, random_like

MANY = 64
"""Entries of an input above which directions are tried first."""
DIRECTIONS = 3
SECOND = 1e-5
"""Share that a derivative of higher order may be off: the accuracy of the slope of a slope."""


class Pair(NamedTuple):
    """What is compared along one direction."""

    measured: float
    given: float
    margin: float
    """How far the two may be apart."""
    left_out: int
    """Entries of the output that have no slope along the direction, and were left out."""

    @property
    def agrees(self) -> bool:
        """Whether the two are equal, up to the accuracy of the measurement."""
        return abs(self.measured - self.given) <= self.margin


def pairs_along(subject: Subject, place: int, grad_output: Tensor) -> Iterator[Pair]:
    """Yield what is measured and what backward gives along random directions of one input.

    The last direction moves each entry by a share of itself, so that a small one does not leave the domain first.
    """
    for number in range(DIRECTIONS):
        yield pair_along(subject, [place], grad_output, number, by_share=number == DIRECTIONS - 1)


def pair_along(
    subject: Subject,
    places: Sequence[int],
    grad_output: Tensor,
    seed: int = 0,
    by_share: bool = False,
    tolerance: Tolerance | None = None,
    alike: bool = False,
) -> Pair:
    """Return what is measured and what backward gives along one random direction of some inputs together.

    Args:
        subject: what is examined.
        places: of the inputs.
        grad_output: by which the output is weighed.
        seed: of the direction.
        by_share: move each entry by a share of itself.
        tolerance: how far the two may be apart; None for the subject's.
        alike: move entries of one value together, whichever input they are of, and with `by_share` those of one
            magnitude, and 0 not at all: where two are equal there may be a slope along no other direction.
    """
    values = {place: subject.arguments[place].detach().double() for place in places}
    if alike:
        directions = _alike(values, 11 + seed, by_share)
    else:
        directions = {place: random_like(subject.arguments[place], 11 + seed + place).double() for place in places}
    size = 1.0
    for place, magnitudes in ((place, of.abs()) for place, of in values.items()):
        if by_share and not alike:
            directions[place] *= torch.where(magnitudes == 0, 1.0, magnitudes)
        elif magnitudes.numel() and not by_share:
            size = max(size, float(magnitudes.median()))

    def along(step: float) -> Tensor:
        moved = list(subject.arguments)
        for place, direction in directions.items():
            moved[place] = (moved[place].detach().double() + step * direction).to(moved[place].dtype)
        return subject.differentiable(tuple(moved))

    found = slope(along, size, subject.dtype)
    smooth = found.smooth.reshape(grad_output.shape)
    weights = torch.where(smooth, grad_output.double(), 0.0)
    parts, errors = weights.flatten() * found.value, weights.flatten() * found.error.where(found.smooth, 0.0)
    returned = subject.pull(weights.to(grad_output.dtype))
    given = sum(float((returned[place].double() * direction).sum()) for place, direction in directions.items())
    tolerance = tolerance or subject.tolerance
    margin = tolerance.relative * float(parts.norm()) + tolerance.least + float(errors.norm())
    return Pair(float(parts.sum()), given, margin, int((~smooth).sum()))


def _alike(values: Mapping[int, Tensor], seed: int, by_share: bool) -> dict[int, Tensor]:
    """Return a random direction for each input, the same number for all entries of one value, or of one magnitude."""
    joined = torch.cat([of.flatten() for of in values.values()])
    kinds, kind = torch.unique(joined.abs() if by_share else joined, return_inverse=True)
    numbers = random_like(kinds, seed)[kind] * (joined if by_share else 1.0)
    parts = torch.split(numbers, [of.numel() for of in values.values()])
    return {place: part.reshape(of.shape) for (place, of), part in zip(values.items(), parts, strict=True)}


def depends(subject: Subject, place: int) -> bool:
    """Whether the output changes with an input at all, along a random direction."""
    variable = subject.arguments[place].detach()
    direction = random_like(variable, 11)

    def along(step: float) -> Tensor:
        moved = variable + step * direction
        return subject.differentiable((*subject.arguments[:place], moved, *subject.arguments[place + 1 :]))

    return bool((slope(along, dtype=subject.dtype).value.abs() > 1e-8).any())


def is_slope(
    actual: Tensor,
    function: Callable[[Arguments], Tensor],
    arguments: Arguments,
    place: int,
    directions: int = DIRECTIONS,
) -> bool:
    """Whether a gradient is the slope of a number by one argument: along random directions, or else entry by entry.

    Args:
        actual: the gradient.
        function: takes all arguments, returns the number.
        arguments: where.
        place: of the argument.
        directions: how many; the last of several moves each entry by a share of itself.
    """
    variable = arguments[place].detach()
    # The grad_output of spikes made by .float() moves in steps that float32 can hold.
    dtype = torch.float64 if variable.dtype == torch.float64 else torch.float32
    smooth = True
    for number in range(directions):
        direction = random_like(variable, 11 + number)
        if 0 < number == directions - 1:
            direction = direction * torch.where(variable == 0, 1.0, variable.abs())

        def along(step: float, direction: Tensor = direction) -> Tensor:
            return function((*arguments[:place], variable + step * direction, *arguments[place + 1 :]))

        measured, given = slope(along, dtype=dtype), actual * direction
        margin = SECOND * float(given.norm() + 1e-3) + float(measured.error)
        if measured.smooth and abs(float(given.sum() - measured.value)) > margin:
            return False
        smooth = smooth and bool(measured.smooth)
    if smooth or actual.numel() > MANY:
        return True
    column = slopes(function, arguments, place, dtype)
    expected, one = column.pull(torch.ones(())), torch.ones(())
    return same(torch.where(column.smooth, actual, expected), expected, SECOND, column.margin(one))
