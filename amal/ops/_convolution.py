"""Convolution along any number of axes: its Function, its two gradients as convolutions, and its checks.

Shapes below: input (n, in, *size), weight (out, in / groups, *kernel), output (n, out, *places), where * is one axis
(conv1d) or two (conv2d), and every option is a tuple of one number per axis.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import check_tensors
from ._window import AXES, Sizes, check_image, per_axis


@dataclass(frozen=True)
class Steps:
    """The options of a convolution, one number per axis each. No tuple: torch.func would take it apart."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def __iter__(self) -> Iterator[Any]:
        """Let the options be unpacked."""
        return iter((self.stride, self.padding, self.dilation, self.groups))


class ConvolutionFunction(Function):
    """y = W * x + b for input (n, in, *size), weight (out, in / groups, *kernel), bias (out) or None."""

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
        grad_bias = grad_output.sum((0, *range(2, grad_output.dim()))) if needs_bias else None
        return grad_input, grad_weight, grad_bias, None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor | None, weight_dot: Tensor | None, bias_dot: Tensor | None, _: None) -> Tensor:
        input, weight = ctx.saved_tensors
        x_dot = torch.zeros_like(input) if input_dot is None else input_dot
        output_dot = convolve(x_dot, weight, bias_dot, ctx.steps)
        return output_dot if weight_dot is None else output_dot + convolve(input, weight_dot, None, ctx.steps)


def convolve(input: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps) -> Tensor:
    """The convolution: output (n, out, *places)."""
    stride, padding, dilation, groups = steps
    none = (0,) * len(stride)
    return torch.convolution(input, weight, bias, stride, padding, dilation, False, none, groups)


def gradient_of_input(grad_output: Tensor, weight: Tensor, size: tuple[int, ...], steps: Steps) -> Tensor:
    """The transposed convolution of grad_output with weight: (n, in, *size).

    Several sizes of the input give the same number of places, if the stride leaves entries over at the end. Those get
    no gradient; torch calls their number output_padding.
    """
    stride, padding, dilation, groups = steps
    if len(grad_output) == 0:
        return _nothing(grad_output, (0, weight.shape[1] * groups, *size))
    reached = zip(grad_output.shape[2:], stride, padding, dilation, weight.shape[2:], strict=True)
    ends = [(count - 1) * s - 2 * p + d * (k - 1) + 1 for count, s, p, d, k in reached]
    left_over = [whole - end for whole, end in zip(size, ends, strict=True)]
    return torch.convolution(grad_output, weight, None, stride, padding, dilation, True, left_over, groups)


