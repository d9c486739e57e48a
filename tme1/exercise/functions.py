"""TME 1: two functions and their derivatives, by hand. Question 6 of the lab sheet.

Derive first, on paper (questions 1 to 5), then transcribe. `amal check functions.py` examines what you have written.

Shapes: q examples of n features, p outputs. X (q, n), W (n, p), b (p,), Ŷ and Y (q, p).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


class MSE(Function):
    """Question 6a. The mean squared error of a batch, (1/q) ‖Ŷ − Y‖².

    The squares are summed over the p outputs and divided by the number q of examples.
    """

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the error, a scalar, of prediction Ŷ (q, p) and target Y (q, p).

        What backward will need is put aside with ctx.save_for_backward(...).
        """
        ### BEGIN SOLUTION
        ctx.save_for_backward(prediction, target)
        return torch.sum((prediction - target) ** 2) / len(target)
        ### END SOLUTION

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of the loss by prediction (q, p) and by target (q, p).

        What was put aside is in ctx.saved_tensors. grad_output, a scalar, is the gradient of the loss by the error.
        """
        ### BEGIN SOLUTION
        prediction, target = ctx.saved_tensors
        grad_prediction = grad_output * 2 / len(target) * (prediction - target)
        return grad_prediction, -grad_prediction
        ### END SOLUTION


class Linear(Function):
    """Question 6b. The affine map X W + b."""

    @staticmethod
    def forward(ctx: Any, X: Tensor, W: Tensor, b: Tensor) -> Tensor:
        """Return Ŷ (q, p) of X (q, n), W (n, p) and b (p,)."""
        ### BEGIN SOLUTION
        ctx.save_for_backward(X, W)
        return X @ W + b
        ### END SOLUTION

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of the loss by X (q, n), W (n, p) and b (p,).

        grad_output (q, p) is the gradient of the loss by Ŷ.
        """
        ### BEGIN SOLUTION
        X, W = ctx.saved_tensors
        return grad_output @ W.T, X.T @ grad_output, grad_output.sum(0)
        ### END SOLUTION
