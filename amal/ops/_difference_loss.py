r"""A loss of the difference of predictions and targets: its weights, and the public function of such losses.

With a weight w_i on each entry, and e the loss of one difference d_i, such as d²:

    L_i = w_i e(d_i)  ('none')       L = Σ_i w_i e(d_i)  ('sum')       L = Σ_i w_i e(d_i) / s  ('mean')

where s = Σ_i w_i. Shapes: d and w equal; L a scalar, or of their shape for 'none'.

Let g = ∂L_total/∂L. With s = 1 and no L on the right for 'sum' and 'none':

    ∂L/∂d_i = g w_i e'(d_i) / s      ∂L/∂w_i = g (e(d_i) − L) / s
    L̇ = Σ_i (w_i e'(d_i) ḋ_i + ẇ_i (e(d_i) − L)) / s               (no sum for 'none')

d and w are kept for backward, not x, t and w: the subtraction is a Function of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._losses import DifferenceFunction, check_equal_shapes, reduce_loss
from ._public import at_least_float32, autocast, check_tensors
from ._reduction import choose_reduction


@dataclass(frozen=True)
class EntryLoss:
    """The loss e of one difference."""

    name: str
    value: Callable[[Tensor], Tensor]
    """e(d)."""
    slope: Callable[[Tensor], Tensor]
    """e'(d)."""
    unweighted: Callable[[Tensor, Tensor, str], Tensor]
    """The loss of input, target and reduction without weights."""


class WeightedLossFunction(Function):
    """L = reduction(w e(d)), 'mean' being the weighted mean, for difference and weight of one shape."""

    @staticmethod
    def forward(difference: Tensor, weight: Tensor, loss: EntryLoss, reduction: str) -> Tensor:
        return _reduce(weight * loss.value(difference), weight, reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, EntryLoss, str], output: Tensor) -> None:
        difference, weight, ctx.loss, ctx.reduction = inputs
        ctx.save_for_backward(difference, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        d, weight = ctx.saved_tensors
        dtype, d, weight, g = d.dtype, at_least_float32(d), at_least_float32(weight), at_least_float32(grad_output)
        needs_difference, needs_weight, *_ = ctx.needs_input_grad
        g = g / weight.sum() if ctx.reduction == "mean" else g
        grad_difference = (ctx.loss.slope(d) * weight * g).to(dtype) if needs_difference else None
        grad_weight = (_weight_slope(ctx, d, weight) * g).to(dtype) if needs_weight else None
        return grad_difference, grad_weight, None, None

    @staticmethod
    def jvp(ctx: Any, difference_dot: Tensor | None, weight_dot: Tensor | None, *_: None) -> Tensor:
        d, weight = ctx.saved_tensors
        output_dot: Any = 0 if difference_dot is None else weight * ctx.loss.slope(d) * difference_dot
        if weight_dot is not None:
            output_dot = output_dot + weight_dot * _weight_slope(ctx, d, weight)
        return _reduce(output_dot, weight, ctx.reduction)


def _weight_slope(ctx: Any, d: Tensor, weight: Tensor) -> Tensor:
    """e(d) − L for the weighted mean, e(d) otherwise."""
    losses: Tensor = ctx.loss.value(d)
    return losses - _reduce(weight * losses, weight, "mean") if ctx.reduction == "mean" else losses


def _reduce(products: Tensor, weight: Tensor, reduction: str) -> Tensor:
    return products.sum() / weight.sum() if reduction == "mean" else reduce_loss(products, reduction)


def difference_loss(
    loss: EntryLoss,
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean {error}, as torch.nn.functional.{name} does, but never broadcast.

    Args:
        input: predictions, (*), floating point.
        target: (*), the same shape: (n, 1) against (n,) is an error here, where torch compares all pairs.
        size_average, reduce: deprecated, see `reduction`.
        reduction: 'mean' over all entries, 'sum', or 'none' for the {error}s themselves.
        weight: (*), a weight for each entry; the mean is then the weighted mean. None for none.

    Returns:
        A scalar, or (*) for reduction='none'.

    Raises:
        ValueError: shapes or devices differ, or the reduction is unknown.
        TypeError: not a tensor, not floating point, or different dtypes.
    """
    reduction = choose_reduction(loss.name, size_average, reduce, reduction, stacklevel=4)
    input, target, weight = autocast(input, target, weight, dtype=torch.float32)  # type: ignore[assignment]
    check_tensors(loss.name, optional=("weight",), input=input, target=target, weight=weight)
    check_equal_shapes(loss.name, input, target=target, weight=weight)
    if weight is None:
        return loss.unweighted(input, target, reduction)
    return WeightedLossFunction.apply(DifferenceFunction.apply(input, target), weight, loss, reduction)
