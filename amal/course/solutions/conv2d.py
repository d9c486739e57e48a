"""The right Conv2d, and its mutants: name [what the doctor may call it] what is wrong.

bias-not-summed [not-summed grad-shape] the bias gradient is summed over the batch, not over places
bias-not-summed-over-batch [not-summed grad-shape] the bias gradient is not summed over the batch
weight-not-summed [not-summed grad-shape] the weight's gradient is one for each example
weight-averaged [grad-factor] the weight's gradient is a mean over the batch
kernel-reversed [grad-value] the input's gradient takes the kernel in reverse
kernel-transposed [grad-transposed grad-value] the weight's gradient has rows and columns transposed
forward-reversed [forward-value] forward takes the kernel in reverse
input-sign [grad-sign] the input's gradient has the wrong sign
bias-missing [grad-missing] None for the bias
swapped [grad-order] the gradients of weight and bias in the wrong order
no-bias [forward-value] forward forgets the bias
grad-output-ignored [ignores-grad-output] the bias gradient counts places, and forgets grad_output
input-detached [second-order] the weight's gradient takes the input as a constant
"""

import torch
from torch.autograd import Function
from torch.nn.functional import fold, unfold


class Conv2d(Function):
    """Cross-correlation.

    X (q, c_in, h, w), W (c_out, c_in, k, l), b (c_out,), Y (q, c_out, rows, columns).
    """

    @staticmethod
    def forward(ctx, X, W, b, stride=1):
        ctx.save_for_backward(X, W)
        ctx.stride = stride
        rows, columns = ((X.shape[d] - W.shape[d]) // stride + 1 for d in (2, 3))
        patches = unfold(X, W.shape[2:], stride=stride)
        Y = W.flatten(1) @ patches + b[:, None]
        # ✗ forward-reversed: Y = W.flip(2, 3).flatten(1) @ patches + b[:, None]
        # ✗ no-bias: Y = W.flatten(1) @ patches
        return Y.reshape(len(X), len(W), rows, columns)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        # ✗ input-detached: X, W = ctx.saved_tensors
        # ✗ input-detached: X = X.detach()
        grad = grad_output.flatten(2)
        patches = unfold(X, W.shape[2:], stride=ctx.stride)
        grad_W = (grad @ patches.mT).sum(0).reshape(W.shape)
        # ✗ weight-not-summed: grad_W = (grad @ patches.mT).reshape(len(X), *W.shape)
        # ✗ weight-averaged: grad_W = (grad @ patches.mT).mean(0).reshape(W.shape)
        # ✗ kernel-transposed: grad_W = (grad @ patches.mT).sum(0).reshape(W.shape).mT
        grad_b = grad_output.sum((0, 2, 3))
        # ✗ bias-not-summed: grad_b = grad_output.sum(0)
        # ✗ bias-not-summed-over-batch: grad_b = grad_output.sum((2, 3))
        # ✗ grad-output-ignored: grad_b = torch.ones_like(grad_output).sum((0, 2, 3))
        grad_patches = W.flatten(1).T @ grad
        # ✗ kernel-reversed: grad_patches = W.flip(2, 3).flatten(1).T @ grad
        # ✗ input-sign: grad_patches = -W.flatten(1).T @ grad
        grad_X = fold(grad_patches, X.shape[2:], W.shape[2:], stride=ctx.stride)
        return grad_X, grad_W, grad_b, None
        # ✗ bias-missing: return grad_X, grad_W, None, None
        # ✗ swapped: return grad_X, grad_b, grad_W, None
