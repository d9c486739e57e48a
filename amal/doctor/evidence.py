"""What explanations are made of: slopes, whether two gradients are equal, and where they differ."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .slopes import Slopes

NOTHING = 1e-9
"""A gradient below it is taken for 0."""
Explanation = tuple[str, str]
"""A code, and a sentence without its beginning: what is said of the gradient."""


@dataclass(frozen=True)
class Tolerance:
    """How far one number may be from another."""

    relative: float
    """As a share of the number itself; a tenth of it as a share of the largest."""
    absolute: float | None = None
    """Besides that; None for a thousandth of `relative`."""

    def at_least(self, relative: float) -> "Tolerance":
        """Return the same, where it is not smaller than a share."""
        return replace(self, relative=max(relative, self.relative))

    def margin(self, expected: Tensor) -> Tensor:
        """Return how far each entry may be off."""
        largest = expected.abs().max() if expected.numel() else 0.0
        return self.relative * (expected.abs() + 0.1 * largest) + self.least

    @property
    def least(self) -> float:
        """How far a number may be off that is 0."""
        return 1e-3 * self.relative if self.absolute is None else self.absolute


@dataclass(frozen=True)
class Evidence:
    """All that a hypothesis may look at, of one gradient."""

    position: int
    names: Sequence[str]
    arguments: Sequence[Any]
    output: Tensor
    slopes: Mapping[int, Slopes]
    """The slope of the output by each variable."""
    tolerance: Tolerance
    gradient_by_output: Callable[[Tensor, Tensor], Tensor] | None
    """The gradient of the first argument as the output gives it."""
    is_gradient_with: Callable[[Tensor, int, Tensor, Tensor], bool]
    """(actual, position, value, grad_output) -> whether a gradient were right if an argument had that value."""

    @property
    def name(self) -> str:
        """The input whose gradient it is."""
        return self.names[self.position]

    @property
    def slope(self) -> Slopes:
        """The slope of the output by that input."""
        return self.slopes[self.position]

    def same(self, actual: Tensor, expected: Tensor, error: Tensor | float = 0.0) -> bool:
        """Whether two gradients are equal, up to the accuracy of the measurement."""
        return same(actual, expected, self.tolerance, error)


def same(actual: Tensor, expected: Tensor, tolerance: Tolerance | float = 1e-6, error: Tensor | float = 0.0) -> bool:
    """Whether shapes are equal and entries differ by at most a small share of themselves or of the largest.

    Args:
        actual, expected: tensors.
        tolerance: how far they may be apart; a number is a share.
        error: how far `expected` may be off, entry by entry, which is allowed besides.
    """
    if actual.shape != expected.shape:
        return False
    if not actual.numel():
        return True
    actual, expected = actual.double(), expected.double()
    tolerance = tolerance if isinstance(tolerance, Tolerance) else Tolerance(tolerance)
    return bool(((actual - expected).abs() <= tolerance.margin(expected) + error).all())


def factor_text(ratio: float) -> str:
    """Return a factor with as many digits as it takes to see that it is not 1."""
    return next(text for digits in range(4, 18) if float(text := f"{ratio:.{digits}g}") != 1 or ratio == 1)


def distinct_texts(one: float, other: float) -> tuple[str, str]:
    """Return two numbers with as many digits as it takes to see that they are not equal, and six at least."""
    pairs = ((f"{one:.{digits}g}", f"{other:.{digits}g}") for digits in range(6, 18))
    return next((pair for pair in pairs if pair[0] != pair[1] or one == other), (f"{one:.17g}", f"{other:.17g}"))


def worst_entry(
    actual: Tensor, expected: Tensor, names: tuple[str, str] = ("backward gives", "the slope of the output is")
) -> str:
    """Say where two tensors differ most, and what each is there."""
    if actual.shape != expected.shape or not actual.numel():
        return ""
    difference = (actual.double() - expected.double()).abs().nan_to_num(float("inf"))
    worst = int(difference.argmax())
    index = ", ".join(str(int(number)) for number in torch.unravel_index(torch.tensor(worst), actual.shape))
    numbers = distinct_texts(float(actual.flatten()[worst]), float(expected.flatten()[worst]))
    return f"Worst entry{f' [{index}]' if index else ''}: {names[0]} {numbers[0]}, {names[1]} {numbers[1]}."
