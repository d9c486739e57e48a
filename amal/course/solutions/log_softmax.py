"""The right LogSoftmax, and its mutants: name [what the doctor may call it] what is wrong.

exponentials [forward-unstable] the logarithm of exponentials, which overflow
not-summed [grad-value not-summed] grad_output is not summed over the classes
logarithm-for-probability [grad-value] y where exp(y) is due
over-batch [grad-value] grad_output is summed over the batch
sign [grad-sign] the gradient has the wrong sign
softmax [forward-value] forward is the softmax
as-if-one-class [nonlinear-in-grad-output] the sum of grad_output is taken to be 1
probability-saved [second-order] exp(y) is saved, which autograd takes for a constant
dimension-lost [grad-shape grad-value] the gradient is summed over the classes
"""

import torch
from torch.autograd import Function


class LogSoftmax(Function):
    """y_j = x_j - log of the sum of exp(x_k), along the last dimension."""

    @staticmethod
    def forward(ctx, x):
        y = x - torch.logsumexp(x, -1, keepdim=True)
        # ✗ exponentials: y = torch.log(torch.exp(x) / torch.exp(x).sum(-1, keepdim=True))
        # ✗ softmax: y = torch.exp(x - torch.logsumexp(x, -1, keepdim=True))
        ctx.save_for_backward(y)
        # ✗ probability-saved: ctx.save_for_backward(torch.exp(y))
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output - torch.exp(y) * grad_output.sum(-1, keepdim=True)
        # ✗ not-summed: return grad_output - torch.exp(y) * grad_output
        # ✗ logarithm-for-probability: return grad_output - y * grad_output.sum(-1, keepdim=True)
        # ✗ over-batch: return grad_output - torch.exp(y) * grad_output.sum(0, keepdim=True)
        # ✗ sign: return torch.exp(y) * grad_output.sum(-1, keepdim=True) - grad_output
        # ✗ as-if-one-class: return grad_output - torch.exp(y)
        # ✗ probability-saved: return grad_output - y * grad_output.sum(-1, keepdim=True)
        # ✗ dimension-lost: return (
        # ✗ dimension-lost:     grad_output - torch.exp(y) * grad_output.sum(-1, keepdim=True)
        # ✗ dimension-lost: ).sum(-1)
