r"""Mean squared error: how far predictions are from their targets.

    d = x − t        L_i = d_i²  ('none')        L = Σ_i d_i²  ('sum')        L = 1/n Σ_i d_i²  ('mean')

Shapes: x, t and d equal, n their number of entries; L a scalar, or of their shape for 'none'.

Let g = ∂L_total/∂L and c = 1/n for 'mean', 1 for 'sum' and 'none':

    ∂L/∂x_i = 2 c g d_i           ∂L/∂t_i = −∂L/∂x_i           L̇ = 2 c Σ_i d_i ḋ_i   (no sum for 'none')

With a weight w_i on each entry, and s = Σ_i w_i for the weighted mean, as _difference_loss.py derives:

    ∂L/∂d_i = 2 g w_i d_i / s     ∂L/∂w_i = g (d_i² − L) / s     L̇ = Σ_i (2 w_i d_i ḋ_i + ẇ_i (d_i² − L)) / s

Source: TME 1, questions 2 to 4. Its sheet divides by the number of rows q: that is mse_loss(..., reduction='sum') / q.
"""

from typing import Any

import torch
from torch import Tensor

from ._difference_loss import EntryLoss, difference_loss
from ._function import Function
from ._losses import gradient_per_entry, reduce_loss, subtract_tangents
from ._public import at_least_float32, cast, public_form


class MSEFunction(Function):
    """L = reduction((x − t)²) for input and target of one shape."""

    @staticmethod
    def forward(input: Tensor, target: Tensor, reduction: str) -> Tensor:
        return torch.nn.functional.mse_loss(input, target, reduction=reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, str], output: Tensor) -> None:
        input, target, ctx.reduction = inputs
        ctx.save_for_backward(input, target)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, target = ctx.saved_tensors
        needs_input, needs_target, _ = ctx.needs_input_grad
        d = at_least_float32(input) - at_least_float32(target)
        grad_input = cast(d * gradient_per_entry(grad_output, ctx.reduction, d.numel(), 2), input.dtype)
        return grad_input if needs_input else None, -grad_input if needs_target else None, None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor | None, target_dot: Tensor | None, _: None) -> Tensor:
        input, target = ctx.saved_tensors
        return reduce_loss(2 * (input - target) * subtract_tangents(input_dot, target_dot), ctx.reduction)


mse_loss = public_form(
    __name__,
    difference_loss,
    EntryLoss("mse_loss", torch.square, lambda d: 2 * d, MSEFunction.apply),
    error="squared error",
)
