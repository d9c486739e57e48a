"""The right Softmax, and its mutants: name [what the doctor may call it] what is wrong.

maximum-not-subtracted [forward-unstable] exp(x) / sum of exp(x), which overflows
as-if-sigmoid [grad-value] the diagonal of the Jacobian alone: y (1 - y)
inner-over-batch [grad-value] the inner product is summed over the batch
inner-over-all [grad-value] the inner product is summed over everything
inner-averaged [grad-value] the inner product is a mean
inner-without-output [grad-value] the sum of grad_output, not weighted by y
outer-factor-missing [grad-value] the factor y is missing
sign [grad-sign] the gradient has the wrong sign
over-batch [forward-value] forward normalises over the batch
grad-output-ignored [ignores-grad-output] the local derivative alone
output-detached [second-order] backward takes the output as a constant
grad-output-changed [mutates-grad-output] backward subtracts in place
"""

import torch
from torch.autograd import Function


class Softmax(Function):
    """y_j = exp(x_j) / sum of exp(x_k), along the last dimension."""

    @staticmethod
    def forward(ctx, x):
        e = torch.exp(x - x.max(-1, keepdim=True).values)
        # ✗ maximum-not-subtracted: e = torch.exp(x)
        y = e / e.sum(-1, keepdim=True)
        # ✗ over-batch: y = e / e.sum(0, keepdim=True)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        # ✗ output-detached: y = ctx.saved_tensors[0].detach()
        inner = (grad_output * y).sum(-1, keepdim=True)
        # ✗ inner-over-batch: inner = (grad_output * y).sum(0, keepdim=True)
        # ✗ inner-over-all: inner = (grad_output * y).sum()
        # ✗ inner-averaged: inner = (grad_output * y).mean(-1, keepdim=True)
        # ✗ inner-without-output: inner = grad_output.sum(-1, keepdim=True)
        return y * (grad_output - inner)
        # ✗ as-if-sigmoid: return grad_output * y * (1 - y)
        # ✗ outer-factor-missing: return grad_output - inner
        # ✗ sign: return y * (inner - grad_output)
        # ✗ grad-output-ignored: return y * (1 - y)
        # ✗ grad-output-changed: return y * grad_output.sub_(inner)
