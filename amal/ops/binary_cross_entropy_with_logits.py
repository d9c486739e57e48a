r"""Binary cross-entropy of logits: how improbable yes-or-no answers are, the probability of a yes being σ(x).

    L_i = −w_i (p_i t_i log σ(x_i) + (1−t_i) log(1−σ(x_i)))    ('none')
    L = Σ_i L_i  ('sum')        L = 1/n Σ_i L_i  ('mean')

Shapes: x and t equal, n their number of entries; w and p broadcast to them, all 1 unless given; L a scalar, or of
their shape for 'none'. p weighs the yes against the no, w the entries.

With softplus(−x) = log(1 + e⁻ˣ) = −log σ(x) and log(1−σ(x)) = −x − softplus(−x) nothing overflows, for any x:

    L_i = w_i ((1−t_i) x_i + (1 + (p_i−1) t_i) softplus(−x_i))

Let g = ∂L_total/∂L and c = 1/n for 'mean', 1 for 'sum' and 'none'. The slope of softplus(−x) is σ(x) − 1:

    ∂L/∂x_i = c g w_i ((1 + (p_i−1) t_i) σ(x_i) − p_i t_i)            where p = 1: σ(x) − t
    ∂L/∂t_i = c g w_i ((p_i−1) softplus(−x_i) − x_i)                  where p = 1: −x
    L̇ = Σ_i (∂L/∂x_i ẋ_i + ∂L/∂t_i ṫ_i) with g = 1                   (no sum for 'none')

The weights are constants, as in torch.

Source: Goodfellow, Bengio and Courville, Deep Learning, 6.2.2.2; p: torch.nn.BCEWithLogitsLoss.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._losses import check_constant_weights, check_equal_shapes, gradient_per_entry, reduce_loss, refuse_tangents
from ._public import at_least_float32, autocast, cast, check_tensors, public_op
from ._reduction import choose_reduction


class BCEWithLogitsFunction(Function):
    """L = reduction(−w (p t log σ(x) + (1−t) log(1−σ(x)))) for input and target of one shape; weights or None."""

    @staticmethod
    def forward(
        input: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, reduction: str
    ) -> Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(
            input, target, weight, pos_weight=pos_weight, reduction=reduction
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.reduction = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, target, weight, pos_weight = ctx.saved_tensors
        needs_input, needs_target, *_ = ctx.needs_input_grad
        g = gradient_per_entry(grad_output, ctx.reduction, input.numel())
        g = g if weight is None else g * at_least_float32(weight)
        grad_input = cast(_input_slope(input, target, pos_weight) * g, input.dtype) if needs_input else None
        grad_target = cast(_target_slope(input, pos_weight) * g, input.dtype) if needs_target else None
        return grad_input, grad_target, None, None, None

    @staticmethod
    def jvp(
        ctx: Any,
        input_dot: Tensor | None,
        target_dot: Tensor | None,
        weight_dot: None,
        pos_weight_dot: None,
        _: None,
    ) -> Tensor:
        refuse_tangents("binary_cross_entropy_with_logits", weight=weight_dot, pos_weight=pos_weight_dot)
        input, target, weight, pos_weight = ctx.saved_tensors
        output_dot: Any = 0 if input_dot is None else _input_slope(input, target, pos_weight) * input_dot
        output_dot = output_dot if target_dot is None else output_dot + _target_slope(input, pos_weight) * target_dot
        return reduce_loss(output_dot if weight is None else output_dot * weight, ctx.reduction).to(input.dtype)


def _input_slope(input: Tensor, target: Tensor, pos_weight: Tensor | None) -> Tensor:
    """(1 + (p−1) t) σ(x) − p t."""
    probability, t = at_least_float32(input).sigmoid(), at_least_float32(target)
    if pos_weight is None:
        return probability - t
    p = at_least_float32(pos_weight)
    return probability * torch.add((p - 1) * t, 1) - p * t


def _target_slope(input: Tensor, pos_weight: Tensor | None) -> Tensor:
    """(p−1) softplus(−x) − x."""
    x = at_least_float32(input)
    return -x if pos_weight is None else (1 - at_least_float32(pos_weight)) * torch.nn.functional.logsigmoid(x) - x


@public_op
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return the binary cross-entropy of logits, as torch.nn.functional.binary_cross_entropy_with_logits does.

    Args:
        input: logits, (*), floating point.
        target: (*), the same shape and dtype, between 0 and 1 (which is not checked, as in torch).
        weight: a weight for each entry, of a shape that broadcasts to (*); a constant. None for all ones.
        size_average, reduce: deprecated, see `reduction`.
        reduction: 'mean' over all entries, 'sum', or 'none'.
        pos_weight: what a yes weighs where a no weighs 1, of a shape that broadcasts to (*); a constant.

    Returns:
        A scalar, or (*) for reduction='none'.

    Raises:
        ValueError: shapes or devices do not fit, or the reduction is unknown.
        TypeError: not a tensor, not floating point, or different dtypes.
        RuntimeError: a weight requires a gradient.
    """
    op = "binary_cross_entropy_with_logits"
    reduction = choose_reduction(op, size_average, reduce, reduction)
    input, target, weight, pos_weight = autocast(input, target, weight, pos_weight, dtype=torch.float32)  # type: ignore[assignment]
    check_tensors(
        op, optional=("weight", "pos_weight"), input=input, target=target, weight=weight, pos_weight=pos_weight
    )
    check_equal_shapes(op, input, target=target)
    check_constant_weights(op, input, weight=weight, pos_weight=pos_weight)
    return BCEWithLogitsFunction.apply(input, target, weight, pos_weight, reduction)
