r"""Gaussian error linear unit: the input times the chance that a normal number is smaller.

    y = x Φ(x)                                    Φ(x) = (1 + erf(x / √2)) / 2
    y ≈ x (1 + tanh u) / 2 = x σ(v)               v = 2u = √(8/π) (x + 0.044715 x³)    approximate='tanh'

Shapes: x and y equal; every entry is on its own.

Φ' is the normal density φ(x) = e^(−x²/2) / √(2π). By the product rule, with v' = √(8/π) (1 + 3·0.044715 x²) and
σ' = σ (1 − σ):

    dy/dx = Φ(x) + x φ(x)
    dy/dx = σ(v) + x v' σ'(v)                     approximate='tanh', x v' = 3v − 2 √(8/π) x
    ∂L/∂x = g dy/dx                               ẏ = ẋ dy/dx

Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
"""

from math import log, pi, sqrt
from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import at_least_float32, cast, check_tensors, public_op

LINEAR = sqrt(8 / pi)
CUBIC = LINEAR * 0.044715


class GELUFunction(Function):
    """y = x Φ(x), or its approximation by a tanh."""

    kind, keeps = "symmetric", "input"

    @staticmethod
    def forward(input: Tensor, approximate: str) -> Tensor:
        return torch.nn.functional.gelu(input, approximate=approximate)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (input,), (approximate,) = ctx.saved_tensors, ctx.options
        slope = _slope_of_tanh if approximate == "tanh" else _slope
        return cast(grad_output * slope(at_least_float32(input)), input.dtype), None


@public_op
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Apply the Gaussian error linear unit to every entry, as torch.nn.functional.gelu does.

    Args:
        input: (*), floating point.
        approximate: 'none', or 'tanh' for the approximation of the first implementations.

    Returns:
        (*).

    Raises:
        TypeError: not a tensor, or not floating point.
        ValueError: `approximate` is neither.
    """
    check_tensors("gelu", input=input)
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    return GELUFunction.apply(input, approximate)


def _slope(x: Tensor) -> Tensor:
    """Φ(x) + x φ(x), in place: fresh memory costs more than the arithmetic; a power of 2 a third of one of e."""
    density = x * (x * x).mul_(-0.5 / log(2)).exp2_()
    return (x * sqrt(0.5)).erf_().mul_(0.5).add_(0.5).add_(density, alpha=1 / sqrt(2 * pi))


def _slope_of_tanh(x: Tensor) -> Tensor:
    """σ + 3 (v − 2/3 √(8/π) x) σ (1 − σ): the cube is not computed twice."""
    v = torch.rsub(x * x, LINEAR, alpha=-CUBIC).mul_(x)
    s = v.sigmoid()
    return torch.addcmul(s, torch.sub(v, x, alpha=LINEAR * 2 / 3), torch.addcmul(s, s, s, value=-1), value=3)
