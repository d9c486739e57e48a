r"""Adaptive average pooling: the mean over a given number of windows, as equal as can be, that cover the image.

    y_tu = Σ_ij A_ti x_ij B_uj            y = A x Bᵀ

Shapes: x (n, c, height, width), y (n, c, rows, columns), A (rows, height), B (columns, width). Each channel is on its
own; the batch n may be missing.

Row t of A averages over the entries from ⌊t height / rows⌋ to before ⌈(t+1) height / rows⌉: one over their number
there and 0 elsewhere. Windows overlap where rows does not divide height. B does the same for the columns.

The map is linear in x, so a step ẋ goes the same way, and x need not be kept. With g = ∂L/∂y:

    ∂L/∂x_ij = Σ_tu A_ti g_tu B_uj        ∂L/∂x = Aᵀ g B
    ẏ = A ẋ Bᵀ

Where rows divides height and columns width, the windows are tiles: each entry has its part of one g_tu, and no product
is needed.

Source: He, Zhang, Ren and Sun, Spatial Pyramid Pooling, 2014, section 2.2 (there with the maximum).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._average import tile
from ._function import Function
from ._public import check_tensors, public_op
from ._window import check_image, per_axis


class AdaptiveAvgPool2dFunction(Function):
    """y = A x Bᵀ for input (*, c, height, width)."""

    kind = "linear"

    @staticmethod
    def forward(input: Tensor, rows: int, columns: int) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(input, (rows, columns))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int, int], output: Tensor) -> None:
        input, *ctx.options = inputs
        ctx.size = tuple(input.shape[-2:])

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        (height, width), (rows, columns) = ctx.size, ctx.options
        if rows == columns == 1:
            return (grad_output / (height * width)).expand(*grad_output.shape[:-2], height, width), None, None
        if rows and columns and height % rows == width % columns == 0:
            fraction = rows * columns / (height * width)
            return tile(grad_output * fraction, height // rows, width // columns), None, None
        row_averages, column_averages = _averages(height, rows, grad_output), _averages(width, columns, grad_output)
        return row_averages.mT @ (grad_output @ column_averages), None, None


@public_op
def adaptive_avg_pool2d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Average over windows so that the output has a given size, as torch.nn.functional.adaptive_avg_pool2d does.

    Args:
        input: (n, c, height, width) or (c, height, width), floating point.
        output_size: (rows, columns), or a number for both; None for as many as the input has.

    Returns:
        (n, c, rows, columns) or (c, rows, columns).

    Raises:
        TypeError: not a floating-point tensor, or a size that is no integer.
        ValueError: the shape is wrong, or a size is negative.
    """
    check_tensors("adaptive_avg_pool2d", input=input)
    check_image("adaptive_avg_pool2d", input, 2)
    shape = tuple(input.shape)
    if 0 in shape[-2:]:
        raise ValueError(f"adaptive_avg_pool2d: input is {shape}, expected height and width of at least 1")
    if output_size is None:
        raise TypeError("adaptive_avg_pool2d: output_size is None, expected numbers, or (None, None)")
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(sizes) != 2:
        raise ValueError(f"adaptive_avg_pool2d: output_size is {output_size}, expected one number or two")
    output_sizes = [own if size is None else size for size, own in zip(sizes, shape[-2:], strict=True)]
    size = per_axis("adaptive_avg_pool2d", "output_size", output_sizes, 2, 0)
    return AdaptiveAvgPool2dFunction.apply(input, *size)


def _averages(size: int, windows: int, reference: Tensor) -> Tensor:
    """The matrix A (windows, size): its columns are the averages of the unit vectors."""
    unit = torch.eye(size, dtype=reference.dtype, device=reference.device).unsqueeze(0)
    return torch.nn.functional.adaptive_avg_pool1d(unit, windows).squeeze(0).mT
