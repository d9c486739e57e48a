r"""Layer normalisation: each example is brought to mean 0 and variance 1 over its own features.

    μ = mean x      v = mean (x − μ)²      r = 1 / √(v + ε)      x̂ = (x − μ) r      y = x̂ w + b

Shapes: x, x̂ and y (n, d); μ and r (n, 1); w and b (d). The means are over the d features.

Let g = ∂L/∂y and h = g w = ∂L/∂x̂. A step ẋ moves μ by μ̇ = mean ẋ and v by v̇ = 2 mean (x − μ) ẋ, so that

    ṙ = −r³ v̇ / 2 = −r² mean (x̂ ẋ)
    x̂̇ = r (ẋ − mean ẋ − x̂ mean (x̂ ẋ))             what x̂ and 1 explain of ẋ is taken away
    ẏ = x̂̇ w + x̂ ẇ + ḃ

That map of ẋ is its own transpose, so h takes the place of ẋ in the gradient:

    ∂L/∂x = r (h − mean h − x̂ mean (x̂ h))      ∂L/∂w = Σ_n g x̂      ∂L/∂b = Σ_n g

μ and r are outputs too, because the backward pass needs them. A second derivative comes back through them, as gμ and
gr: it adds (gμ − gr r² x̂) / d to ∂L/∂x.

Source: Ba, Kiros and Hinton, Layer Normalization, 2016.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from amal import _torch

from ._function import Function
from ._normalization import check_parameters
from ._public import at_least_float32, autocast, cast, check_number, check_tensors, public_op


class LayerNormFunction(Function):
    """y, μ and r for input (n, d), weight (d) or None, bias (d) or None, and ε."""

    @staticmethod
    def forward(input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        return _torch.native_layer_norm(input, input.shape[1:], weight, bias, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        input, weight, _, _ = inputs
        _, mean, rstd = output
        ctx.save_for_backward(input, weight, mean, rstd)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor | None, grad_mean: Tensor | None, grad_rstd: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        input, weight, mean, rstd = _at_least_float32(ctx.saved_tensors)
        needs_input, needs_weight, needs_bias, _ = ctx.needs_input_grad
        g = torch.zeros_like(input) if grad_output is None else at_least_float32(grad_output)
        grad_input = grad_weight = None
        if needs_input or needs_weight:
            normal = (input - mean).mul_(rstd)  # x̂
            product = g * normal
            grad_weight = product.sum(0) if needs_weight else None
            projection = product.sum(1, keepdim=True) if weight is None else (product @ weight).unsqueeze(1)
            del product  # its memory serves again
        grad_bias = g.sum(0) if needs_bias else None
        if needs_input:
            d = input.shape[1]
            if grad_rstd is not None:
                projection = projection + grad_rstd * rstd
            grad_normal = g if weight is None else g * weight  # h
            shift = grad_normal.sum(1, keepdim=True)
            if grad_mean is not None:
                shift = shift - grad_mean / rstd
            each = 1 / max(d, 1)
            grad_input = torch.addcmul(grad_normal, normal, projection, value=-each).sub_(shift, alpha=each).mul_(rstd)
            grad_input = cast(grad_input, ctx.saved_tensors[0].dtype)
        return grad_input, grad_weight, grad_bias, None

    @staticmethod
    def jvp(
        ctx: Any, input_dot: Tensor | None, weight_dot: Tensor | None, bias_dot: Tensor | None, _: None
    ) -> tuple[Tensor, Tensor, Tensor]:
        input, weight, mean, rstd = _at_least_float32(ctx.saved_tensors)
        x_dot = torch.zeros_like(input) if input_dot is None else at_least_float32(input_dot)
        normal = (input - mean) * rstd
        mean_dot = x_dot.mean(1, keepdim=True)
        projection = (normal * x_dot).mean(1, keepdim=True)
        output_dot = (x_dot - mean_dot - normal * projection) * rstd
        if weight is not None:
            output_dot = output_dot * weight
        if weight_dot is not None:
            output_dot = output_dot + normal * weight_dot
        if bias_dot is not None:
            output_dot = output_dot + bias_dot
        input_like, _, mean_like, rstd_like = ctx.saved_tensors
        return (
            output_dot.to(input_like.dtype),
            mean_dot.to(mean_like.dtype),
            (-projection * rstd.square()).to(rstd_like.dtype),
        )


@public_op
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last dimensions, as torch.nn.functional.layer_norm does.

    Args:
        input: (*, normalized_shape), floating point.
        normalized_shape: sizes of the last dimensions, those that mean and variance are taken over.
        weight: (normalized_shape), or None for 1.
        bias: (normalized_shape), or None for 0.
        eps: added to the variance.

    Returns:
        (*, normalized_shape).

    Raises:
        ValueError: the shapes do not fit, or the tensors lie on different devices.
        TypeError: not a tensor, not floating point, or dtypes that do not fit (a bfloat16 or float16 input may have
            float32 parameters), or a normalized_shape or eps of another type.
    """
    input, weight, bias = autocast(  # type: ignore[assignment]
        input, weight, bias, dtype=torch.float32, on=("cuda",)
    )
    shape = _check(input, normalized_shape, weight, bias, eps)
    if input.dim() == 2 and len(shape) == 1:
        output, _, _ = LayerNormFunction.apply(input, weight, bias, eps)
        return output
    d = prod(shape)
    rows = input.reshape(prod(input.shape[: input.dim() - len(shape)]), d)
    flat = (None if tensor is None else tensor.reshape(d) for tensor in (weight, bias))
    output, _, _ = LayerNormFunction.apply(rows, *flat, eps)
    return output.reshape(input.shape)


def _check(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[int, ...]:
    check_tensors("layer_norm", input=input)
    if not isinstance(normalized_shape, Sequence) or not all(
        isinstance(size, int | torch.SymInt) for size in normalized_shape
    ):
        raise TypeError(f"layer_norm: normalized_shape is {normalized_shape!r}, expected a tuple of integers")
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        shapes = f"input is {tuple(input.shape)} but normalized_shape {shape}"
        raise ValueError(f"layer_norm: {shapes}, expected the last dimensions of input, at least one")
    check_parameters("layer_norm", input, shape, weight=weight, bias=bias)
    check_number("layer_norm", "eps", eps)
    return shape


def _at_least_float32(tensors: tuple[Tensor | None, ...]) -> Any:
    return (None if tensor is None else at_least_float32(tensor) for tensor in tensors)
