r"""Average pooling of a signal: the mean of the entries under each place of a sliding window.

    y_t = 1/m_t Σ_a x_{st − p + a}        a = 0 … k−1,    stride s, padding p with 0

Shapes: x (n, c, length), y (n, c, places), places = ⌊(length + 2p − k) / s⌋ + 1, or rounded up (ceil_mode).
Each channel is on its own; the batch n may be missing.

The divisor m_t is the number of entries in the window: k with its padding, or without (count_include_pad=False), less
what a last window of ceil_mode has beyond it.

The map is linear in x, so a step ẋ goes the same way, and x need not be kept. With g = ∂L/∂y each entry gets
its share of every window that it is in:

    ∂L/∂x_i = Σ_t [window t covers i] g_t / m_t      a transposed convolution of g / m with ones
    ẏ = average of ẋ over the same windows

A signal is an image of height 1, and AvgPool2dFunction does this for images.

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.3.
"""

from torch import Tensor

from ._pooling import check_flag, check_windows, image_windows
from ._public import public_op
from ._window import Sizes
from .avg_pool2d import AvgPool2dFunction


@public_op
def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Take the mean of sliding windows, as torch.nn.functional.avg_pool1d does.

    Args:
        input: (n, c, length) or (c, length), floating point.
        kernel_size: entries in a window.
        stride: entries from one window to the next; None for kernel_size.
        padding: zeros put on both sides, at most half of kernel_size.
        ceil_mode: whether a last window may stick out.
        count_include_pad: whether the zeros of the padding count as entries.

    Returns:
        (n, c, places) or (c, places).

    Raises:
        TypeError: not a floating-point tensor, or an option of another type.
        ValueError: the shape or an option is out of range, or no window fits.
    """
    windows = check_windows("avg_pool1d", input, 1, kernel_size, stride, padding, 1, ceil_mode)
    check_flag("avg_pool1d", "count_include_pad", count_include_pad)
    image = input.unsqueeze(-2)
    return AvgPool2dFunction.apply(image, image_windows(windows), ceil_mode, count_include_pad, None).squeeze(-2)
