"""The right Sigmoid, and its mutants: name [what the doctor may call it] what is wrong.

input-for-output [grad-value] x (1 - x) where y (1 - y) is due
sigmoid-twice [grad-value] the derivative is taken at the output
tanh-derivative [grad-value] the derivative of tanh
sign [grad-sign] y (y - 1) where y (1 - y) is due
one-minus-missing [grad-value] y where y (1 - y) is due
double [grad-factor] twice the derivative
grad-output-ignored [ignores-grad-output] the local derivative alone
grad-output-changed [mutates-grad-output] backward multiplies in place
exponentials [forward-unstable] exp(x) / (1 + exp(x)), which overflows
sign-of-exponent [forward-value] forward is the sigmoid of -x
derivative-saved [second-order] y (1 - y) is saved, which autograd takes for a constant
ignored-and-sign [ignores-grad-output grad-sign] two faults: no grad_output, and the sign
"""

import torch
from torch.autograd import Function


class Sigmoid(Function):
    """y = 1 / (1 + exp(-x)), entry by entry."""

    @staticmethod
    def forward(ctx, x):
        y = torch.sigmoid(x)
        # ✗ exponentials: y = torch.exp(x) / (1 + torch.exp(x))
        # ✗ sign-of-exponent: y = torch.sigmoid(-x)
        ctx.save_for_backward(y)
        # ✗ input-for-output: ctx.save_for_backward(x)
        # ✗ derivative-saved: ctx.save_for_backward(y * (1 - y))
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        # ✗ sigmoid-twice: (y,) = ctx.saved_tensors
        # ✗ sigmoid-twice: y = torch.sigmoid(y)
        return grad_output * y * (1 - y)
        # ✗ tanh-derivative: return grad_output * (1 - y**2)
        # ✗ sign: return grad_output * y * (y - 1)
        # ✗ one-minus-missing: return grad_output * y
        # ✗ double: return grad_output * 2 * y * (1 - y)
        # ✗ grad-output-ignored: return y * (1 - y)
        # ✗ grad-output-changed: return grad_output.mul_(y).mul_(1 - y)
        # ✗ derivative-saved: return grad_output * y
        # ✗ ignored-and-sign: return y * (y - 1)
