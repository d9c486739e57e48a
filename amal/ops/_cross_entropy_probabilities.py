r"""Cross-entropy where target holds class probabilities: the Function behind cross_entropy then.

    p_ik = exp x_ik / Σ_j exp x_ij        q_ik = (1−ε) t_ik + ε/c        L_i = −Σ_k w_k q_ik log p_ik

Shapes: x, t, p, q (n, c), w (c), all 1 unless given; L = Σ_i L_i / s is a scalar, s = n for 'mean' and 1 for 'sum',
or (n) for 'none'. What follows the class dimension counts as more examples. t need not sum to 1.

Let g = ∂L_total/∂L and a_i = Σ_k w_k q_ik. Since ∂log p_ik/∂x_ij = [k = j] − p_ij:

    ∂L/∂x_ik = g (a_i p_ik − w_k q_ik) / s
    ∂L/∂t_ik = −g (1−ε) w_k log p_ik / s
    ∂L/∂w_k  = −g Σ_i q_ik log p_ik / s
    L̇ = Σ_ik (∂L/∂x_ik ẋ_ik + ∂L/∂t_ik ṫ_ik) + Σ_k ∂L/∂w_k ẇ_k with g = 1

Source: as in cross_entropy.py.
"""

from math import prod
from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._losses import reduce_loss
from ._public import at_least_float32, cast


class ProbabilitiesCrossEntropyFunction(Function):
    """Cross-entropy of input (n, c, *) and class probabilities of the same shape, weight (c) or None."""

    @staticmethod
    def forward(input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, epsilon: float) -> Tensor:
        return torch.nn.functional.cross_entropy(input, target, weight, reduction=reduction, label_smoothing=epsilon)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.reduction, ctx.epsilon = inputs
        ctx.save_for_backward(input, target, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, target, weight = ctx.saved_tensors
        input, target = at_least_float32(input), at_least_float32(target)
        weight = None if weight is None else at_least_float32(weight)
        needs_input, needs_target, needs_weight, *_ = ctx.needs_input_grad
        g = at_least_float32(grad_output)
        if ctx.reduction != "sum":
            g = g.unsqueeze(1) if ctx.reduction == "none" else g / prod(example_shape(input))
        q, w = smooth_labels(target, ctx.epsilon), per_class(weight, input)
        grad_input = grad_target = grad_weight = None
        if needs_input:
            wq = q if w is None else w * q
            a = wq.sum(1, keepdim=True)
            grad_input = cast(torch.addcmul(input.softmax(1) * (a * g), wq, g, value=-1), grad_output.dtype)
        if needs_target or needs_weight:
            log_p = input.log_softmax(1)
        if needs_target:
            wg = (ctx.epsilon - 1) * (g if w is None else w * g)
            grad_target = (log_p * wg).to(grad_output.dtype)
        if needs_weight:
            others = [dimension for dimension in range(input.dim()) if dimension != 1]
            grad_weight = (-q * log_p * g).sum(others).to(grad_output.dtype)
        return grad_input, grad_target, grad_weight, None, None

    @staticmethod
    def jvp(
        ctx: Any, input_dot: Tensor | None, target_dot: Tensor | None, weight_dot: Tensor | None, *_: None
    ) -> Tensor:
        input, target, weight = ctx.saved_tensors
        q, w, w_dot = smooth_labels(target, ctx.epsilon), per_class(weight, input), per_class(weight_dot, input)
        log_p, wq = input.log_softmax(1), q if w is None else w * q
        output_dot: Any = 0 if input_dot is None else (wq.sum(1, keepdim=True) * log_p.exp() - wq) * input_dot
        if target_dot is not None:
            q_dot = (1 - ctx.epsilon) * target_dot
            output_dot = output_dot - log_p * (q_dot if w is None else w * q_dot)
        if w_dot is not None:
            output_dot = output_dot - log_p * (w_dot * q)
        output_dot = output_dot.sum(1)
        return reduce_loss(output_dot, ctx.reduction)


def smooth_labels(target: Tensor, epsilon: float) -> Tensor:
    return target if epsilon == 0 else (1 - epsilon) * target + epsilon / max(target.shape[1], 1)


def per_class(weight: Tensor | None, input: Tensor) -> Tensor | None:
    return None if weight is None else weight.reshape(-1, *[1] * (input.dim() - 2))


def example_shape(input: Tensor) -> tuple[int, ...]:
    return (*input.shape[:1], *input.shape[2:])