def gradient_of_weight(input: Tensor, grad_output: Tensor, weight: Tensor, steps: Steps) -> Tensor:
    """The convolution of input with grad_output, stride and dilation exchanged: (out, in / groups, *kernel).

    The sum over the batch is what a convolution does with its channels, so batch and channels change places: input
    becomes (in / groups, groups · n, *size), grad_output the kernels (out, n, *places). Two kinds of convolution have
    a form that takes half of the time: a kernel of one entry (a matrix product) and one channel a group (depthwise).
    """
    stride, padding, dilation, groups = steps
    batch, channels, *size = input.shape
    if batch == 0:
        return _nothing(grad_output, weight.shape)
    if groups == 1 and max(weight.shape[2:]) == 1 and max(padding) == 0:
        return _as_matrix_product(input, grad_output, stride).reshape(weight.shape)
    exchanged = Steps(dilation, padding, stride, groups)
    if channels == groups > 1:
        grad_weight = _image_by_image(input, grad_output, exchanged)
    else:
        images = input.transpose(0, 1)
        if groups > 1:
            images = images.reshape(groups, channels // groups, batch, *size).transpose(0, 1)
            images = images.reshape(channels // groups, groups * batch, *size)
        grad_weight = convolve(images, grad_output.transpose(0, 1), None, exchanged).transpose(0, 1)
    for axis, k in enumerate(weight.shape[2:], 2):
        if grad_weight.shape[axis] > k:  # entries left over at the end of the input gave further places
            grad_weight = grad_weight.narrow(axis, 0, k)
    # As the weight lies in memory, to the strides of axes of one entry: autograd copies any other, and DDP complains.
    return grad_weight.contiguous().view(weight.shape)


def _as_matrix_product(input: Tensor, grad_output: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Where the kernel is one entry, the convolution is a linear map at every place: gᵀ x, summed over the batch."""
    for axis, step in enumerate(stride, 2):
        if step > 1:
            input = input[(slice(None),) * axis + (slice(None, None, step),)]
    x, g = (tensor.reshape(*tensor.shape[:2], -1) for tensor in (input, grad_output))
    return (g @ x.mT).sum(0)


def _image_by_image(input: Tensor, grad_output: Tensor, exchanged: Steps) -> Tensor:
    """Where each group has one channel, there is nothing to sum over but the batch: its images are groups too."""
    batch, channels, *size = input.shape
    out, *places = grad_output.shape[1:]
    images, kernels = input.reshape(1, batch * channels, *size), grad_output.reshape(batch * out, 1, *places)
    each = convolve(images, kernels, None, replace(exchanged, groups=batch * channels))
    return each.reshape(batch, out, 1, *each.shape[2:]).sum(0)


def _nothing(grad_output: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient where there is no image to sum over: zero, and still a linear map of grad_output."""
    return grad_output.sum() * grad_output.new_zeros(shape)


def check_convolution(
    op: str,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: str | Sizes,
    dilation: Sizes,
    groups: int,
) -> tuple[Steps, tuple[int, ...]]:
    """Return the options, and what padding='same' adds at the end of each axis besides; or raise in words.

    Raises:
        TypeError: not floating-point tensors of one dtype, or options that are no integers.
        ValueError: shapes that do not fit together, different devices, or options out of range.
    """
    check_tensors(op, optional=("bias",), input=input, weight=weight, bias=bias)
    axes = 1 if op == "conv1d" else 2
    check_image(op, input, axes)
    _check_channels(op, input, weight, bias, groups, axes)
    steps = per_axis(op, "stride", stride, axes, 1)
    gaps = per_axis(op, "dilation", dilation, axes, 1)
    windows = [d * (k - 1) + 1 for d, k in zip(gaps, weight.shape[2:], strict=True)]
    pads, more = _paddings(op, padding, windows, steps)
    for size, window, p, extra in zip(input.shape[-axes:], windows, pads, more, strict=True):
        if size == 0 or size + extra + 2 * p < window:
            shapes = f"input is {tuple(input.shape)} with padding {padding!r} but weight {tuple(weight.shape)}"
            raise ValueError(f"{op}: {shapes} with dilation {dilation} expects at least {window} entries")
    return Steps(steps, pads, gaps, groups), more


def _check_channels(op: str, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, axes: int) -> None:
    if isinstance(groups, bool) or not isinstance(groups, int):
        raise TypeError(f"{op}: groups is {groups!r}, expected an integer")
    if groups < 1:
        raise ValueError(f"{op}: groups is {groups}, expected at least 1")
    shape = tuple(weight.shape)
    if len(shape) != axes + 2 or 0 in shape:
        raise ValueError(f"{op}: weight is {shape}, expected (out, in / groups, {AXES[axes]}), none empty")
    if shape[0] % groups:
        raise ValueError(f"{op}: weight is {shape}, expected out to be a multiple of groups, {groups}")
    channels = input.shape[-axes - 1]
    if channels != shape[1] * groups:
        of_groups = "" if groups == 1 else f" with groups={groups}"
        shapes = f"input is {tuple(input.shape)} but weight {shape}{of_groups}"
        raise ValueError(f"{op}: {shapes} expects {shape[1] * groups} channels")
    if bias is not None and bias.shape != shape[:1]:
        raise ValueError(f"{op}: bias is {tuple(bias.shape)} but weight {shape} expects a bias {shape[:1]}")


def _paddings(
    op: str, padding: str | Sizes, windows: list[int], stride: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The padding of both sides, and the entry more at the end that 'same' needs for a window of even length."""
    none = (0,) * len(windows)
    if not isinstance(padding, str):
        return per_axis(op, "padding", padding, len(windows), 0), none
    if padding == "valid":
        return none, none
    if padding != "same":
        raise ValueError(f"{op}: padding is {padding!r}, expected 'same', 'valid' or numbers")
    if max(stride) > 1:
        raise ValueError(f"{op}: padding is 'same' but stride {stride}, expected a stride of 1")
    return tuple((window - 1) // 2 for window in windows), tuple((window - 1) % 2 for window in windows)
