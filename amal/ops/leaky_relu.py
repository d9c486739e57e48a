r"""Leaky rectified linear unit: what is negative becomes small, so that it can still learn.

    y = x where x > 0, else a x                   a = 0.01 unless told

Shapes: x and y equal; every entry is on its own; a is a number.

The slope y' is 1 where x > 0 and a elsewhere, the kink x = 0 included, as in torch. With g = ∂L/∂y:

    ∂L/∂x = g y'                                  ẏ = ẋ y'

The input is kept and not the output: for a < 0 the sign of y does not tell that of x.

Source: Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import check_tensors, overwrite, public_op


class LeakyReLUFunction(Function):
    """y = x where x > 0, else a x."""

    kind, keeps = "symmetric", "input"

    @staticmethod
    def forward(input: Tensor, negative_slope: float) -> Tensor:
        return torch.nn.functional.leaky_relu(input, negative_slope)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (input,), (negative_slope,) = ctx.saved_tensors, ctx.options
        slope = torch.threshold_(input.sign(), 0.5, negative_slope)  # the sign is −1, 0 or 1: what is not 1 becomes a
        return grad_output * slope, None


@public_op
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Multiply negative entries by a small slope, as torch.nn.functional.leaky_relu does.

    Args:
        input: (*), floating point.
        negative_slope: a, what negative entries are multiplied by.
        inplace: overwrite `input` with the result.

    Returns:
        (*).

    Raises:
        TypeError: not a tensor, or not floating point.
    """
    check_tensors("leaky_relu", input=input)
    if inplace:
        return overwrite(lambda copy: leaky_relu(copy, negative_slope), input)
    return LeakyReLUFunction.apply(input, negative_slope)
