"""The slope along random directions: two numbers to compare for each, however many entries there are.

For a direction d of an input and a gradient g of the output, the slope of <g, output> along d is <backward(g), d>. A
wrong entry anywhere in backward's answer shows in that, but for a coincidence; which entry, and why, it does not show.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .slopes import slope
from .subject import Subject, random_like

MANY = 64
"""Entries of an input above which directions are tried first."""
DIRECTIONS = 3


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
    subject: Subject, places: Sequence[int], grad_output: Tensor, seed: int = 0, by_share: bool = False
) -> Pair:
    """Return what is measured and what backward gives along one random direction of some inputs together."""
    directions = {place: random_like(subject.arguments[place], 11 + seed + place).double() for place in places}
    size = 1.0
    for place in places:
        values = subject.arguments[place].detach().double().abs()
        if by_share:
            directions[place] *= torch.where(values == 0, 1.0, values)
        elif values.numel():
            size = max(size, float(values.median()))

    def along(step: float) -> Tensor:
        moved = list(subject.arguments)
        for place, direction in directions.items():
            moved[place] = (moved[place].detach().double() + step * direction).to(moved[place].dtype)
        return subject.differentiable(tuple(moved))

    found = slope(along, size)
    smooth = found.smooth.reshape(grad_output.shape)
    weights = torch.where(smooth, grad_output.double(), 0.0)
    parts, errors = weights.flatten() * found.value, weights.flatten() * found.error.where(found.smooth, 0.0)
    returned = subject.pulled(weights.to(grad_output.dtype))
    given = sum(float((returned[place].double() * direction).sum()) for place, direction in directions.items())
    margin = float(subject.tolerance.margin(parts.norm())) + float(errors.norm())
    return Pair(float(parts.sum()), given, margin, int((~smooth).sum()))


def depends(subject: Subject, place: int) -> bool:
    """Whether the output changes with an input at all, along a random direction."""
    variable = subject.arguments[place].detach()
    direction = random_like(variable, 11)

    def along(step: float) -> Tensor:
        moved = variable + step * direction
        return subject.differentiable((*subject.arguments[:place], moved, *subject.arguments[place + 1 :]))

    return bool((slope(along).value.abs() > 1e-8).any())
