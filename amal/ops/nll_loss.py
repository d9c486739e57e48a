r"""Negative log-likelihood: how improbable the right class is, given log-probabilities.

    L_i = −w_y x_iy,  y = t_i     ('none')        L = Σ_i L_i  ('sum')        L = Σ_i L_i / s  ('mean')

Shapes: x (n, c), t (n) with entries in 0 … c−1, w (c), all 1 unless given; L a scalar, or (n) for 'none'. What follows
the class dimension, as in images x (n, c, h, v) and t (n, h, v), counts as more examples. s = Σ_i w_y is the weight of
all examples. An example whose t_i is ignore_index has L_i = 0 and no part in s.

Let g = ∂L_total/∂L. The loss is linear in x and looks at one entry of each row; with s = 1 for 'sum' and 'none':

    ∂L/∂x_ik = −g w_y / s where k = y, else 0              L̇ = the same loss of ẋ

x itself is not needed for that, and not kept. The weights are constants, as in torch.

Source: Goodfellow, Bengio and Courville, Deep Learning, 5.5 and 6.2.1.1.
"""

from typing import Any

import torch
from torch import Tensor

from ._classes import NOWHERE, check_class_dimension, check_classes, pull_back
from ._function import Function
from ._losses import refuse_tangents
from ._public import autocast, cast, check_tensors, public_op
from ._reduction import choose_reduction


class NLLFunction(Function):
    """L = reduction(−w_y x_y) for input (n, c, *), target (n, *) and weight (c) or None.

    ignore_index is None where no example is ignored.
    """

    @staticmethod
    def forward(
        input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int | None, reduction: str
    ) -> Tensor:
        ignored = NOWHERE if ignore_index is None else ignore_index
        return torch.nn.functional.nll_loss(input, target, weight, ignore_index=ignored, reduction=reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.ignore_index, ctx.reduction = inputs
        ctx.shape = input.shape
        ctx.save_for_backward(target, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        target, weight = ctx.saved_tensors
        y, _, class_gradient = pull_back(grad_output, target, weight, ctx.ignore_index, ctx.reduction)
        zeros = grad_output.new_zeros(*ctx.shape)
        return zeros.scatter_add_(1, y, cast(class_gradient, grad_output.dtype)), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor, _target: None, weight_dot: None, *_: None) -> Tensor:
        refuse_tangents("nll_loss", weight=weight_dot)
        target, weight = ctx.saved_tensors
        return NLLFunction.forward(input_dot, target, weight, ctx.ignore_index, ctx.reduction)


@public_op
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of the right classes, as torch.nn.functional.nll_loss does.

    Args:
        input: log-probabilities, (c), (n, c) or (n, c, *), floating point.
        target: right classes, () or (1), (n) or (n, *), int64 or uint8.
        weight: (c), a weight for each class; a constant. None for all ones.
        size_average, reduce: deprecated, see `reduction`.
        ignore_index: a class that counts for nothing; it need not be one of 0 … c−1.
        reduction: 'mean' weighted by w_y over the examples that count (NaN over none), 'sum', or 'none'.

    Returns:
        A scalar, or the shape of target for reduction='none'.

    Raises:
        ValueError: shapes or devices do not fit, or the reduction is unknown.
        TypeError: not a tensor, or of a dtype other than said above.
        IndexError: a class out of range; on CUDA nobody looks, and the device asserts, as torch's does.
        RuntimeError: the weight requires a gradient.
    """
    reduction = choose_reduction("nll_loss", size_average, reduce, reduction)
    input, weight = autocast(input, weight, dtype=torch.float32)  # type: ignore[assignment]
    check_tensors("nll_loss", optional=("weight",), input=input, weight=weight)
    check_class_dimension("nll_loss", input)
    target, ignored = check_classes("nll_loss", input, target, weight, ignore_index)
    if input.dim() == 1:
        loss: Tensor = NLLFunction.apply(input.unsqueeze(0), target.reshape(1), weight, ignored, reduction)
        return loss.reshape(())
    return NLLFunction.apply(input, target, weight, ignored, reduction)
