"""The right Tanh, and its mutants: name [what the doctor may call it] what is wrong.

input-for-output [grad-value] 1 - x² where 1 - y² is due
tanh-twice [grad-value] 1 - tanh(y)² where 1 - y² is due
square-missing [grad-value] 1 - y where 1 - y² is due
sigmoid-derivative [grad-value] the derivative of the sigmoid
sign [grad-sign] y² - 1 where 1 - y² is due
half [grad-factor] half of the derivative
mean [grad-factor] divided by the number of entries
grad-output-ignored [ignores-grad-output] the local derivative alone
grad-output-added [nonlinear-in-grad-output] grad_output is added where it should multiply
grad-output-squared [nonlinear-in-grad-output] grad_output is used twice
grad-output-changed [mutates-grad-output] backward multiplies in place
input-changed [mutates-input] forward works in place
exponentials [forward-unstable] the quotient of exponentials, which overflow
sigmoid [forward-value] forward is the sigmoid
gradient-missing [grad-missing] backward returns nothing
in-float32 [grad-dtype] the gradient is in float32 whatever the dtype
summed [grad-shape] the gradient is summed over the batch
derivative-saved [second-order] 1 - y² is saved, which autograd takes for a constant
detached [second-order] backward detaches the output
kept-on-ctx [keeps-tensors] the output is an attribute of ctx
sign-and-changed [grad-sign mutates-grad-output] two faults: the sign, and in place
"""

import torch
from torch.autograd import Function


class Tanh(Function):
    """y = tanh(x), entry by entry."""

    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        # ✗ input-changed: y = x.tanh_().clone()
        # ✗ exponentials: y = (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x))
        # ✗ sigmoid: y = torch.sigmoid(x)
        ctx.save_for_backward(y)
        # ✗ input-for-output: ctx.save_for_backward(x)
        # ✗ derivative-saved: ctx.save_for_backward(1 - y**2)
        # ✗ kept-on-ctx: ctx.y = y
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        # ✗ kept-on-ctx: y = ctx.y
        return grad_output * (1 - y**2)
        # ✗ tanh-twice: return grad_output * (1 - torch.tanh(y) ** 2)
        # ✗ square-missing: return grad_output * (1 - y)
        # ✗ sigmoid-derivative: return grad_output * y * (1 - y)
        # ✗ sign: return grad_output * (y**2 - 1)
        # ✗ half: return grad_output * (1 - y**2) / 2
        # ✗ mean: return grad_output * (1 - y**2) / y.numel()
        # ✗ grad-output-ignored: return 1 - y**2
        # ✗ grad-output-added: return grad_output + (1 - y**2)
        # ✗ grad-output-squared: return grad_output * grad_output * (1 - y**2)
        # ✗ grad-output-changed: return grad_output.mul_(1 - y**2)
        # ✗ gradient-missing: return None
        # ✗ in-float32: return (grad_output * (1 - y**2)).float()
        # ✗ summed: return (grad_output * (1 - y**2)).sum(0)
        # ✗ derivative-saved: return grad_output * y
        # ✗ detached: return grad_output * (1 - y.detach() ** 2)
        # ✗ sign-and-changed: return grad_output.mul_(y**2 - 1)
