r"""Threshold: what does not exceed a threshold is replaced by a value.

    y = x where x > θ, else v

Shapes: x and y equal; every entry is on its own; θ and v are numbers.

Where v was put the input is forgotten; where x passed the slope is 1. At x = θ it is 0, as in torch. With g = ∂L/∂y:

    ∂L/∂x = g [x > θ]                             ẏ = ẋ [x > θ]

where [x > θ] is 1 or 0. relu is the case θ = v = 0.

Source: torch.nn.Threshold.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import check_tensors, overwrite, public_op, step_mask


class ThresholdFunction(Function):
    """y = x where x > θ, else v."""

    kind, keeps = "symmetric", "input"

    @staticmethod
    def forward(input: Tensor, threshold: float, value: float) -> Tensor:
        return torch.threshold(input, threshold, value)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        (input,), (threshold, _) = ctx.saved_tensors, ctx.options
        return grad_output * step_mask(input, threshold), None, None


@public_op
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Replace entries that do not exceed a threshold, as torch.nn.functional.threshold does.

    Args:
        input: (*), floating point.
        threshold: θ, what an entry must exceed to stay.
        value: v, what the others become.
        inplace: overwrite `input` with the result.

    Returns:
        (*).

    Raises:
        TypeError: not a tensor, or not floating point.
    """
    check_tensors("threshold", input=input)
    if inplace:
        return overwrite(lambda copy: ThresholdFunction.apply(copy, threshold, value), input)
    return ThresholdFunction.apply(input, threshold, value)
