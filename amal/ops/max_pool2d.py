r"""Max pooling of an image: the largest entry under each place of a sliding window.

    y_tu = max_ab x_{st − p + da, s'u − p' + d'b}      a = 0 … k−1, b = 0 … k'−1

with stride s, padding p with −∞ and dilation d of the rows, s', p' and d' of the columns.
Shapes: x (n, c, height, width), y (n, c, rows, columns), rows = ⌊(height + 2p − d(k−1) − 1) / s⌋ + 1, or rounded
up (ceil_mode). Each channel is on its own; the batch n may be missing.

Let i_tu be the index of the winner in the image read line by line, the first of them in a tie: y_tu = x_{i_tu}, and a
small change of x leaves i_tu as it is. So each y_tu hands its gradient to its winner, and an entry that wins in several
places gets the sum. With g = ∂L/∂y:

    ∂L/∂x_j = Σ_{tu : i_tu = j} g_tu      scatter with addition
    ẏ_tu = ẋ_{i_tu}                       gather, its transpose

Only the indices are kept for it, not the input.

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.3.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._pooling import Windows, check_cover, check_windows, image_windows
from ._public import public_form
from ._window import Sizes


class MaxPool2dFunction(Function):
    """y = max over windows, and the index of each maximum, for input (*, height, width)."""

    @staticmethod
    def forward(input: Tensor, windows: Windows, ceil_mode: bool) -> tuple[Tensor, Tensor]:
        return torch.nn.functional.max_pool2d_with_indices(input, *windows, ceil_mode)  # type: ignore[call-arg]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        _, indices = output
        ctx.shape, ctx.places = inputs[0].shape, indices.shape
        ctx.line, ctx.winners = _in_one_line(ctx.shape), _in_one_line(ctx.places)
        ctx.mark_non_differentiable(indices)
        ctx.save_for_backward(indices)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor, _: None) -> tuple[Tensor | None, ...]:
        (indices,) = ctx.saved_tensors
        zeros = grad_output.new_zeros(()).expand(ctx.line)  # one number in memory: scatter_add makes the copy
        grad_input = zeros.scatter_add(-1, indices.reshape(ctx.winners), grad_output.reshape(ctx.winners))
        return grad_input.view(ctx.shape), None, None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor, *_: None) -> tuple[Tensor, None]:
        (indices,) = ctx.saved_tensors
        return input_dot.reshape(ctx.line).gather(-1, indices.reshape(ctx.winners)).view(ctx.places), None


def max_pool(
    axes: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the maximum of sliding windows, as torch.nn.functional.{name} does.

    Every number is for all axes, or there is one per axis: ({axes}).

    Args:
        input: (n, c, {axes}) or (c, {axes}), floating point.
        kernel_size: entries in a window.
        stride: entries from one window to the next; None for kernel_size.
        padding: entries of −∞ put on all sides, at most half of kernel_size.
        dilation: distance of the entries of a window.
        ceil_mode: whether a last window may stick out.
        return_indices: whether to return the positions of the maxima too.

    Returns:
        (n, c, {places}) or (c, {places}); with return_indices also the positions, int64, of the same shape,
        counted {order}.

    Raises:
        TypeError: not a floating-point tensor, or an option of another type.
        ValueError: the shape or an option is out of range, no window fits, or one has padding alone.
    """
    op = f"max_pool{axes}d"
    windows = check_windows(op, input, axes, kernel_size, stride, padding, dilation, ceil_mode)
    if padding:
        check_cover(op, input, windows)
    if axes == 2:
        output, indices = MaxPool2dFunction.apply(input, windows, ceil_mode)
    else:  # a signal is an image of height 1
        pair = MaxPool2dFunction.apply(input.unsqueeze(-2), image_windows(windows), ceil_mode)
        output, indices = (tensor.squeeze(-2) for tensor in pair)
    return (output, indices) if return_indices else output


max_pool2d = public_form(__name__, max_pool, 2, axes="height, width", places="rows, columns", order="line by line")


def _in_one_line(shape: torch.Size) -> tuple[int, ...]:
    """The shape of images read line by line: (*, height, width) to (*, height · width)."""
    return (*shape[:-2], shape[-2] * shape[-1])
