r"""Mean absolute error: how far predictions are from their targets, with no more said about those far away.

    d = x − t        L_i = |d_i|  ('none')        L = Σ_i |d_i|  ('sum')        L = 1/n Σ_i |d_i|  ('mean')

Shapes: x, t and d equal, n their number of entries; L a scalar, or of their shape for 'none'.

Let g = ∂L_total/∂L and c = 1/n for 'mean', 1 for 'sum' and 'none'. The slope of |d| is the sign of d; at the kink
d = 0 it is 0, as in torch:

    ∂L/∂d_i = c g sign d_i        ∂L/∂x = ∂L/∂d        ∂L/∂t = −∂L/∂d        L̇ = c Σ_i sign(d_i) ḋ_i

With a weight w_i on each entry, 'none' is w_i |d_i|, 'sum' its sum, and 'mean' the weighted mean L = Σ_i w_i |d_i| / s,
where s = Σ_i w_i. With s = 1 and no L on the right for 'sum' and 'none':

    ∂L/∂d_i = g w_i sign(d_i) / s        ∂L/∂w_i = g (|d_i| − L) / s

Only d is kept for backward, not x and t: the subtraction is a Function of its own.

Source: Goodfellow, Bengio and Courville, Deep Learning, 6.2.1.2.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._losses import DifferenceFunction, check_equal_shapes, reduced, share, weighted, worth_of_weight
from ._public import autocast, check_tensors, of_dtype, public_op, wide
from ._reduction import choose_reduction


class L1Function(Function):
    """L = reduction(|d|)."""

    @staticmethod
    def forward(difference: Tensor, reduction: str) -> Tensor:
        return reduced(difference.abs(), reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
        difference, ctx.reduction = inputs
        ctx.save_for_backward(difference)
        ctx.save_for_forward(difference)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (d,) = ctx.saved_tensors
        return d.sign() * of_dtype(share(grad_output, ctx.reduction, d.numel()), d.dtype), None

    @staticmethod
    def jvp(ctx: Any, difference_dot: Tensor, _: None) -> Tensor:
        (d,) = ctx.saved_tensors
        return reduced(d.sign() * difference_dot, ctx.reduction)


class WeightedL1Function(Function):
    """L = reduction(w |d|), 'mean' being the weighted mean, for difference and weight of one shape."""

    @staticmethod
    def forward(difference: Tensor, weight: Tensor, reduction: str) -> Tensor:
        return weighted(difference.abs(), weight, reduction)

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
        grad_difference = (d.sign() * weight * g).to(dtype) if needs_difference else None
        grad_weight = (worth_of_weight(d.abs(), weight, ctx.reduction) * g).to(dtype) if needs_weight else None
        return grad_difference, grad_weight, None

    @staticmethod
    def jvp(ctx: Any, difference_dot: Tensor | None, weight_dot: Tensor | None, _: None) -> Tensor:
        d, weight = ctx.saved_tensors
        moved: Any = 0 if difference_dot is None else weight * d.sign() * difference_dot
        if weight_dot is not None:
            moved = moved + weight_dot * worth_of_weight(d.abs(), weight, ctx.reduction)
        return moved.sum() / weight.sum() if ctx.reduction == "mean" else reduced(moved, ctx.reduction)


@public_op
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean absolute error, as torch.nn.functional.l1_loss does, but never broadcast.

    Args:
        input: predictions, (*), floating point.
        target: (*), the same shape: (n, 1) against (n,) is an error here, where torch compares all pairs.
        size_average, reduce: deprecated, see `reduction`.
        reduction: 'mean' over all entries, 'sum', or 'none' for the absolute errors themselves.
        weight: (*), a weight for each entry; the mean is then the weighted mean. None for none.

    Returns:
        A scalar, or (*) for reduction='none'.

    Raises:
        ValueError: shapes or devices differ, or the reduction is unknown.
        TypeError: not a tensor, not floating point, or different dtypes.
    """
    reduction = choose_reduction("l1_loss", size_average, reduce, reduction)
    input, target, weight = autocast(input, target, weight, dtype=torch.float32)  # type: ignore[assignment]
    check_tensors("l1_loss", optional=("weight",), input=input, target=target, weight=weight)
    check_equal_shapes("l1_loss", input, target=target, weight=weight)
    difference = DifferenceFunction.apply(input, target)
    if weight is not None:
        return WeightedL1Function.apply(difference, weight, reduction)
    return L1Function.apply(difference, reduction)
