"""Sums over sliding windows, the linear map inside average pooling: their adjoint, and how many entries each has."""

from math import prod

import torch
from torch import Tensor
from torch.nn.functional import conv_transpose2d, fold

from ._pooling import Windows
from ._window import count_windows

SMALL = 2**14
"""Entries below which one call of any kind costs more than its arithmetic."""


def scatter_windows(windows: Windows, gradient: Tensor, size: tuple[int, int]) -> Tensor:
    """Give every entry the sum of the gradients of the windows that it is in: the adjoint of a sum over windows.

    Where windows tile the image each entry is in one, and its gradient is copied. Where they overlap it is a transposed
    convolution with a kernel of ones, each channel on its own; of few entries `fold` makes the same sum sooner.

    Args:
        windows: their options.
        gradient: (n, c, rows, columns) or (c, rows, columns).
        size: (height, width) of the image.
    """
    kernel, stride, padding, _ = windows
    planes, (rows, columns) = gradient.shape[:-2], gradient.shape[-2:]
    if kernel == stride and not any(padding) and size == (rows * kernel[0], columns * kernel[1]):
        return tile(gradient, *kernel)
    reached_down = (rows - 1) * stride[0] - 2 * padding[0] + kernel[0]
    reached_right = (columns - 1) * stride[1] - 2 * padding[1] + kernel[1]
    height, width = max(size[0], reached_down), max(size[1], reached_right)  # a last window of ceil_mode sticks out
    if 0 < gradient.numel() < SMALL:
        area = kernel[0] * kernel[1]
        shares = gradient.unsqueeze(-3).expand(*planes, area, rows, columns).reshape(-1, rows * columns)
        image = fold(shares, (height, width), kernel, 1, padding, stride).reshape(*planes, height, width)
    else:
        ones = gradient.new_ones((planes[-1], 1, *kernel))
        no_window = (height - reached_down, width - reached_right)
        image = conv_transpose2d(gradient, ones, None, stride, padding, no_window, planes[-1])
    return image if (height, width) == size else image[..., : size[0], : size[1]]


def tile(tensor: Tensor, height: int, width: int) -> Tensor:
    """Repeat each entry of (*, rows, columns) in a tile of (height, width)."""
    *images, rows, columns = tensor.shape
    tiles = tensor.reshape(*images, rows, 1, columns, 1).expand(*images, rows, height, columns, width)
    return tiles.reshape(*images, rows * height, columns * width)


def entries(
    windows: Windows, size: tuple[int, int], ceil_mode: bool, count_include_pad: bool, reference: Tensor
) -> Tensor | int:
    """Count the entries that each window averages over: one number where all have as many, else (rows, columns).

    Padding counts with count_include_pad; what lies beyond it never does.
    """
    kernel, stride, padding, _ = windows
    if not ceil_mode and (count_include_pad or padding == (0, 0)):
        return prod(kernel)

    def axis_counts(axis: int) -> Tensor:
        whole, k, s, p = size[axis], kernel[axis], stride[axis], padding[axis]
        starts = [s * place - p for place in range(count_windows(whole, k, s, p, ceil_mode))]
        first, last = (-p, whole + p) if count_include_pad else (0, whole)
        interior = [max(1, min(start + k, last) - max(start, first)) for start in starts]  # padding alone gives 0 / 1
        return torch.tensor(interior, dtype=reference.dtype, device=reference.device)

    return torch.outer(axis_counts(0), axis_counts(1))
