r"""Convolution of a signal: every output is the same affine map of a window that slides over the input.

    y_not = b_o + Σ_c Σ_a W_oca x_n,c,st − p + da      a = 0 … k−1

with stride s, padding p with zeros, dilation d.
Shapes: x (n, in, length), W (out, in, k), b (out), y (n, out, places), places = ⌊(length + 2p − d(k−1) − 1) / s⌋ + 1.
With groups, the channels are dealt to that many convolutions side by side, and W is (out, in / groups, k).

Let g = ∂L/∂y. The entry x_nci enters y_not through the W_oca with i = st − p + da, and W_oca enters every y_not:

    ∂L/∂x_nci = Σ_o Σ_{t, a : st − p + da = i} g_not W_oca      transposed convolution of g with W
    ∂L/∂W_oca = Σ_n Σ_t g_not x_n,c,st − p + da                 convolution of x with g
    ∂L/∂b_o   = Σ_n Σ_t g_not

The second has the form of the first line, with n in the place of c, g in the place of W, and s and d exchanged: a is
now the place and t runs over the kernel. A step (ẋ, Ẇ, ḃ) moves the output by ẏ = conv(ẋ, W) + conv(x, Ẇ) + ḃ.

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.5; Dumoulin and Visin, Guide to convolution arithmetic, 2016.
"""

from typing import Any

from torch import Tensor
from torch.nn.functional import pad

from ._convolution import Steps, check_convolution, convolve, gradient_of_input, gradient_of_weight
from ._function import Function
from ._public import autocast, public_op
from ._window import Sizes


class Conv1dFunction(Function):
    """y = W * x + b for input (n, in, length), weight (out, in / groups, k), bias (out) or None."""

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps) -> Tensor:
        return convolve(input, weight, bias, steps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None, Steps], output: Tensor) -> None:
        input, weight, _, ctx.steps = inputs
        ctx.save_for_backward(input, weight)
        ctx.save_for_forward(input, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        needs_input, needs_weight, needs_bias, _ = ctx.needs_input_grad
        grad_input = gradient_of_input(grad_output, weight, input.shape[2:], ctx.steps) if needs_input else None
        grad_weight = gradient_of_weight(input, grad_output, weight, ctx.steps) if needs_weight else None
        grad_bias = grad_output.sum((0, 2)) if needs_bias else None
        return grad_input, grad_weight, grad_bias, None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor, weight_dot: Tensor, bias_dot: Tensor | None, _: None) -> Tensor:
        input, weight = ctx.saved_tensors
        return convolve(input_dot, weight, bias_dot, ctx.steps) + convolve(input, weight_dot, None, ctx.steps)


@public_op
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve input with weight, as torch.nn.functional.conv1d does.

    Args:
        input: (n, in, length) or (in, length), floating point.
        weight: (out, in / groups, k).
        bias: (out); None for none.
        stride: entries from one place of the window to the next.
        padding: zeros put on both sides; 'valid' for none, 'same' for as many as keep the length (stride 1 only).
        dilation: distance of the entries of a window.
        groups: number of convolutions side by side that share the channels out.

    Returns:
        (n, out, places) or (out, places).

    Raises:
        ValueError: the shapes do not fit, the tensors lie on different devices, or an option is out of range.
        TypeError: not floating-point tensors of one dtype, or options that are no integers.
    """
    input, weight, bias = autocast(input, weight, bias)  # type: ignore[assignment]
    steps, more = check_convolution("conv1d", input, weight, bias, stride, padding, dilation, groups)
    if any(more):
        input = pad(input, (0, *more))
    if input.dim() == 3:
        return Conv1dFunction.apply(input, weight, bias, steps)
    return Conv1dFunction.apply(input.unsqueeze(0), weight, bias, steps).squeeze(0)
