"""The right BCE, and its mutants: name [what the doctor may call it] what is wrong.

logits-derivative [grad-value] the derivative by the logits, where probabilities are given
multiplied [grad-value] multiplies by p (1 - p) where it should divide
half-derivative [grad-value] the derivative forgets the term of the class 0
half-loss [forward-value] forward forgets the term of the class 0
sign [grad-sign] the gradient of the probabilities has the wrong sign
target-sign [grad-sign] the gradient of the target has the wrong sign
loss-sign [forward-value grad-sign] forward forgets the minus
mean-missing [grad-factor] the derivative of the sum, where forward takes the mean
mean-over-batch [grad-factor] backward divides by the batch size, forward by the number of entries
not-clamped [forward-unstable] log 0 where a probability is 0 or 1
grad-output-ignored [ignores-grad-output] the gradient of the probabilities forgets grad_output
detached [second-order] backward detaches the probabilities
"""

import torch
from torch.autograd import Function


class BCE(Function):
    """Mean of -(y log p + (1 - y) log(1 - p)) over all entries.

    A logarithm counts as at least -100.
    """

    @staticmethod
    def forward(ctx, p, y):
        ctx.save_for_backward(p, y)
        log_p = torch.log(p).clamp(min=-100)
        # ✗ not-clamped: log_p = torch.log(p)
        log_not_p = torch.log1p(-p).clamp(min=-100)
        # ✗ not-clamped: log_not_p = torch.log1p(-p)
        return -(y * log_p + (1 - y) * log_not_p).mean()
        # ✗ half-loss: return -(y * log_p).mean()
        # ✗ loss-sign: return (y * log_p + (1 - y) * log_not_p).mean()

    @staticmethod
    def backward(ctx, grad_output):
        p, y = ctx.saved_tensors
        log_p = torch.log(p).clamp(min=-100)
        log_not_p = torch.log1p(-p).clamp(min=-100)
        # ✗ detached: log_not_p = torch.log1p(-p).clamp(min=-100)
        # ✗ detached: p = p.detach()
        grad_p = grad_output * (p - y) / (p * (1 - p)).clamp(min=1e-12) / p.numel()
        # ✗ logits-derivative: grad_p = grad_output * (p - y) / p.numel()
        # ✗ multiplied: grad_p = grad_output * (p - y) * p * (1 - p) / p.numel()
        # ✗ half-derivative: grad_p = grad_output * -y / p.clamp(min=1e-12) / p.numel()
        # ✗ sign: grad_p = grad_output * (y - p) / (p * (1 - p)).clamp(min=1e-12) / p.numel()
        # ✗ mean-missing: grad_p = grad_output * (p - y) / (p * (1 - p)).clamp(min=1e-12)
        # ✗ mean-over-batch: grad_p = (
        # ✗ mean-over-batch:     grad_output * (p - y) / (p * (1 - p)).clamp(min=1e-12) / len(p)
        # ✗ mean-over-batch: )
        # ✗ grad-output-ignored: grad_p = (p - y) / (p * (1 - p)).clamp(min=1e-12) / p.numel()
        grad_y = grad_output * (log_not_p - log_p) / p.numel()
        # ✗ target-sign: grad_y = grad_output * (log_p - log_not_p) / p.numel()
        return grad_p, grad_y
