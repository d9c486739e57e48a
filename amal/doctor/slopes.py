"""Slopes of an output, measured: by steps that fit the function, with an estimate of how far they may be off.

No single step fits log at 0.005 and sin(100 x). A central difference with step h is off by about
h² f‴ / 6, as the function bends, and by about 1e-16 f / h, as numbers are rounded. Two of them, with h and
2 h, give a value right to fourth order; a third, with 4 h, gives another such value, and their distance
bounds the error of the first. Steps become smaller until that is small enough and all points lie in the
domain. Where no step will do, or the slope to the left is another than that to the right, there is no slope.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

STEPS: Final = {torch.float64: (1e-3, 1e-4, 1e-5, 1e-6, 1e-7), torch.float32: (1e-1, 3e-2, 1e-2)}
"""Tried in this order, for what is computed in a dtype."""
PRECISE: Final = 1e-8
"""Error, as a share of the largest slope, at which no smaller step is tried."""
COARSE: Final = {torch.float64: 1e-4, torch.float32: 1e-2}
"""Error, as a share of the largest slope, above which there is no slope."""
CHUNK: Final = 100_000
"""Entries of a Jacobian that are measured at a time."""


@dataclass(frozen=True)
class Slope:
    """The derivative of an output: (directions, entries of the output), or (entries) along one direction."""

    value: Tensor
    """Float64; 0 where nothing could be measured."""
    error: Tensor
    """How far the value may be off; infinite where nothing could be measured."""
    kink: Tensor
    """Whether the slope to the left is another than that to the right."""
    coarse: float = COARSE[torch.float64]

    @property
    def smooth(self) -> Tensor:
        """Of each entry of the output, whether there is a slope."""
        scale = self.value.abs().amax(-1, keepdim=True) if self.value.numel() else torch.zeros(())
        return ~self.kink & (self.error <= self.coarse * scale + 1e-7)


def slope(
    path: Callable[[float], Tensor],
    scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
    precise: float = PRECISE,
) -> Slope:
    """Measure the derivative at 0 of a function of one number.

    Args:
        path: takes a step, returns the output there.
        scale: of the steps.
        dtype: in which it is computed.
        precise: error, as a share of the largest slope, at which no smaller step is tried.
    """
    scales = torch.tensor([scale], dtype=torch.float64)
    rows = _measure(lambda _, step: path(step), [0], scales, dtype, precise)
    return Slope(rows.value[0], rows.error[0], rows.kink[0], rows.coarse)


def _measure(
    point: Callable[[int, float], Tensor],
    directions: Sequence[int],
    scales: Tensor,
    dtype: torch.dtype,
    precise: float = PRECISE,
) -> Slope:
    """Measure the derivatives along several directions, each with its scale, as `slope` does along one.

    `point` takes the number of a direction and a step, and returns the output there.
    """
    start = point(directions[0], 0.0).detach().double().flatten()

    def output(direction: int, distance: float) -> Tensor:
        try:
            return point(direction, distance).detach().double().flatten().reshape(start.shape)
        except Exception:  # outside the domain: like what gives NaN there
            return torch.full_like(start, torch.nan)

    value = start.new_zeros(len(directions), start.numel())
    error, kink = torch.full_like(value, torch.inf), torch.zeros_like(value, dtype=torch.bool)
    active = torch.arange(len(directions) if start.numel() else 0)
    epsilon = torch.finfo(dtype).eps
    for step in STEPS[dtype]:
        if not len(active):
            break
        h = step * scales[active, None]
        sizes = list(zip(active.tolist(), h[:, 0].tolist(), strict=True))
        points = [torch.stack([output(directions[i], k * size) for i, size in sizes]) for k in (1, -1, 2, -2, 4, -4)]
        pairs = list(zip(points[::2], points[1::2], strict=True))
        near, middle, far = ((a - b) / (2 * k * h) for k, (a, b) in zip((1, 2, 4), pairs, strict=True))
        now = (4 * near - middle) / 3
        stacked = torch.stack(points)
        still = (stacked == start).all(0)
        rounding = torch.where(still, 0.0, epsilon * (4 * stacked.abs().amax(0) / h + now.abs() / step))
        off = ((now - (4 * middle - far) / 3).abs() + rounding).nan_to_num(torch.inf, torch.inf)
        # Of a smooth function the change of slope from left to right halves with the step; at a kink it stays.
        change, wider = (((a - 2 * start + b) / (k * h)).abs() for k, (a, b) in zip((1, 2), pairs, strict=False))
        bent = (change > 0.75 * wider) & (change > 1e-3 * now.abs().amax(1, keepdim=True) + 2 * rounding)
        # Where two disagree by far more than either may be off, a wave fitted the larger step by chance.
        better = (off < error[active]) | ((now - value[active]).abs() > 10 * (off + error[active]))
        kink[active] = torch.where(better, bent, kink[active] & bent)
        value[active] = torch.where(better, now.nan_to_num(0.0, 0.0, 0.0), value[active])
        error[active] = torch.where(better, off, error[active])
        enough = error[active] <= precise * value[active].abs().amax(1, keepdim=True) + 2 * rounding
        active = active[~enough.all(1) | kink[active].any(1)]
    return Slope(value, error, kink, COARSE[dtype])


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


def slopes(
    function: Callable[..., Tensor], arguments: Sequence[Any], position: int, dtype: torch.dtype = torch.float64
) -> Slopes:
    """Measure the derivative of a function's output by each entry of one argument; computed in a dtype."""
    variable = arguments[position].detach()
    entries = variable.flatten()

    def point(entry: int, step: float) -> Tensor:
        other = variable.clone(memory_format=torch.contiguous_format)
        other.view(-1)[entry] += step
        return function((*arguments[:position], other, *arguments[position + 1 :]))

    rows = function(tuple(arguments)).numel()
    jacobian = torch.zeros(rows, variable.numel(), dtype=torch.float64)
    error, smooth = torch.zeros_like(jacobian), torch.ones(variable.numel(), dtype=torch.bool)
    scales = entries.double().abs().clamp(min=1.0)
    for some in torch.split(torch.arange(variable.numel()), max(1, CHUNK // max(rows, 1))):
        part = _measure(point, some.tolist(), scales[some], dtype)
        smooth[some] = part.smooth.all(1)
        jacobian[:, some], error[:, some] = part.value.T, torch.where(smooth[some, None], part.error, 0.0).T
    return Slopes(jacobian, error, smooth.reshape(variable.shape), variable.shape)
