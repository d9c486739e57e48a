r"""Max pooling of a signal: the largest entry under each place of a sliding window.

    y_t = max_a x_{st − p + da}           a = 0 … k−1,    stride s, padding p with −∞, dilation d

Shapes: x (n, c, length), y (n, c, places), places = ⌊(length + 2p − d(k−1) − 1) / s⌋ + 1, or rounded up
(ceil_mode). Each channel is on its own; the batch n may be missing.

Let i_t be the index of the winner, the first of them in a tie: y_t = x_{i_t}, and a small change of x leaves i_t as it
is. So each y_t hands its gradient to its winner, and an entry that wins in several places gets the sum. With g = ∂L/∂y:

    ∂L/∂x_j = Σ_{t : i_t = j} g_t         scatter with addition
    ẏ_t = ẋ_{i_t}                         gather, its transpose

Only the indices are kept for it, not the input.

A signal is an image of height 1, and MaxPool2dFunction does this for images.

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.3.
"""

from torch import Tensor

from ._pooling import check_cover, check_windows, of_images
from ._public import public_op
from ._window import Sizes
from .max_pool2d import MaxPool2dFunction


@public_op
def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the maximum of sliding windows, as torch.nn.functional.max_pool1d does.

    Args:
        input: (n, c, length) or (c, length), floating point.
        kernel_size: entries in a window.
        stride: entries from one window to the next; None for kernel_size.
        padding: entries of −∞ put on both sides, at most half of kernel_size.
        dilation: distance of the entries of a window.
        ceil_mode: whether a last window may stick out.
        return_indices: whether to return the positions of the maxima too.

    Returns:
        (n, c, places) or (c, places); with return_indices also the positions, int64, of the same shape.

    Raises:
        TypeError: not a floating-point tensor, or an option of another type.
        ValueError: the shape or an option is out of range, no window fits, or one has padding alone.
    """
    windows = check_windows("max_pool1d", input, 1, kernel_size, stride, padding, dilation, ceil_mode)
    if padding:
        check_cover("max_pool1d", input, windows)
    output, indices = MaxPool2dFunction.apply(input.unsqueeze(-2), of_images(windows), ceil_mode)
    return (output.squeeze(-2), indices.squeeze(-2)) if return_indices else output.squeeze(-2)
