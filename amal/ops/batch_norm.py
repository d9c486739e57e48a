r"""Batch normalisation: each channel is brought to mean 0 and variance 1 over the batch.

    μ = mean x      v = mean (x − μ)²      r = 1 / √(v + ε)      x̂ = (x − μ) r      y = x̂ w + b

Shapes: x, x̂ and y (n, c, *); μ, v, r, w and b (c). The means are over the m entries of a channel: all dimensions but c.

Let g = ∂L/∂y. A step ẋ moves μ by μ̇ = mean ẋ and v by v̇ = 2 mean (x − μ) ẋ, so that

    ṙ = −r³ v̇ / 2 = −r² mean (x̂ ẋ)
    ẏ = w r (ẋ − mean ẋ − x̂ mean (x̂ ẋ)) + x̂ ẇ + ḃ      what x̂ and 1 explain of ẋ is taken away

That map of ẋ is its own transpose, so g takes the place of ẋ in the gradient; the sums are over a channel:

    ∂L/∂b = Σ g      ∂L/∂w = Σ g x̂      ∂L/∂x = w r (g − ∂L/∂b / m − x̂ ∂L/∂w / m)

μ and r are outputs too, because the backward pass needs them. A second derivative comes back through them, as gμ and
gr: it adds (gμ − gr r² x̂) / m to ∂L/∂x.

In evaluation μ and v are given numbers and nothing is taken away: ∂L/∂x = w r g and ẏ = w r ẋ + x̂ ẇ + ḃ.

Source: Ioffe and Szegedy, Batch Normalization, 2015, section 3.
"""

from math import prod
from typing import Any

import torch
from torch import Tensor

from amal import _torch

from ._function import Function
from ._normalization import check_parameters
from ._public import at_least_float32, cast, check_number, check_tensors, public_op


