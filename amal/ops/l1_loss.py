r"""Mean absolute error: how far predictions are from their targets, with no more said about those far away.

    d = x − t        L_i = |d_i|  ('none')        L = Σ_i |d_i|  ('sum')        L = 1/n Σ_i |d_i|  ('mean')

Shapes: x, t and d equal, n their number of entries; L a scalar, or of their shape for 'none'.

Let g = ∂L_total/∂L and c = 1/n for 'mean', 1 for 'sum' and 'none'. The slope of |d| is the sign of d; at the kink
d = 0 it is 0, as in torch:

    ∂L/∂d_i = c g sign d_i        ∂L/∂x = ∂L/∂d        ∂L/∂t = −∂L/∂d        L̇ = c Σ_i sign(d_i) ḋ_i

With a weight w_i on each entry, and s = Σ_i w_i for the weighted mean, as _difference_loss.py derives:

    ∂L/∂d_i = g w_i sign(d_i) / s        ∂L/∂w_i = g (|d_i| − L) / s

Only d is kept for backward, not x and t: the subtraction is a Function of its own.

Source: Goodfellow, Bengio and Courville, Deep Learning, 6.2.1.2.
"""

from typing import Any

import torch
from torch import Tensor

from ._difference_loss import EntryLoss, difference_loss
from ._function import Function
from ._losses import DifferenceFunction, gradient_per_entry, reduce_loss
from ._public import cast, public_form


class L1Function(Function):
    """L = reduction(|d|)."""

    @staticmethod
    def forward(difference: Tensor, reduction: str) -> Tensor:
        return reduce_loss(difference.abs(), reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
        difference, ctx.reduction = inputs
        ctx.save_for_backward(difference)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (d,) = ctx.saved_tensors
        return d.sign() * cast(gradient_per_entry(grad_output, ctx.reduction, d.numel()), d.dtype), None

    @staticmethod
    def jvp(ctx: Any, difference_dot: Tensor, _: None) -> Tensor:
        (d,) = ctx.saved_tensors
        return reduce_loss(d.sign() * difference_dot, ctx.reduction)


def _plain_loss(input: Tensor, target: Tensor, reduction: str) -> Tensor:
    return L1Function.apply(DifferenceFunction.apply(input, target), reduction)


l1_loss = public_form(
    __name__,
    difference_loss,
    EntryLoss("l1_loss", torch.abs, torch.sign, _plain_loss),
    error="absolute error",
)
