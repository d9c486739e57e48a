r"""Logistic sigmoid: any number becomes a probability, an open or shut gate.

    y = σ(x) = 1 / (1 + e⁻ˣ)

Shapes: x and y equal; every entry is on its own.

dy/dx = e⁻ˣ / (1 + e⁻ˣ)² = y (1 − y), which needs no x once y is known. With g = ∂L/∂y:

    ∂L/∂x = g y (1 − y) = g y − (g y) y           ẏ = ẋ y (1 − y)

The slope is at most 1/4 and vanishes at both ends: a saturated sigmoid stops learning.

Source: Goodfellow, Bengio and Courville, Deep Learning, 6.3.2; TME 2, question 3.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import check_tensors, public_op


class SigmoidFunction(Function):
    """y = σ(x)."""

    kind, keeps = "symmetric", "output"

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return torch.sigmoid(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        product = grad_output * output
        return torch.addcmul(product, product, output, value=-1)


@public_op
def sigmoid(input: Tensor) -> Tensor:
    """Apply the logistic sigmoid to every entry, as torch.nn.functional.sigmoid does.

    Args:
        input: (*), floating point.

    Returns:
        (*), in [0, 1].

    Raises:
        TypeError: not a tensor, or not floating point.
    """
    check_tensors("sigmoid", input=input)
    return SigmoidFunction.apply(input)
