r"""Rectified linear unit: what is negative becomes zero.

    y = max(x, 0)

Shapes: x and y equal; every entry is on its own.

The slope is 1 where x > 0 and 0 where x < 0; at the kink x = 0 there is none, and as in torch 0 is taken. y > 0 just
where x > 0, so the output tells which. With g = ∂L/∂y:

    ∂L/∂x = g sign y                              ẏ = ẋ sign y

sign y is 1 or 0, as a number: on a CPU to choose by a comparison takes ten times as long as to multiply.

Source: TME 2, question 3; Glorot, Bordes and Bengio, Deep Sparse Rectifier Neural Networks, 2011.
"""

from typing import Any

from torch import Tensor

from ._function import Function
from ._public import check_tensors, overwrite, public_op


class ReLUFunction(Function):
    """y = max(x, 0)."""

    kind = "symmetric"
    keeps = "output"  # y > 0 just where x > 0

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return input.relu()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        return grad_output * ctx.saved_tensors[0].sign()


@public_op
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Replace negative entries by zero, as torch.nn.functional.relu does.

    Args:
        input: (*), floating point.
        inplace: overwrite `input` with the result.

    Returns:
        (*), not negative.

    Raises:
        TypeError: not a tensor, or not floating point.
    """
    check_tensors("relu", input=input)
    if inplace:
        return overwrite(relu, input)
    return ReLUFunction.apply(input)
