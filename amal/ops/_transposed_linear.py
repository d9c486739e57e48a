r"""The affine map with its weight as a decoder finds it that shares its encoder's: y = x W + b.

    ∂L/∂x = g Wᵀ   (n, in)        ∂L/∂W = xᵀ g   (in, out)        ∂L/∂b = Σ_i g_i   (out)

It is linear(x, Wᵀ, b). But there ∂L/∂Wᵀ = gᵀ x lies in memory against the grain of W, and of the encoder's own gradient
that it is added to: a step of a tied autoencoder takes up to half as long again. torch looks at the strides too.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function


class TransposedLinearFunction(Function):
    """y = x W + b for input (n, in), weight (in, out), bias (out) or None."""

    kind = "bilinear"

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return input @ weight if bias is None else torch.addmm(bias, input, weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        input, weight, _, *ctx.options = inputs
        ctx.save_for_backward(input, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad
        grad_input = grad_output @ weight.mT if needs_input else None
        grad_weight = input.mT @ grad_output if needs_weight else None
        grad_bias = grad_output.sum(0) if needs_bias else None
        return grad_input, grad_weight, grad_bias


def lies_transposed(weight: Tensor) -> bool:
    """Whether a matrix is in memory column by column."""
    return weight.stride(0) < weight.stride(1)
