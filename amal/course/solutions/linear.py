"""The right Linear, and its mutants: name [what the doctor may call it] what is wrong.

bias-not-summed [not-summed] the bias gradient is not summed over the batch
bias-dimension-kept [grad-shape] the bias gradient is (1, p) where the bias is (p)
bias-averaged [grad-factor] the bias gradient is a mean over the batch
bias-wrong-axis [grad-shape not-summed] the bias gradient is summed over the outputs
bias-summed-to-a-number [grad-shape] the bias gradient is summed over everything
bias-of-first-example [not-summed grad-value] the bias gradient is that of the first example
bias-gradient-missing [grad-missing] None for the bias
too-few-gradients [grad-count] two gradients for three inputs
weight-not-transposed [grad-transposed] the input's gradient is G W where it should be G Wᵀ
input-not-transposed [grad-transposed] the weight's gradient is X G where it should be Xᵀ G
weight-gradient-transposed [grad-transposed] the weight's gradient is Gᵀ X where it should be Xᵀ G
input-and-weight-swapped [grad-order] the gradients of input and weight in the wrong order
bias-first [grad-order] the gradient of the bias comes first
weight-averaged [grad-factor] the weight's gradient is divided by the batch size
input-sign [grad-sign] the input's gradient has the wrong sign
weight-ignores-grad-output [ignores-grad-output] the weight's gradient is the local one alone
weight-squares-grad-output [nonlinear-in-grad-output] grad_output is used twice
input-times-input [grad-value] the input's gradient is multiplied by the input
weight-in-float32 [grad-dtype] the weight's gradient is in float32 whatever the dtype
no-bias [forward-value] forward forgets the bias
weight-changed [mutates-input] forward scales the weight in place
detached [second-order] backward detaches what was saved
kept-on-ctx [keeps-tensors] the tensors are attributes of ctx
not-summed-and-not-transposed [not-summed grad-transposed] two faults: of the bias and of the weight
averaged-and-swapped [grad-factor grad-order] two faults: a mean over the batch, and the order
dimension-kept-and-sign [grad-shape grad-sign] two faults: a bias (1, p), and the input's sign
"""

import torch
from torch.autograd import Function


class Linear(Function):
    """Y = X W + b, with X (q, n), W (n, p), b (p,)."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        # ✗ kept-on-ctx: ctx.X, ctx.W = X, W
        return X @ W + b
        # ✗ no-bias: return X @ W
        # ✗ weight-changed: return X @ W.mul_(0.5) + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        # ✗ detached: X, W = (saved.detach() for saved in ctx.saved_tensors)
        # ✗ kept-on-ctx: X, W = ctx.X, ctx.W
        grad_X = grad_output @ W.T
        # ✗ weight-not-transposed: grad_X = grad_output @ W
        # ✗ input-sign: grad_X = -grad_output @ W.T
        # ✗ input-times-input: grad_X = grad_output @ W.T * X
        # ✗ dimension-kept-and-sign: grad_X = -grad_output @ W.T
        grad_W = X.T @ grad_output
        # ✗ input-not-transposed: grad_W = X @ grad_output
        # ✗ weight-gradient-transposed: grad_W = grad_output.T @ X
        # ✗ weight-averaged: grad_W = X.T @ grad_output / len(X)
        # ✗ weight-ignores-grad-output: grad_W = X.T @ torch.ones_like(grad_output)
        # ✗ weight-squares-grad-output: grad_W = X.T @ grad_output**2
        # ✗ weight-in-float32: grad_W = (X.T @ grad_output).float()
        # ✗ not-summed-and-not-transposed: grad_W = grad_output.T @ X
        grad_b = grad_output.sum(0)
        # ✗ bias-not-summed: grad_b = grad_output
        # ✗ bias-dimension-kept: grad_b = grad_output.sum(0, keepdim=True)
        # ✗ bias-averaged: grad_b = grad_output.mean(0)
        # ✗ bias-wrong-axis: grad_b = grad_output.sum(1)
        # ✗ bias-summed-to-a-number: grad_b = grad_output.sum()
        # ✗ bias-of-first-example: grad_b = grad_output[:1].sum(0)
        # ✗ bias-gradient-missing: grad_b = None
        # ✗ not-summed-and-not-transposed: grad_b = grad_output
        # ✗ averaged-and-swapped: grad_b = grad_output.mean(0)
        # ✗ dimension-kept-and-sign: grad_b = grad_output.sum(0, keepdim=True)
        return grad_X, grad_W, grad_b
        # ✗ too-few-gradients: return grad_X, grad_W
        # ✗ input-and-weight-swapped: return grad_W, grad_X, grad_b
        # ✗ bias-first: return grad_b, grad_X, grad_W
        # ✗ averaged-and-swapped: return grad_W, grad_X, grad_b
