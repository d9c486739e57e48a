"""The right MaxPool, and its mutants: name [what the doctor may call it] what is wrong.

all-maxima [kink] every entry that is equal to the maximum gets the whole gradient
minimum [grad-value] the smallest entry gets the gradient
whole-window [grad-value] every entry of the window gets the gradient
as-if-average [grad-value] the derivative of the average
forward-minimum [forward-value] forward takes the smallest entry
forward-average [forward-value] forward takes the mean
not-spread [grad-shape] the gradient has the shape of the output
grad-output-ignored [ignores-grad-output] 1 where the maximum was, and grad_output forgotten
sign [grad-sign] the gradient has the wrong sign
multiplied-by-maximum [grad-value] multiplied by the maximum itself
"""

import torch
from torch.autograd import Function


class MaxPool(Function):
    """Largest entry of each window; the first of equals.

    X (q, channels, length), Y (q, channels, places).
    """

    @staticmethod
    def forward(ctx, X, kernel_size=2, stride=None):
        ctx.save_for_backward(X)
        ctx.kernel_size, ctx.stride = kernel_size, stride or kernel_size
        return X.unfold(2, kernel_size, stride or kernel_size).amax(-1)
        # ✗ forward-minimum: return X.unfold(2, kernel_size, stride or kernel_size).amin(-1)
        # ✗ forward-average: return X.unfold(2, kernel_size, stride or kernel_size).mean(-1)

    @staticmethod
    def backward(ctx, grad_output):
        (X,) = ctx.saved_tensors
        windows = X.unfold(2, ctx.kernel_size, ctx.stride)
        best = windows.argmax(-1, keepdim=True)
        # ✗ minimum: best = windows.argmin(-1, keepdim=True)
        mask = torch.arange(ctx.kernel_size, device=X.device) == best
        # ✗ all-maxima: mask = windows == windows.amax(-1, keepdim=True)
        grad_windows = mask * grad_output[..., None]
        # ✗ whole-window: grad_windows = torch.ones_like(mask) * grad_output[..., None]
        # ✗ as-if-average: grad_windows = (
        # ✗ as-if-average:     torch.ones_like(mask) * grad_output[..., None] / ctx.kernel_size
        # ✗ as-if-average: )
        # ✗ grad-output-ignored: grad_windows = mask * torch.ones_like(grad_output)[..., None]
        # ✗ multiplied-by-maximum: grad_windows = mask * windows * grad_output[..., None]
        grad_X = torch.zeros_like(X)
        for place in range(grad_output.shape[2]):
            start = place * ctx.stride
            grad_X[:, :, start : start + ctx.kernel_size] += grad_windows[:, :, place]
            # ✗ sign: grad_X[:, :, start : start + ctx.kernel_size] -= grad_windows[:, :, place]
        return grad_X, None, None
        # ✗ not-spread: return grad_output.clone(), None, None
