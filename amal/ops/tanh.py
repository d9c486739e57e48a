r"""Hyperbolic tangent: a non-linearity that squashes any number into (−1, 1).

    y = tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)

Shapes: x and y equal; every entry is on its own.

By the quotient rule dy/dx = 1 − tanh² x, which needs no x once y is known. With g = ∂L/∂y:

    ∂L/∂x = g (1 − y²) = g − (g y) y              ẏ = ẋ (1 − y²)

The output is kept, not the input: a linear layer that follows keeps it too, so it costs nothing.

Source: TME 2, question 3; Goodfellow, Bengio and Courville, Deep Learning, 6.3.2.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import check_tensors, public_op


class TanhFunction(Function):
    """y = tanh x."""

    kind, keeps = "symmetric", "output"

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return input.tanh()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        return torch.addcmul(grad_output, grad_output * output, output, value=-1)


@public_op
def tanh(input: Tensor) -> Tensor:
    """Apply tanh to every entry, as torch.nn.functional.tanh does.

    Args:
        input: (*), floating point.

    Returns:
        (*), in [−1, 1].

    Raises:
        TypeError: not a tensor, or not floating point.
    """
    check_tensors("tanh", input=input)
    return TanhFunction.apply(input)
