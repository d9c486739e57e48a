"""The right BCEWithLogits, and its mutants: name [what the doctor may call it] what is wrong.

overflows [forward-unstable] exp(z) overflows
log-of-sigmoid [forward-unstable] log of a sigmoid that is 0 or 1
sigmoid-forgotten [grad-value] the logits where their sigmoid is due
sigmoid-derived-again [grad-value] multiplied by s (1 - s), which is in it already
sign [grad-sign] the gradient of the logits has the wrong sign
mean-missing [grad-factor] the derivative of the sum, where forward takes the mean
probabilities [forward-value] forward takes the logits for probabilities, kept within (0, 1)
grad-output-ignored [ignores-grad-output] the gradient of the logits forgets grad_output
sigmoid-saved [second-order] the sigmoid is saved, which autograd takes for a constant
"""

import torch
from torch.autograd import Function


class BCEWithLogits(Function):
    """Mean of -(y log s(z) + (1 - y) log(1 - s(z))) over all entries, s the sigmoid."""

    @staticmethod
    def forward(ctx, z, y):
        ctx.save_for_backward(z, y)
        # ✗ sigmoid-saved: ctx.save_for_backward(z, y, torch.sigmoid(z))
        return (z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs()))).mean()
        # ✗ overflows: return (torch.log1p(torch.exp(z)) - z * y).mean()
        # ✗ log-of-sigmoid: return -(
        # ✗ log-of-sigmoid:     y * torch.log(torch.sigmoid(z))
        # ✗ log-of-sigmoid:     + (1 - y) * torch.log(1 - torch.sigmoid(z))
        # ✗ log-of-sigmoid: ).mean()
        # ✗ probabilities: return torch.nn.functional.binary_cross_entropy(
        # ✗ probabilities:     z.clamp(0.01, 0.99), y
        # ✗ probabilities: ).mean()

    @staticmethod
    def backward(ctx, grad_output):
        z, y = ctx.saved_tensors
        # ✗ sigmoid-saved: z, y, s = ctx.saved_tensors
        grad_z = grad_output * (torch.sigmoid(z) - y) / z.numel()
        # ✗ sigmoid-forgotten: grad_z = grad_output * (z - y) / z.numel()
        # ✗ sigmoid-derived-again: grad_z = (
        # ✗ sigmoid-derived-again:     grad_output * (torch.sigmoid(z) - y) * torch.sigmoid(z)
        # ✗ sigmoid-derived-again:     * (1 - torch.sigmoid(z)) / z.numel()
        # ✗ sigmoid-derived-again: )
        # ✗ sign: grad_z = grad_output * (y - torch.sigmoid(z)) / z.numel()
        # ✗ mean-missing: grad_z = grad_output * (torch.sigmoid(z) - y)
        # ✗ grad-output-ignored: grad_z = (torch.sigmoid(z) - y) / z.numel()
        # ✗ sigmoid-saved: grad_z = grad_output * (s - y) / z.numel()
        grad_y = grad_output * -z / z.numel()
        return grad_z, grad_y
