r"""Binary cross-entropy: how improbable yes-or-no answers are, given the probability of a yes.

    L_i = −w_i (t_i log x_i + (1−t_i) log(1−x_i))  ('none')     L = Σ_i L_i  ('sum')     L = 1/n Σ_i L_i  ('mean')

Shapes: x and t equal, n their number of entries, both in [0, 1]; w broadcasts to them, all 1 unless given; L a scalar,
or of their shape for 'none'. As in torch both logarithms are taken for −100 where they are less: log 0 costs 100.

Let g = ∂L_total/∂L and c = 1/n for 'mean', 1 for 'sum' and 'none':

    ∂L/∂x_i = c g w_i (x_i − t_i) / (x_i (1−x_i))               its denominator at least 10⁻¹², as in torch
    ∂L/∂t_i = c g w_i (log(1−x_i) − log x_i)                    logarithms as above: finite, where torch's is not
    L̇ = Σ_i (∂L/∂x_i ẋ_i + ∂L/∂t_i ṫ_i) with g = 1             (no sum for 'none')

The weights are constants, as in torch. Where there are logits, binary_cross_entropy_with_logits is the better choice.

Source: Goodfellow, Bengio and Courville, Deep Learning, 5.5 and 6.2.2.2.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._losses import (
    check_constant_weights,
    check_equal_shapes,
    check_probabilities,
    gradient_per_entry,
    reduce_loss,
    refuse_tangents,
)
from ._public import at_least_float32, autocast, cast, check_tensors, public_op
from ._reduction import choose_reduction

LEAST_LOGARITHM, LEAST_DENOMINATOR = -100, 1e-12


class BCEFunction(Function):
    """L = reduction(−w (t log x + (1−t) log(1−x))) for input and target of one shape, weight or None."""

    @staticmethod
    def forward(input: Tensor, target: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
        return torch.nn.functional.binary_cross_entropy(input, target, weight, reduction=reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.reduction = inputs
        ctx.save_for_backward(input, target, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, target, weight = ctx.saved_tensors
        needs_input, needs_target, *_ = ctx.needs_input_grad
        g = gradient_per_entry(grad_output, ctx.reduction, input.numel())
        g = g if weight is None else g * at_least_float32(weight)
        grad_input = cast(_input_slope(input, target) * g, input.dtype) if needs_input else None
        grad_target = cast(_target_slope(input) * g, input.dtype) if needs_target else None
        return grad_input, grad_target, None, None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor | None, target_dot: Tensor | None, weight_dot: None, *_: None) -> Tensor:
        refuse_tangents("binary_cross_entropy", weight=weight_dot)
        input, target, weight = ctx.saved_tensors
        output_dot: Any = 0 if input_dot is None else _input_slope(input, target) * input_dot
        output_dot = output_dot if target_dot is None else output_dot + _target_slope(input) * target_dot
        return reduce_loss(output_dot if weight is None else output_dot * weight, ctx.reduction).to(input.dtype)


def _input_slope(input: Tensor, target: Tensor) -> Tensor:
    """(x − t) / max(x (1−x), 10⁻¹²)."""
    x, t = at_least_float32(input), at_least_float32(target)
    return (x - t).div_((1 - x).mul_(x).clamp_min(LEAST_DENOMINATOR))


def _target_slope(input: Tensor) -> Tensor:
    """log(1−x) − log x."""
    x = at_least_float32(input)
    return (-x).log1p_().clamp_min(LEAST_LOGARITHM).sub_(x.log().clamp_min(LEAST_LOGARITHM))


@public_op
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the binary cross-entropy of probabilities, as torch.nn.functional.binary_cross_entropy does.

    Args:
        input: probabilities, (*), floating point, in [0, 1].
        target: (*), the same shape and dtype, in [0, 1].
        weight: a weight for each entry, of a shape that broadcasts to (*); a constant. None for all ones.
        size_average, reduce: deprecated, see `reduction`.
        reduction: 'mean' over all entries, 'sum', or 'none'.

    Returns:
        A scalar, or (*) for reduction='none'.

    Raises:
        ValueError: shapes or devices do not fit, or the reduction is unknown.
        TypeError: not a tensor, not floating point, or different dtypes.
        RuntimeError: an entry outside [0, 1] (on CUDA nobody looks, and the device asserts, as torch's does); the
            weight requires a gradient; or autocast is on, on CUDA: logarithms of probabilities in float16 overflow.
    """
    op = "binary_cross_entropy"
    reduction = choose_reduction(op, size_average, reduce, reduction)
    if isinstance(input, Tensor) and input.is_cuda and torch.is_autocast_enabled("cuda"):
        raise RuntimeError(f"{op}: autocast is on, expected {op}_with_logits, which is safe then")
    input, target, weight = autocast(input, target, weight, dtype=torch.float32)  # type: ignore[assignment]
    check_tensors(op, optional=("weight",), input=input, target=target, weight=weight)
    check_equal_shapes(op, input, target=target)
    check_constant_weights(op, input, weight=weight)
    try:
        return BCEFunction.apply(input, target, weight, reduction)
    except RuntimeError:  # the kernel looks at every entry anyway, so this does only where it has refused one
        check_probabilities(op, input=input, target=target)
        raise
