r"""Convolution of an image: every output is the same affine map of a window that slides over the input.

    y_no,tu = b_o + Σ_c Σ_ab W_oc,ab x_nc,st − p + da, s'u − p' + d'b      a = 0 … k−1, b = 0 … k'−1

with stride s, padding p with zeros, dilation d of the rows, s', p', d' of the columns.
Shapes: x (n, in, height, width), W (out, in, k, k'), b (out), y (n, out, rows, columns), where
rows = ⌊(height + 2p − d(k−1) − 1) / s⌋ + 1, and columns alike.
With groups, the channels are dealt to that many convolutions side by side, and W is (out, in / groups, k, k').

Let g = ∂L/∂y, and ij the entry of x that meets ab at the place tu: i = st − p + da, j = s'u − p' + d'b.

    ∂L/∂x_nc,ij = Σ_o Σ_{tu, ab that meet in ij} g_no,tu W_oc,ab      transposed convolution of g with W
    ∂L/∂W_oc,ab = Σ_n Σ_tu g_no,tu x_nc,ij                            convolution of x with g
    ∂L/∂b_o     = Σ_n Σ_tu g_no,tu

The second has the form of the first line, with n in the place of c, g in the place of W, and s and d exchanged: ab is
now the place and tu runs over the kernel. A step (ẋ, Ẇ, ḃ) moves the output by ẏ = conv(ẋ, W) + conv(x, Ẇ) + ḃ.

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.5; Dumoulin and Visin, Guide to convolution arithmetic, 2016.
"""

from torch import Tensor
from torch.nn.functional import pad

from ._convolution import ConvolutionFunction, check_convolution
from ._public import autocast, public_op
from ._window import Sizes


@public_op
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve input with weight, as torch.nn.functional.conv2d does.

    stride, padding and dilation are one number, or one per axis: (height, width).

    Args:
        input: (n, in, height, width) or (in, height, width), floating point.
        weight: (out, in / groups, k, k').
        bias: (out); None for none.
        stride: entries from one place of the window to the next.
        padding: zeros put on all sides; 'valid' for none, 'same' for as many as keep the size (stride 1 only).
        dilation: distance of the entries of a window.
        groups: number of convolutions side by side that share the channels out.

    Returns:
        (n, out, rows, columns) or (out, rows, columns).

    Raises:
        ValueError: the shapes do not fit, the tensors lie on different devices, or an option is out of range.
        TypeError: not floating-point tensors of one dtype, or options that are no integers.
    """
    input, weight, bias = autocast(input, weight, bias)  # type: ignore[assignment]
    steps, more = check_convolution("conv2d", input, weight, bias, stride, padding, dilation, groups)
    if any(more):
        input = pad(input, (0, more[1], 0, more[0]))
    if input.dim() == 4:
        return ConvolutionFunction.apply(input, weight, bias, steps)
    return ConvolutionFunction.apply(input.unsqueeze(0), weight, bias, steps).squeeze(0)
