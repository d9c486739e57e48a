"""The right AvgPool, and its mutants: name [what the doctor may call it] what is wrong.

not-divided [grad-factor] every entry gets the whole gradient
divided-twice [grad-factor] divided by the size of the window twice
first-alone [grad-value] the first entry of the window gets all
weighted-by-input [grad-value] multiplied by the input
forward-sum [forward-value grad-factor] forward takes the sum
forward-maximum [forward-value] forward takes the maximum
grad-output-ignored [ignores-grad-output] 1 / k everywhere, and grad_output forgotten
grad-output-changed [mutates-grad-output] backward divides in place
sign [grad-sign] the gradient has the wrong sign
in-float32 [grad-dtype] the gradient is in float32 whatever the dtype
"""

import torch
from torch.autograd import Function


class AvgPool(Function):
    """Mean of each window: X (q, channels, length), Y (q, channels, places)."""

    @staticmethod
    def forward(ctx, X, kernel_size=2, stride=None):
        ctx.save_for_backward(X)
        ctx.kernel_size, ctx.stride = kernel_size, stride or kernel_size
        return X.unfold(2, kernel_size, stride or kernel_size).mean(-1)
        # ✗ forward-sum: return X.unfold(2, kernel_size, stride or kernel_size).sum(-1)
        # ✗ forward-maximum: return X.unfold(2, kernel_size, stride or kernel_size).amax(-1)

    @staticmethod
    def backward(ctx, grad_output):
        (X,) = ctx.saved_tensors
        share = grad_output / ctx.kernel_size
        # ✗ not-divided: share = grad_output
        # ✗ divided-twice: share = grad_output / ctx.kernel_size**2
        # ✗ grad-output-ignored: share = torch.ones_like(grad_output) / ctx.kernel_size
        # ✗ grad-output-changed: share = grad_output.div_(ctx.kernel_size)
        grad_X = torch.zeros_like(X)
        for place in range(grad_output.shape[2]):
            start = place * ctx.stride
            grad_X[:, :, start : start + ctx.kernel_size] += share[:, :, place : place + 1]
            # ✗ first-alone: grad_X[:, :, start : start + 1] += share[:, :, place : place + 1]
            # ✗ sign: grad_X[:, :, start : start + ctx.kernel_size] -= (
            # ✗ sign:     share[:, :, place : place + 1]
            # ✗ sign: )
        return grad_X, None, None
        # ✗ weighted-by-input: return grad_X * X, None, None
        # ✗ in-float32: return grad_X.float(), None, None
