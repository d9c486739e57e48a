r"""Logarithm of the softmax: log-probabilities, without the rounding of a probability near 0.

    y_j = log(e^(x_j) / Σ_k e^(x_k)) = x_j − log Σ_k e^(x_k)

Shapes: x and y equal; the sums run over one dimension, of C classes, and every other index is on its own.

The derivative of log Σ_k e^(x_k) by x_k is the probability p_k = e^(y_k). With g = ∂L/∂y:

    ∂L/∂x_k = Σ_j g_j ([j = k] − p_k) = g_k − p_k Σ_j g_j
    ẏ_j     = ẋ_j − Σ_k p_k ẋ_k

p is computed as softmax(y): since Σ e^(y_k) = 1 it is e^y, and takes half the time of exp. Its derivative is right too:
a step of y keeps Σ_k p_k ẏ_k = 0, and on such steps softmax and exp move alike.

Source: Goodfellow, Bengio and Courville, Deep Learning, 6.2.2.3.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import at_least_float32, cast, public_op
from ._softmax_dim import prepare


class LogSoftmaxFunction(Function):
    """y = log of the softmax of x over one dimension."""

    keeps = "output"

    @staticmethod
    def forward(input: Tensor, dim: int) -> Tensor:
        return input.log_softmax(dim)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (output,), (dim,) = ctx.saved_tensors, ctx.options
        g, p = at_least_float32(grad_output), at_least_float32(output).softmax(dim)
        return cast(torch.addcmul(g, p, g.sum(dim, keepdim=True), value=-1), output.dtype), None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor, _: None) -> Tensor:
        (output,), (dim,) = ctx.saved_tensors, ctx.options
        p = at_least_float32(output).softmax(dim)
        return (input_dot - (p * input_dot).sum(dim, keepdim=True)).to(output.dtype)


@public_op
def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Tensor:
    """Turn numbers into log-probabilities along a dimension, as torch.nn.functional.log_softmax does.

    Args:
        input: (*), floating point.
        dim: the dimension along which the exponentials of the result sum to 1; None is deprecated, see torch.
        _stacklevel: of the warning.
        dtype: what to cast the input to first; None for none.

    Returns:
        (*), at most 0.

    Raises:
        TypeError: not a tensor, or not floating point.
        IndexError: there is no such dimension.
    """
    input, dim = prepare("log_softmax", input, dim, _stacklevel, dtype)
    return LogSoftmaxFunction.apply(input, dim)
