r"""Affine map: the layer that every network is made of.

    y = x Wᵀ + b                  y_ij = Σ_k x_ik W_jk + b_j

Shapes: x (n, in), W (out, in), b (out), y (n, out). Any leading dimensions of an input count as n rows.

Let g = ∂L/∂y, of the shape of y. Each x_ik, W_jk, b_j acts on the loss through the y_ij that it enters:

    ∂L/∂x_ik = Σ_j g_ij W_jk      ∂L/∂x = g W       (n, in)
    ∂L/∂W_jk = Σ_i g_ij x_ik      ∂L/∂W = gᵀ x      (out, in)
    ∂L/∂b_j  = Σ_i g_ij           ∂L/∂b = Σ_i g_i   (out), one bias serves all n rows: their gradients add up

A step (ẋ, Ẇ, ḃ) of the inputs moves the output by ẏ = ẋ Wᵀ + x Ẇᵀ + ḃ.

Source: TME 1, questions 3 and 4 (the sheet's W is this Wᵀ); Goodfellow, Bengio and Courville, Deep Learning, 6.5.6.
"""

from math import prod
from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import autocast, check_tensors, public_op
from ._transposed_linear import TransposedLinearFunction, lies_transposed


class LinearFunction(Function):
    """y = x Wᵀ + b for input (n, in), weight (out, in), bias (out) or None."""

    kind = "bilinear"

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if bias is None:
            return input @ weight.mT
        return torch.addmm(bias, input, weight.mT)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        input, weight, _, *ctx.options = inputs
        ctx.save_for_backward(input, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad
        grad_input = grad_output @ weight if needs_input else None
        grad_weight = grad_output.mT @ input if needs_weight else None
        grad_bias = grad_output.sum(0) if needs_bias else None
        return grad_input, grad_weight, grad_bias


@public_op
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply the affine map input @ weight.T + bias, as torch.nn.functional.linear does.

    Args:
        input: (*, in), floating point; * is any number of dimensions, none included.
        weight: (out, in), or (in) for a single output without a dimension of its own.
        bias: (out), or () with a weight (in); None for none.

    Returns:
        (*, out), or (*) with a weight (in).

    Raises:
        ValueError: the shapes do not fit, or the tensors lie on different devices.
        TypeError: not a tensor, not floating point, or different dtypes.
    """
    input, weight, bias = autocast(input, weight, bias)  # type: ignore[assignment]
    check_tensors("linear", optional=("bias",), input=input, weight=weight, bias=bias)
    _check_shapes(input, weight, bias)
    rows = input if input.dim() == 2 else input.reshape(prod(input.shape[:-1]), input.shape[-1])
    matrix = weight if weight.dim() == 2 else weight.unsqueeze(0)
    vector = bias if bias is None or bias.dim() == 1 else bias.unsqueeze(0)
    if lies_transposed(matrix):
        output: Tensor = TransposedLinearFunction.apply(rows, matrix.mT, vector)
    else:
        output = LinearFunction.apply(rows, matrix, vector)
    return output if input.dim() == weight.dim() == 2 else output.reshape(input.shape[:-1] + weight.shape[:-1])


def _check_shapes(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if weight.dim() not in (1, 2):
        raise ValueError(f"linear: weight is {tuple(weight.shape)}, expected (out, in) or (in)")
    features = weight.shape[-1]
    if input.dim() == 0 or input.shape[-1] != features:
        shapes = f"input is {tuple(input.shape)} but weight {tuple(weight.shape)}"
        raise ValueError(f"linear: {shapes} expects {features} features in the last dimension")
    if bias is not None and bias.shape != weight.shape[:-1]:
        shapes = f"bias is {tuple(bias.shape)} but weight {tuple(weight.shape)}"
        raise ValueError(f"linear: {shapes} expects a bias {tuple(weight.shape[:-1])}")
