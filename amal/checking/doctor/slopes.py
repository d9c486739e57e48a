"""Slopes of an output, measured: by steps that fit the function, with an estimate of how far they may be off.

No single step fits log at 0.005 and sin(100 x). A central difference with step h is off by about h² f‴ / 6, as the
function bends, and by about 1e-16 f / h, as numbers are rounded. Two of them, with h and 2 h, give a value right to
fourth order; a third, with 4 h, gives another such value, and their distance bounds the error of the first. Steps are
made smaller until that is small enough and all points lie in the domain. Where no step will do, or the slope to the
left is another than that to the right, there is no slope, and whoever asked is told so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

STEPS: Final = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Tried in this order."""
PRECISE: Final = 1e-8
"""Error, as a share of the largest slope, at which no smaller step is tried."""
COARSE: Final = 1e-4
"""Error, as a share of the largest slope, above which there is no slope."""
EPSILON: Final = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Slope:
    """The derivative of an output along one direction, measured; entry by entry of the output, flat."""

    value: Tensor
    """Float64; 0 where nothing could be measured."""
    error: Tensor
    """How far the value may be off; infinite where nothing could be measured."""
    kink: Tensor
    """Whether the slope to the left is another than that to the right."""

    @property
    def smooth(self) -> Tensor:
        """Of each entry of the output, whether there is a slope."""
        scale = self.value.abs().max() if self.value.numel() else torch.zeros(())
        return ~self.kink & (self.error <= COARSE * scale + 1e-7)


def slope(along: Callable[[float], Tensor], scale: float = 1.0) -> Slope:
    """Measure the derivative at 0 of a function of one number.

    Args:
        along: takes a step, returns the output there.
        scale: of the steps.
    """

    here = along(0.0).detach().double().flatten()

    def there(distance: float) -> Tensor:
        try:
            return along(distance).detach().double().flatten().reshape(here.shape)
        except Exception:  # outside the domain: like what gives NaN there
            return torch.full_like(here, torch.nan)

    best = Slope(torch.zeros_like(here), torch.full_like(here, torch.inf), torch.zeros_like(here, dtype=torch.bool))
    if not here.numel():
        return best
    for step in STEPS:
        h = step * scale
        points = [(there(k * h), there(-k * h)) for k in (1, 2, 4)]
        near, middle, far = ((a - b) / (2 * k * h) for k, (a, b) in zip((1, 2, 4), points, strict=True))
        value = (4 * near - middle) / 3
        largest = torch.stack([side.abs() for pair in points for side in pair]).amax(0)
        still = torch.stack([(side == here) for pair in points for side in pair]).all(0)
        rounding = torch.where(still, 0.0, EPSILON * (4 * largest / h + value.abs() / step))
        error = ((value - (4 * middle - far) / 3).abs() + rounding).nan_to_num(torch.inf, torch.inf)
        # Of a smooth function the change of slope from left to right halves with the step; at a kink it stays.
        change, wider = (((a - 2 * here + b) / (k * h)).abs() for k, (a, b) in zip((1, 2), points, strict=False))
        kink = (change > 0.75 * wider) & (change > 1e-3 * value.abs().amax() + 2 * rounding)
        better = error < best.error
        best = Slope(
            torch.where(better, value.nan_to_num(0.0, 0.0, 0.0), best.value),
            torch.where(better, error, best.error),
            torch.where(better, kink, best.kink & kink),
        )
        if bool((best.error <= PRECISE * best.value.abs().amax() + 2 * rounding).all()) and not best.kink.any():
            break
    return best


@dataclass(frozen=True)
class Slopes:
    """How an output moves with one input, measured."""

    jacobian: Tensor
    """(entries of the output, entries of the input), float64."""
    error: Tensor
    """Of each entry of the Jacobian, how far it may be off; 0 in columns that are not smooth."""
    smooth: Tensor
    """Of each entry of the input: whether the output has a slope there."""
    shape: torch.Size

    def pull(self, grad_output: Tensor) -> Tensor:
        """Return what grad_output gives for the input: the gradient that backward should return."""
        return (grad_output.double().flatten() @ self.jacobian).reshape(self.shape)

    def margin(self, grad_output: Tensor) -> Tensor:
        """Return how far `pull` may be off, entry by entry."""
        return (grad_output.double().abs().flatten() @ self.error).reshape(self.shape)


def slopes(function: Callable[..., Tensor], arguments: Sequence[Any], position: int) -> Slopes:
    """Measure the derivative of a function's output by each entry of one argument."""
    variable = arguments[position].detach()
    entries = variable.flatten()

    def moved(entry: int, step: float) -> Tensor:
        there = variable.clone(memory_format=torch.contiguous_format)
        there.view(-1)[entry] += step
        return function((*arguments[:position], there, *arguments[position + 1 :]))

    columns = [
        slope(lambda step, entry=entry: moved(entry, step), max(1.0, float(entries[entry].abs())))  # type: ignore[misc]
        for entry in range(variable.numel())
    ]
    smooth = [bool(column.smooth.all()) for column in columns]
    empty = torch.zeros(0 if columns else function(tuple(arguments)).numel(), 0, dtype=torch.float64)
    if not columns:
        return Slopes(empty, empty, torch.ones(variable.shape, dtype=torch.bool), variable.shape)
    error = torch.stack(
        [of.error if there else torch.zeros_like(of.error) for of, there in zip(columns, smooth, strict=True)], 1
    )
    jacobian = torch.stack([column.value for column in columns], 1)
    return Slopes(jacobian, error, torch.tensor(smooth).reshape(variable.shape), variable.shape)
