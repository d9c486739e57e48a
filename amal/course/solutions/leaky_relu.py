"""The right LeakyReLU, and its mutants: name [what the doctor may call it] what is wrong.

slope-at-zero [kink] the derivative at 0 is the sum of those on both sides
slope-forgotten [grad-value] the derivative of the plain ReLU
slope-of-grad-output [nonlinear-in-grad-output] the sign of grad_output chooses the slope
sides-swapped [grad-value] the slope is on the wrong side
slope-sign [grad-value grad-sign] the slope has the wrong sign
subtracted [forward-value] forward takes the slope off where it should multiply
grad-output-ignored [ignores-grad-output] the local derivative alone
grad-output-changed [mutates-grad-output] backward works in place
"""

import torch
from torch.autograd import Function


class LeakyReLU(Function):
    """y = x where x > 0, else slope * x; at 0 the derivative is the slope."""

    @staticmethod
    def forward(ctx, x, slope=0.01):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.where(x > 0, x, slope * x)
        # ✗ subtracted: return torch.where(x > 0, x, x - slope)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, grad_output, ctx.slope * grad_output), None
        # ✗ slope-at-zero: return grad_output * ((x >= 0) + ctx.slope * (x <= 0)), None
        # ✗ slope-forgotten: return torch.where(
        # ✗ slope-forgotten:     x > 0, grad_output, torch.zeros_like(grad_output)
        # ✗ slope-forgotten: ), None
        # ✗ slope-of-grad-output: return torch.where(
        # ✗ slope-of-grad-output:     grad_output > 0, grad_output, ctx.slope * grad_output
        # ✗ slope-of-grad-output: ), None
        # ✗ sides-swapped: return torch.where(x > 0, ctx.slope * grad_output, grad_output), None
        # ✗ slope-sign: return torch.where(x > 0, grad_output, -ctx.slope * grad_output), None
        # ✗ grad-output-ignored: return torch.where(
        # ✗ grad-output-ignored:     x > 0, torch.ones_like(x), ctx.slope * torch.ones_like(x)
        # ✗ grad-output-ignored: ), None
        # ✗ grad-output-changed: grad_output[x <= 0] *= ctx.slope
        # ✗ grad-output-changed: return grad_output, None
