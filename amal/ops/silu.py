r"""Sigmoid linear unit, also called swish: the input times its own gate.

    y = x σ(x)                                    σ(x) = 1 / (1 + e⁻ˣ)

Shapes: x and y equal; every entry is on its own.

With s = σ(x), s' = s (1 − s) and g = ∂L/∂y, by the product rule:

    dy/dx = s + x s (1 − s) = s + s (x − x s)
    ∂L/∂x = g dy/dx                               ẏ = ẋ dy/dx

Source: Elfwing, Uchibe and Doya, Sigmoid-Weighted Linear Units, 2017; Ramachandran, Zoph and Le, Swish, 2017.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import at_least_float32, cast, check_tensors, overwrite, public_op


class SiLUFunction(Function):
    """y = x σ(x)."""

    kind, keeps = "symmetric", "input"

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return torch.nn.functional.silu(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (input,) = ctx.saved_tensors
        return cast(grad_output * _slope(input), input.dtype)


@public_op
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Multiply every entry by its sigmoid, as torch.nn.functional.silu does.

    Args:
        input: (*), floating point.
        inplace: overwrite `input` with the result.

    Returns:
        (*).

    Raises:
        TypeError: not a tensor, or not floating point.
    """
    check_tensors("silu", input=input)
    if inplace:
        return overwrite(silu, input)
    return SiLUFunction.apply(input)


def _slope(input: Tensor) -> Tensor:
    x = at_least_float32(input)
    s = x.sigmoid()
    return torch.addcmul(s, s, torch.addcmul(x, x, s, value=-1))
