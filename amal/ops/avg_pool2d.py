r"""Average pooling of an image: the mean of the entries under each place of a sliding window.

    y_tu = 1/m_tu Σ_ab x_{st − p + a, s'u − p' + b}      a = 0 … k−1, b = 0 … k'−1

with stride s and padding p of the rows, s' and p' of the columns; x is 0 in the padding.
Shapes: x (n, c, height, width), y (n, c, rows, columns), rows = ⌊(height + 2p − k) / s⌋ + 1, or rounded up
(ceil_mode). Each channel is on its own; the batch n may be missing.

The divisor m_tu is the number of entries in the window: k k' with its padding, or without (count_include_pad=False),
less what a last window of ceil_mode has beyond it; or a number of one's own (divisor_override).

The map is linear in x, so a step ẋ goes the same way, and x need not be kept. With g = ∂L/∂y each entry gets
its share of every window that it is in:

    ∂L/∂x_ij = Σ_tu [window tu covers ij] g_tu / m_tu      a transposed convolution of g / m with ones
    ẏ = average of ẋ over the same windows

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.3.
"""

from typing import Any

import torch
from torch import Tensor

from ._average import entries, scatter_windows
from ._function import Function
from ._pooling import Windows, check_flag, check_windows
from ._public import multiply, public_op
from ._window import Sizes


class AvgPool2dFunction(Function):
    """y = mean over windows, for input (*, c, height, width)."""

    kind = "linear"

    @staticmethod
    def forward(
        input: Tensor, windows: Windows, ceil_mode: bool, count_include_pad: bool, divisor_override: int | None
    ) -> Tensor:
        kernel_size, stride, padding, _ = windows
        return torch.nn.functional.avg_pool2d(
            input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, *ctx.options = inputs
        ctx.size = tuple(input.shape[-2:])

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        windows, ceil_mode, count_include_pad, divisor = ctx.options
        divisor = divisor or entries(windows, ctx.size, ceil_mode, count_include_pad, grad_output)
        each = grad_output / divisor if isinstance(divisor, Tensor) else multiply(grad_output, 1 / divisor)
        return scatter_windows(windows, each, ctx.size), None, None, None, None


@public_op
def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of sliding windows, as torch.nn.functional.avg_pool2d does.

    kernel_size, stride and padding are one number, or one per axis: (height, width).

    Args:
        input: (n, c, height, width) or (c, height, width), floating point.
        kernel_size: entries in a window.
        stride: entries from one window to the next; None for kernel_size.
        padding: zeros put on all sides, at most half of kernel_size.
        ceil_mode: whether a last window may stick out.
        count_include_pad: whether the zeros of the padding count as entries.
        divisor_override: divide by this number, not by that of the entries.

    Returns:
        (n, c, rows, columns) or (c, rows, columns).

    Raises:
        TypeError: not a floating-point tensor, or an option of another type.
        ValueError: the shape or an option is out of range, or no window fits.
    """
    windows = check_windows("avg_pool2d", input, 2, kernel_size, stride, padding, 1, ceil_mode)
    check_flag("avg_pool2d", "count_include_pad", count_include_pad)
    if divisor_override is not None and (isinstance(divisor_override, bool) or not isinstance(divisor_override, int)):
        raise TypeError(f"avg_pool2d: divisor_override is {divisor_override!r}, expected an integer or None")
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override is 0, expected another number")
    return AvgPool2dFunction.apply(input, windows, ceil_mode, count_include_pad, divisor_override)
