r"""Softmax: any numbers become probabilities.

    y_j = e^(x_j) / Σ_k e^(x_k)

Shapes: x and y equal; the sums run over one dimension, of C classes, and every other index is on its own.

From log y_j = x_j − log Σ_k e^(x_k) follows ∂y_j/∂x_k = y_j ([j = k] − y_k). With g = ∂L/∂y:

    ∂L/∂x_k = Σ_j g_j y_j ([j = k] − y_k) = y_k (g_k − Σ_j g_j y_j)
    ẏ_j     = y_j (ẋ_j − Σ_k y_k ẋ_k)

The matrix of ∂y_j/∂x_k is symmetric, so both are one formula. No e^(x_k) overflows: the largest x is subtracted first,
which cancels in the fraction.

Source: Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs, 1990.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import at_least_float32, cast, public_op
from ._softmax_dim import prepare


class SoftmaxFunction(Function):
    """y = softmax of x over one dimension."""

    kind, keeps = "symmetric", "output"

    @staticmethod
    def forward(input: Tensor, dim: int) -> Tensor:
        return torch.softmax(input, dim)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (output,), (dim,) = ctx.saved_tensors, ctx.options
        y = at_least_float32(output)
        product = grad_output * y
        return cast(torch.addcmul(product, y, product.sum(dim, keepdim=True), value=-1), output.dtype), None


@public_op
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """Turn numbers into probabilities along a dimension, as torch.nn.functional.softmax does.

    Args:
        input: (*), floating point.
        dim: the dimension along which the result sums to 1; None is deprecated, see torch.
        _stacklevel: of the warning.
        dtype: what to cast the input to first; None for none.

    Returns:
        (*), in [0, 1].

    Raises:
        TypeError: not a tensor, or not floating point.
        IndexError: there is no such dimension.
    """
    input, dim = prepare("softmax", input, dim, _stacklevel, dtype)
    return SoftmaxFunction.apply(input, dim)
