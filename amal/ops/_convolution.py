"""Convolution along any number of axes: its Function, its two gradients as convolutions, and the public function.

Shapes below: input (n, in, *size), weight (out, in / groups, *kernel), output (n, out, *places), where * is one axis
(conv1d) or two (conv2d), and every option is a tuple of one number per axis.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ._convolution_options import Steps, check_convolution
from ._function import Function
from ._public import autocast
from ._window import Sizes


class ConvolutionFunction(Function):
    """y = W * x + b for input (n, in, *size), weight (out, in / groups, *kernel), bias (out) or None."""

    kind = "bilinear"

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps) -> Tensor:
        return convolve(input, weight, bias, steps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None, Steps], output: Tensor) -> None:
        input, weight, _, *ctx.options = inputs
        ctx.save_for_backward(input, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        needs_input, needs_weight, needs_bias, _ = ctx.needs_input_grad
        (steps,) = ctx.options
        grad_input = gradient_of_input(grad_output, weight, input.shape[2:], steps) if needs_input else None
        grad_weight = gradient_of_weight(input, grad_output, weight, steps) if needs_weight else None
        grad_bias = grad_output.sum((0, *range(2, grad_output.dim()))) if needs_bias else None
        return grad_input, grad_weight, grad_bias, None


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


def convolution(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve input with weight, as torch.nn.functional.{name} does.

    stride, padding and dilation are one number, or one per axis: ({axes}).

    Args:
        input: (n, in, {axes}) or (in, {axes}), floating point.
        weight: (out, in / groups, {kernel}).
        bias: (out); None for none.
        stride: entries from one place of the window to the next.
        padding: zeros put on all sides; 'valid' for none, 'same' for as many as keep the size (stride 1 only).
        dilation: distance of the entries of a window.
        groups: number of convolutions side by side that share the channels out.

    Returns:
        (n, out, {places}) or (out, {places}).

    Raises:
        ValueError: the shapes do not fit, the tensors lie on different devices, or an option is out of range.
        TypeError: not floating-point tensors of one dtype, or options that are no integers.
    """
    input, weight, bias = autocast(input, weight, bias)  # type: ignore[assignment]
    steps, more = check_convolution(axes, input, weight, bias, stride, padding, dilation, groups)
    if any(more):
        input = torch.nn.functional.pad(input, [side for extra in more[::-1] for side in (0, extra)])
    if input.dim() == axes + 2:
        return ConvolutionFunction.apply(input, weight, bias, steps)
    return ConvolutionFunction.apply(input.unsqueeze(0), weight, bias, steps).squeeze(0)
