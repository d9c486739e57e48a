"""The right Conv1d, and its mutants: name [what the doctor may call it] what is wrong.

bias-not-summed [not-summed grad-shape] the bias gradient is summed over the batch, not over places
bias-not-summed-over-batch [not-summed grad-shape] the bias gradient is not summed over the batch
bias-averaged [grad-factor] the bias gradient is a mean
overwritten [grad-value] where windows overlap, the last one counts alone
kernel-reversed [grad-value] the input's gradient takes the kernel in reverse
forward-reversed [forward-value] forward takes the kernel in reverse
weight-averaged [grad-factor] the weight's gradient is divided by the batch size
channels-transposed [grad-transposed grad-shape] the weight's gradient has its channels transposed
input-sign [grad-sign] the input's gradient has the wrong sign
swapped [grad-order] the gradients of input and weight in the wrong order
too-few-gradients [grad-count] two gradients, and no third for the bias
weight-detached [second-order] the input's gradient takes the weight as a constant
reversed-and-not-summed [grad-value not-summed grad-shape] two faults: the kernel, and the bias
"""

import torch
from torch.autograd import Function


class Conv1d(Function):
    """Cross-correlation.

    X (q, c_in, length), W (c_out, c_in, k), b (c_out,), Y (q, c_out, places).
    """

    @staticmethod
    def forward(ctx, X, W, b, stride=1):
        ctx.save_for_backward(X, W)
        ctx.stride = stride
        windows = X.unfold(2, W.shape[2], stride)
        return torch.einsum("qclk,ock->qol", windows, W) + b[:, None]
        # ✗ forward-reversed: return torch.einsum("qclk,ock->qol", windows, W.flip(2)) + b[:, None]

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        windows = X.unfold(2, W.shape[2], ctx.stride)
        grad_W = torch.einsum("qol,qclk->ock", grad_output, windows)
        # ✗ weight-averaged: grad_W = torch.einsum("qol,qclk->ock", grad_output, windows) / len(X)
        # ✗ channels-transposed: grad_W = torch.einsum("qol,qclk->cok", grad_output, windows)
        grad_b = grad_output.sum((0, 2))
        # ✗ bias-not-summed: grad_b = grad_output.sum(0)
        # ✗ bias-not-summed-over-batch: grad_b = grad_output.sum(2)
        # ✗ bias-averaged: grad_b = grad_output.mean((0, 2))
        # ✗ reversed-and-not-summed: grad_b = grad_output.sum(0)
        grad_windows = torch.einsum("qol,ock->qclk", grad_output, W)
        # ✗ kernel-reversed: grad_windows = torch.einsum("qol,ock->qclk", grad_output, W.flip(2))
        # ✗ weight-detached: grad_windows = torch.einsum("qol,ock->qclk", grad_output, W.detach())
        # ✗ reversed-and-not-summed: grad_windows = (
        # ✗ reversed-and-not-summed:     torch.einsum("qol,ock->qclk", grad_output, W.flip(2))
        # ✗ reversed-and-not-summed: )
        grad_X = torch.zeros_like(X)
        for place in range(grad_output.shape[2]):
            start = place * ctx.stride
            grad_X[:, :, start : start + W.shape[2]] += grad_windows[:, :, place]
            # ✗ overwritten: grad_X[:, :, start : start + W.shape[2]] = grad_windows[:, :, place]
            # ✗ input-sign: grad_X[:, :, start : start + W.shape[2]] -= grad_windows[:, :, place]
        return grad_X, grad_W, grad_b, None
        # ✗ swapped: return grad_W, grad_X, grad_b, None
        # ✗ too-few-gradients: return grad_X, grad_W