class BatchNormFunction(Function):
    """y, μ and r for input (n, c, *), weight and bias (c) or None, statistics (c), moved in training, or None."""

    @staticmethod
    def forward(
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        if input.numel() == 0:  # the kernel refuses what torch.nn.functional allows
            return input.clone(), input.new_zeros(input.shape[1]), input.new_zeros(input.shape[1])
        outputs = _torch.native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)
        if running_mean is None or running_var is None or training:
            return outputs
        return outputs[0], running_mean.clone(), (at_least_float32(running_var) + eps).rsqrt_().to(running_var.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        input, weight, *_, ctx.training, _, _ = inputs
        _, mean, rstd = output
        ctx.save_for_backward(input, weight, mean, rstd)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor | None, grad_mean: Tensor | None, grad_rstd: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        input, weight, mean, rstd = ctx.saved_tensors
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        needs_statistics = needs_input and ctx.training  # the statistics move with the input
        g = at_least_float32(torch.zeros_like(input) if grad_output is None else grad_output)
        rstd = at_least_float32(rstd)
        scale = rstd if weight is None else rstd * weight
        grad_bias: Any = _sum(g) if needs_statistics or needs_bias else None
        if needs_statistics or needs_weight:
            centred = _centre(input, mean)
            grad_weight = _sum(g * centred) * rstd
        if needs_statistics:
            m = _size_of_channel(input)
            slope, shift = scale * rstd * grad_weight, scale * grad_bias
            if grad_rstd is not None:
                slope = slope + grad_rstd * rstd**3
            grad_input = (g * _per_channel(scale, g)).sub_(_per_channel(shift, g), alpha=1 / m)
            grad_input = torch.addcmul(grad_input, centred, _per_channel(slope, g), value=-1 / m)
            if grad_mean is not None:
                grad_input = grad_input + _per_channel(grad_mean / m, g)
        elif needs_input:
            grad_input = g * _per_channel(scale, g)
        input_gradient = cast(grad_input, input.dtype) if needs_input else None
        return input_gradient, grad_weight if needs_weight else None, grad_bias if needs_bias else None, *(None,) * 5

    @staticmethod
    def jvp(
        ctx: Any, input_dot: Tensor | None, weight_dot: Tensor | None, bias_dot: Tensor | None, *_: None
    ) -> tuple[Tensor, Tensor, Tensor]:
        input, weight, mean, rstd = ctx.saved_tensors
        output_dot = at_least_float32(torch.zeros_like(input) if input_dot is None else input_dot)
        r = at_least_float32(rstd)
        normal = _centre(input, mean) * _per_channel(r, input)
        mean_dot, rstd_dot = torch.zeros_like(mean), torch.zeros_like(rstd)
        if ctx.training:
            m = _size_of_channel(input)
            mean_dot, projection = _sum(output_dot) / m, _sum(output_dot * normal) / m
            rstd_dot = -projection * r.square()
            output_dot = output_dot - _per_channel(mean_dot, normal) - normal * _per_channel(projection, normal)
        output_dot = output_dot * _per_channel(r if weight is None else r * weight, normal)
        if weight_dot is not None:
            output_dot = output_dot + normal * _per_channel(weight_dot, normal)
        if bias_dot is not None:
            output_dot = output_dot + _per_channel(bias_dot, normal)
        return output_dot.to(input.dtype), mean_dot.to(mean.dtype), rstd_dot.to(rstd.dtype)


@public_op
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel over the batch, as torch.nn.functional.batch_norm does.

    Args:
        input: (n, c, *), floating point.
        running_mean, running_var: (c), the statistics of evaluation. In training they are moved towards the batch's
            mean and unbiased variance; None, both, for none.
        weight: (c), or None for 1.
        bias: (c), or None for 0.
        training: whether the statistics are the batch's.
        momentum: how far the running statistics are moved: 1 is all the way.
        eps: added to the variance.

    Returns:
        (n, c, *).

    Raises:
        ValueError: the shapes do not fit, the tensors lie on different devices, a channel of one entry in training, no
            running statistics in evaluation, a running statistic that requires a gradient, eps not positive.
        TypeError: not a tensor, not floating point, dtypes that do not fit (a bfloat16 or float16 input may have
            float32 parameters and statistics), or an option of another type.
    """
    statistics = {"running_mean": running_mean, "running_var": running_var}
    _check(input, {"weight": weight, "bias": bias}, statistics, training, momentum, eps)
    if input.dim() == 1:  # empty: no channels
        return input.clone()
    output, _, _ = BatchNormFunction.apply(input, weight, bias, running_mean, running_var, training, momentum, eps)
    return output


Tensors = dict[str, Tensor | None]


def _check(input: Tensor, affine: Tensors, statistics: Tensors, training: bool, momentum: float, eps: float) -> None:
    check_tensors("batch_norm", input=input)
    if input.dim() < 2 and input.shape != (0,):
        raise ValueError(f"batch_norm: input is {tuple(input.shape)}, expected (n, c) or (n, c, *)")
    check_parameters("batch_norm", input, input.shape[1:2] or (0,), **affine, **statistics)
    missing = [name for name, tensor in statistics.items() if tensor is None]
    if missing and (not training or len(missing) == 1):
        expectation = "both or neither" if training else "both in evaluation"
        raise ValueError(f"batch_norm: {missing[0]} is None, expected {expectation}")
    for name, tensor in statistics.items():
        if tensor is not None and tensor.requires_grad:
            raise ValueError(f"batch_norm: {name} requires a gradient, expected {name}.detach()")
    if not isinstance(training, bool):
        raise TypeError(f"batch_norm: training is a {type(training).__name__}, expected True or False")
    check_number("batch_norm", "momentum", momentum)
    check_number("batch_norm", "eps", eps)
    if training and input.numel() > 0 and _size_of_channel(input) == 1:
        raise ValueError(
            f"batch_norm: input is {tuple(input.shape)}, expected more than one entry per channel in training"
        )
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm: eps is {eps}, expected a positive number")


def _size_of_channel(input: Tensor) -> int:
    """m, or 1 where there are no entries at all."""
    return input.shape[0] * prod(input.shape[2:]) or 1


def _per_channel(values: Tensor, reference: Tensor) -> Tensor:
    """(c) as (c, 1, ..., 1), to go with (n, c, *)."""
    return values if reference.dim() == 2 else values.view(-1, *(1,) * (reference.dim() - 2))


def _sum(entries: Tensor) -> Tensor:
    """Add up each channel: (n, c, *) to (c)."""
    return entries.sum((0, *range(2, entries.dim())))


def _centre(input: Tensor, mean: Tensor) -> Tensor:
    """x − μ, before anything is multiplied: where the mean is large, x r − μ r would cancel."""
    return at_least_float32(input) - _per_channel(at_least_float32(mean), input)
