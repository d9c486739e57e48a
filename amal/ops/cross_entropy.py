r"""Cross-entropy: how far the softmax of logits is from what the classes should be.

    p_ik = exp x_ik / Σ_j exp x_ij        L_i = −Σ_k w_k q_ik log p_ik

Shapes: x, p, q (n, c), w (c), all 1 unless given; L a scalar, or (n) for 'none'. What follows the class dimension, as
in images (n, c, h, v), counts as more examples. q is what p should be. With label smoothing ε it is

    q_ik = (1−ε) [k = t_i] + ε/c          t (n), class indices
    q_ik = (1−ε) t_ik + ε/c               t (n, c), class probabilities

    L = Σ_i L_i  ('sum')    L = Σ_i L_i / s  ('mean')    s = Σ_i w_{t_i} for indices, n for probabilities

An example whose index is ignore_index has L_i = 0 and no part in s.

Let g = ∂L_total/∂L, s = 1 for 'sum' and 'none', and a_i = Σ_k w_k q_ik. Since ∂log p_ik/∂x_ij = [k = j] − p_ij:

    ∂L/∂x_ik = g (a_i p_ik − w_k q_ik) / s        without weights p − q: for indices, softmax − onehot
    L̇ = Σ_ik ∂L/∂x_ik ẋ_ik with g = 1

For probabilities there are derivatives by t and w, too: _cross_entropy_probabilities.py. Beside indices w is a
constant, as in torch.

Logits and target are kept, and p is computed again: the bytes of one of the two suffice.

Source: Goodfellow, Bengio and Courville, Deep Learning, 6.2.2.3; label smoothing: Szegedy et al., 2016.
"""

from typing import Any

import torch
from torch import Tensor

from ._classes import NOWHERE, check_class_dimension, check_class_weights, check_classes, pull_back
from ._cross_entropy_probabilities import ProbabilitiesCrossEntropyFunction, example_shape, per_class
from ._function import Function
from ._losses import check_equal_shapes, refuse_tangents
from ._public import at_least_float32, autocast, cast, check_tensors, public_op
from ._reduction import choose_reduction


class CrossEntropyFunction(Function):
    """Cross-entropy of input (n, c, *) and class indices (n, *), weight (c) or None.

    ignore_index is None where no example is ignored.
    """

    @staticmethod
    def forward(
        input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int | None, reduction: str, epsilon: float
    ) -> Tensor:
        ignored = NOWHERE if ignore_index is None else ignore_index
        return torch.nn.functional.cross_entropy(
            input, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=epsilon
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.ignore_index, ctx.reduction, ctx.epsilon = inputs
        ctx.save_for_backward(input, target, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        return cast(_slope(ctx, grad_output), grad_output.dtype), None, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor, _target: None, weight_dot: None, *_: None) -> Tensor:
        refuse_tangents("cross_entropy", weight=weight_dot)
        one = torch.ones((), dtype=input_dot.dtype, device=input_dot.device)
        each = one.expand(example_shape(input_dot)) if ctx.reduction == "none" else one
        output_dot = (_slope(ctx, each) * input_dot).sum(1)
        return (output_dot if ctx.reduction == "none" else output_dot.sum()).to(input_dot.dtype)


def _slope(ctx: Any, grad_output: Tensor) -> Tensor:
    """g (a p − w q) / s for class indices; row by row, as q is but one entry and a constant."""
    input, target, weight = ctx.saved_tensors
    y, minus_g, class_gradient = pull_back(grad_output, target, weight, ctx.ignore_index, ctx.reduction)
    if ctx.epsilon == 0:
        return (at_least_float32(input).softmax(1) * -class_gradient).scatter_add_(1, y, class_gradient)
    classes = input.shape[1]
    w = None if weight is None else at_least_float32(weight)
    class_gradient, each = (1 - ctx.epsilon) * class_gradient, ctx.epsilon / classes * minus_g
    a = class_gradient + ctx.epsilon * minus_g if w is None else class_gradient + each * w.sum()
    grad = (each if w is None else each * per_class(w, input)) - at_least_float32(input).softmax(1) * a
    return grad.scatter_add_(1, y, class_gradient)


@public_op
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of logits and classes, as torch.nn.functional.cross_entropy does.

    Args:
        input: logits, (c), (n, c) or (n, c, *), floating point.
        target: class indices, () or (1), (n) or (n, *), int64 or uint8; or class probabilities, of the shape and dtype
            of input.
        weight: (c), a weight for each class; a constant where target holds indices. None for all ones.
        size_average, reduce: deprecated, see `reduction`.
        ignore_index: a class index that counts for nothing; it need not be one of 0 … c−1.
        reduction: 'mean' (over nothing: NaN), 'sum', or 'none'.
        label_smoothing: ε in [0, 1], the part of q that is spread over all classes evenly.

    Returns:
        A scalar, or (), (n) or (n, *) for reduction='none'.

    Raises:
        ValueError: shapes or devices do not fit, or an option is out of range.
        TypeError: not a tensor, or of a dtype other than said above.
        IndexError: a class out of range; on CUDA nobody looks, and the device asserts, as torch's does.
        RuntimeError: the weight requires a gradient although target holds indices.
    """
    reduction = choose_reduction("cross_entropy", size_average, reduce, reduction)
    if not isinstance(label_smoothing, (int, float)):
        raise TypeError(f"cross_entropy: label_smoothing is a {type(label_smoothing).__name__}, expected a number")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}, expected 0 to 1")
    input, weight = autocast(input, weight, dtype=torch.float32)  # type: ignore[assignment]
    check_tensors("cross_entropy", optional=("weight",), input=input, weight=weight)
    check_class_dimension("cross_entropy", input)
    if isinstance(target, Tensor) and (target.is_floating_point() or target.shape == input.shape):
        (target,) = autocast(target, dtype=torch.float32)  # type: ignore[assignment]
        _check_probabilities(input, target, weight, ignore_index)
        options: tuple[Any, ...] = (weight, reduction, label_smoothing)
        function: type[Function] = ProbabilitiesCrossEntropyFunction
    else:
        target, ignored = check_classes("cross_entropy", input, target, weight, ignore_index)
        options, function = (weight, ignored, reduction, label_smoothing), CrossEntropyFunction
    if input.dim() > 1:
        return function.apply(input, target, *options)
    one_example = target.unsqueeze(0) if target.shape == input.shape else target.reshape(1)
    loss: Tensor = function.apply(input.unsqueeze(0), one_example, *options)
    return loss.reshape(())


def _check_probabilities(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> None:
    check_tensors("cross_entropy", input=input, target=target)
    check_equal_shapes("cross_entropy", input, target=target)
    if weight is not None:
        check_class_weights("cross_entropy", input, weight)
    if ignore_index >= 0:
        raise ValueError(f"cross_entropy: ignore_index is {ignore_index}, expected class indices as target then")
