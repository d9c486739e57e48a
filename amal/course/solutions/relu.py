"""The right ReLU, and its mutants: name [what the doctor may call it] what is wrong.

slope-at-zero [kink] the slope at 0 is 0 / 0
wrong-side [grad-value] the gradient of what was cut off passes
sign-function [grad-value grad-sign] the slope is -1 where x is negative
multiplied-by-output [grad-value] the output where its derivative is due
mask-of-grad-output [nonlinear-in-grad-output] the mask is that of grad_output
grad-output-ignored [ignores-grad-output] the local derivative alone
grad-output-changed [mutates-grad-output] backward sets entries of grad_output to 0
input-changed [mutates-input] forward works in place
absolute [forward-value] forward is the absolute value
mask-forgotten [grad-value] the slope is 1 everywhere
kept-on-ctx [keeps-tensors] the input is an attribute of ctx
changed-and-sign [mutates-grad-output grad-value] two faults: in place, and -1 where x is negative
"""

import torch
from torch.autograd import Function


class ReLU(Function):
    """y = x where x > 0, else 0; at 0 the slope is 0."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        # ✗ kept-on-ctx: ctx.x = x
        return x.clamp(min=0)
        # ✗ input-changed: return x.clamp_(min=0).clone()
        # ✗ absolute: return x.abs()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        # ✗ kept-on-ctx: x = ctx.x
        return grad_output * (x > 0)
        # ✗ slope-at-zero: return grad_output * x.clamp(min=0) / x
        # ✗ wrong-side: return grad_output * (x < 0)
        # ✗ sign-function: return grad_output * torch.sign(x)
        # ✗ multiplied-by-output: return grad_output * x.clamp(min=0)
        # ✗ mask-of-grad-output: return grad_output * (grad_output > 0)
        # ✗ grad-output-ignored: return (x > 0).to(x.dtype)
        # ✗ grad-output-changed: grad_output[x <= 0] = 0
        # ✗ grad-output-changed: return grad_output
        # ✗ mask-forgotten: return grad_output.clone()
        # ✗ changed-and-sign: grad_output[x <= 0] *= -1
        # ✗ changed-and-sign: return grad_output
