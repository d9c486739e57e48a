"""The slope along random directions: two numbers to compare for each, however many entries there are.

For a direction d of an input and a gradient g of the output, the slope of <g, output> along d is
<backward(g), d>. A wrong entry anywhere in backward's answer changes that, but for a coincidence;
which entry, and why, it does not show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .calls import Arguments, substitute
from .evidence import Tolerance, distinct_texts, same
from .slopes import slope, slopes
from .subject import Subject, random_like

MANY = 64
"""Entries of an input above which directions are tried first."""
DIRECTIONS = 3
SECOND = 1e-5
"""Share that a derivative of higher order may be off: the accuracy of the slope of a slope."""


class Pair(NamedTuple):
    """What is compared along one direction."""

    slope: float
    gradient: float
    """What backward gives."""
    margin: float
    """How far the two may be apart."""
    gaps: int
    """Entries of the output that have no slope along the direction, and were left out."""

    @property
    def agrees(self) -> bool:
        """Whether the two are equal, up to the accuracy of the measurement."""
        return abs(self.slope - self.gradient) <= self.margin

    @property
    def words(self) -> str:
        """The two numbers, in words."""
        gradient, slope = distinct_texts(self.gradient, self.slope)
        return f"backward gives {gradient}, the slope is {slope}"


def pairs_along(subject: Subject, place: int, grad_output: Tensor) -> Iterator[Pair]:
    """Yield the slope and what backward gives along random directions of one input.

    The last direction moves each entry by a share of itself: a small one stays in the domain longer.
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
    """Return the slope and what backward gives along one random direction of some inputs together.

    Args:
        subject: what is examined.
        places: of the inputs.
        grad_output: the weights of the output.
        seed: of the direction.
        by_share: move each entry by a share of itself.
        tolerance: how far the two may be apart; None for the subject's.
        alike: move entries of one value together, whichever input they are of, and with `by_share` those of one
            magnitude, and 0 not at all: where two are equal there may be a slope along no other direction.
    """
    values = {place: subject.arguments[place].detach().double() for place in places}
    if alike:
        directions = _directions_alike(values, 11 + seed, by_share)
    else:
        directions = {place: random_like(subject.arguments[place], 11 + seed + place).double() for place in places}
    size = 1.0
    for place, magnitudes in ((place, value.abs()) for place, value in values.items()):
        if by_share and not alike:
            directions[place] *= torch.where(magnitudes == 0, 1.0, magnitudes)
        elif magnitudes.numel() and not by_share:
            size = max(size, float(magnitudes.median()))

    def path(step: float) -> Tensor:
        arguments = subject.arguments
        for place, direction in directions.items():
            value = (values[place] + step * direction).to(arguments[place].dtype)
            arguments = substitute(arguments, place, value)
        return subject.differentiable(arguments)

    estimate = slope(path, size, subject.dtype)
    smooth = estimate.smooth.reshape(grad_output.shape)
    weights = torch.where(smooth, grad_output.double(), 0.0)
    parts = weights.flatten() * estimate.value
    errors = weights.flatten() * estimate.error.where(estimate.smooth, 0.0)
    gradients = subject.pull(weights.to(grad_output.dtype))
    gradient = sum(float((gradients[place].double() * direction).sum()) for place, direction in directions.items())
    tolerance = tolerance or subject.tolerance
    margin = tolerance.relative * float(parts.norm()) + tolerance.least + float(errors.norm())
    return Pair(float(parts.sum()), gradient, margin, int((~smooth).sum()))


def _directions_alike(values: Mapping[int, Tensor], seed: int, by_share: bool) -> dict[int, Tensor]:
    """Return a random direction for each input: entries of one value, or magnitude, get one number."""
    entries = torch.cat([value.flatten() for value in values.values()])
    kinds, kind = torch.unique(entries.abs() if by_share else entries, return_inverse=True)
    numbers = random_like(kinds, seed)[kind] * (entries if by_share else 1.0)
    parts = torch.split(numbers, [value.numel() for value in values.values()])
    return {place: part.reshape(value.shape) for (place, value), part in zip(values.items(), parts, strict=True)}


def depends(subject: Subject, place: int) -> bool:
    """Whether the output changes with an input at all, along a random direction."""
    variable = subject.arguments[place].detach()
    direction = random_like(variable, 11)

    def path(step: float) -> Tensor:
        return subject.differentiable(substitute(subject.arguments, place, variable + step * direction))

    return bool((slope(path, dtype=subject.dtype).value.abs() > 1e-8).any())


def is_slope(
    actual: Tensor,
    function: Callable[[Arguments], Tensor],
    arguments: Arguments,
    place: int,
    directions: int = DIRECTIONS,
) -> bool:
    """Whether a gradient is the slope of a number by one argument: along random directions, or by entries.

    Args:
        actual: the gradient.
        function: takes all arguments, returns the number.
        arguments: the point.
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

        def path(step: float, direction: Tensor = direction) -> Tensor:
            return function(substitute(arguments, place, variable + step * direction))

        estimate, parts = slope(path, dtype=dtype), actual * direction
        margin = SECOND * float(parts.norm() + 1e-3) + float(estimate.error)
        if estimate.smooth and abs(float(parts.sum() - estimate.value)) > margin:
            return False
        smooth = smooth and bool(estimate.smooth)
    if smooth or actual.numel() > MANY:
        return True
    column = slopes(function, arguments, place, dtype)
    expected, one = column.pull(torch.ones(())), torch.ones(())
    return same(torch.where(column.smooth, actual, expected), expected, SECOND, column.margin(one))
