r"""Gaussian error linear unit: the input times the chance that a normal number is smaller.

    y = x Φ(x)                                    Φ(x) = (1 + erf(x / √2)) / 2
    y ≈ x (1 + tanh u) / 2                        u = √(2/π) (x + 0.044715 x³),    approximate='tanh'

Shapes: x and y equal; every entry is on its own.

Φ' is the normal density φ(x) = e^(−x²/2) / √(2π). By the product rule, with t = tanh u and
u' = √(2/π) (1 + 3·0.044715 x²):

    dy/dx = Φ(x) + x φ(x)
    dy/dx = (1 + t) / 2 + x (1 − t²) u' / 2       approximate='tanh'
    ∂L/∂x = g dy/dx                               ẏ = ẋ dy/dx

Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
"""

from math import pi, sqrt
from typing import Any

import torch
from torch import Tensor

from ._public import Function, check_tensors, public_op, wide

CUBIC = 0.044715


class GELUFunction(Function):
    """y = x Φ(x), or its approximation by a tanh."""

    @staticmethod
    def forward(input: Tensor, approximate: str) -> Tensor:
        return torch.nn.functional.gelu(input, approximate=approximate)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
        input, approximate = inputs
        ctx.slope = _slope_of_tanh if approximate == "tanh" else _slope
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (input,) = ctx.saved_tensors
        return (grad_output * ctx.slope(wide(input))).to(input.dtype), None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor, _: None) -> Tensor:
        (input,) = ctx.saved_tensors
        return (input_dot * ctx.slope(wide(input))).to(input.dtype)


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
    """Φ(x) + x φ(x), each pass over memory in place where nothing else needs the operand."""
    density = (x * x).mul_(-0.5).exp_()
    distribution = (x * sqrt(0.5)).erf_().mul_(0.5).add_(0.5)
    return torch.addcmul(distribution, x, density, value=1 / sqrt(2 * pi))


def _slope_of_tanh(x: Tensor) -> Tensor:
    square = x * x
    inner_slope = square.mul(3 * CUBIC).add_(1)  # u' and u both times √(π/2)
    t = square.mul_(CUBIC).add_(1).mul_(x).mul_(sqrt(2 / pi)).tanh_()
    falling = torch.addcmul(x, x * t, t, value=-1)  # x (1 − t²)
    return torch.addcmul(t.mul(0.5).add_(0.5), falling, inner_slope, value=sqrt(0.5 / pi))
