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

from torch import Tensor
from torch.nn.functional import pad

from ._convolution import ConvolutionFunction, check_convolution
from ._public import autocast, public_op
from ._window import Sizes


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
        return ConvolutionFunction.apply(input, weight, bias, steps)
    return ConvolutionFunction.apply(input.unsqueeze(0), weight, bias, steps).squeeze(0)
