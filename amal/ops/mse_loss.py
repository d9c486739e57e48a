r"""Mean squared error: how far predictions are from their targets.

    d = x − t        L_i = d_i²  ('none')        L = Σ_i d_i²  ('sum')        L = 1/n Σ_i d_i²  ('mean')

Shapes: x, t and d equal, n their number of entries; L a scalar, or of their shape for 'none'.

Let g = ∂L_total/∂L and c = 1/n for 'mean', 1 for 'sum' and 'none':

    ∂L/∂x_i = 2 c g d_i           ∂L/∂t_i = −∂L/∂x_i           L̇ = 2 c Σ_i d_i ḋ_i   (no sum for 'none')

With a weight w_i on each entry, 'none' is w_i d_i², 'sum' its sum, and 'mean' the weighted mean L = Σ_i w_i d_i² / s,
where s = Σ_i w_i. With s = 1 and no L on the right for 'sum' and 'none':

    ∂L/∂d_i = 2 g w_i d_i / s     ∂L/∂w_i = g (d_i² − L) / s     L̇ = Σ_i (2 w_i d_i ḋ_i + ẇ_i (d_i² − L)) / s

The weighted loss keeps d and w for backward, not x, t and w: the subtraction is a Function of its own.

Source: TME 1, questions 2 to 4. Its sheet divides by the number of rows q: that is mse_loss(..., reduction='sum') / q.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._losses import DifferenceFunction, check_equal_shapes, moved_apart, reduced, share, weighted, worth_of_weight
from ._public import autocast, check_tensors, of_dtype, public_op, wide
from ._reduction import choose_reduction


class MSEFunction(Function):
    """L = reduction((x − t)²) for input and target of one shape."""

    @staticmethod
    def forward(input: Tensor, target: Tensor, reduction: str) -> Tensor:
        return torch.nn.functional.mse_loss(input, target, reduction=reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, str], output: Tensor) -> None:
        input, target, ctx.reduction = inputs
        ctx.save_for_backward(input, target)
        ctx.save_for_forward(input, target)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, target = ctx.saved_tensors
        needs_input, needs_target, _ = ctx.needs_input_grad
        d = wide(input) - wide(target)
        grad_input = of_dtype(d * share(grad_output, ctx.reduction, d.numel(), 2), input.dtype)
        return grad_input if needs_input else None, -grad_input if needs_target else None, None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor | None, target_dot: Tensor | None, _: None) -> Tensor:
        input, target = ctx.saved_tensors
        return reduced(2 * (input - target) * moved_apart(input_dot, target_dot), ctx.reduction)


class WeightedMSEFunction(Function):
    """L = reduction(w d²), 'mean' being the weighted mean, for difference and weight of one shape."""

    @staticmethod
    def forward(difference: Tensor, weight: Tensor, reduction: str) -> Tensor:
        return weighted(difference.square(), weight, reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, str], output: Tensor) -> None:
        difference, weight, ctx.reduction = inputs
        ctx.save_for_backward(difference, weight)
        ctx.save_for_forward(difference, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        d, weight = ctx.saved_tensors
        dtype, d, weight, g = d.dtype, wide(d), wide(weight), wide(grad_output)
        needs_difference, needs_weight, _ = ctx.needs_input_grad
        g = g / weight.sum() if ctx.reduction == "mean" else g
        grad_difference = (d * weight * (2 * g)).to(dtype) if needs_difference else None
        grad_weight = (worth_of_weight(d.square(), weight, ctx.reduction) * g).to(dtype) if needs_weight else None
        return grad_difference, grad_weight, None

    @staticmethod
    def jvp(ctx: Any, difference_dot: Tensor | None, weight_dot: Tensor | None, _: None) -> Tensor:
        d, weight = ctx.saved_tensors
        moved: Any = 0 if difference_dot is None else 2 * weight * d * difference_dot
        if weight_dot is not None:
            moved = moved + weight_dot * worth_of_weight(d.square(), weight, ctx.reduction)
        return moved.sum() / weight.sum() if ctx.reduction == "mean" else reduced(moved, ctx.reduction)


@public_op
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean squared error, as torch.nn.functional.mse_loss does, but never broadcast.

    Args:
        input: predictions, (*), floating point.
        target: (*), the same shape: (n, 1) against (n,) is an error here, where torch compares all pairs.
        size_average, reduce: deprecated, see `reduction`.
        reduction: 'mean' over all entries, 'sum', or 'none' for the squared errors themselves.
        weight: (*), a weight for each entry; the mean is then the weighted mean. None for none.

    Returns:
        A scalar, or (*) for reduction='none'.

    Raises:
        ValueError: shapes or devices differ, or the reduction is unknown.
        TypeError: not a tensor, not floating point, or different dtypes.
    """
    reduction = choose_reduction("mse_loss", size_average, reduce, reduction)
    input, target, weight = autocast(input, target, weight, dtype=torch.float32)  # type: ignore[assignment]
    check_tensors("mse_loss", optional=("weight",), input=input, target=target, weight=weight)
    check_equal_shapes("mse_loss", input, target=target, weight=weight)
    if weight is not None:
        return WeightedMSEFunction.apply(DifferenceFunction.apply(input, target), weight, reduction)
    return MSEFunction.apply(input, target, reduction)
