"""Pooling of signals, right and wrong."""

from ._mutant import mutant

MAX_POOL = '''\
import torch
from torch.autograd import Function


class MaxPool(Function):
    """Largest entry of each window: X (q, channels, length), Y (q, channels, places); the first of equals."""

    @staticmethod
    def forward(ctx, X, kernel_size=2, stride=None):
        ctx.save_for_backward(X)
        ctx.kernel_size, ctx.stride = kernel_size, stride or kernel_size
        return X.unfold(2, kernel_size, stride or kernel_size).amax(-1)

    @staticmethod
    def backward(ctx, grad_output):
        (X,) = ctx.saved_tensors
        windows = X.unfold(2, ctx.kernel_size, ctx.stride)
        best = windows.argmax(-1, keepdim=True)
        mask = torch.arange(ctx.kernel_size, device=X.device) == best
        grad_windows = mask * grad_output[..., None]
        grad_X = torch.zeros_like(X)
        for place in range(grad_output.shape[2]):
            start = place * ctx.stride
            grad_X[:, :, start : start + ctx.kernel_size] += grad_windows[:, :, place]
        return grad_X, None, None
'''

# fmt: off
MAX_POOL_MUTANTS = (
    mutant("all-maxima", "kink", "every entry that is equal to the maximum gets the whole gradient",
           "mask = torch.arange(ctx.kernel_size, device=X.device) == best",
           "mask = windows == windows.amax(-1, keepdim=True)"),
    mutant("minimum", "grad-value", "the smallest entry gets the gradient", "windows.argmax(", "windows.argmin("),
    mutant("whole-window", "grad-value", "every entry of the window gets the gradient",
           "mask * grad_output[..., None]", "torch.ones_like(mask) * grad_output[..., None]"),
    mutant("as-if-average", "grad-value", "the derivative of the average",
           "mask * grad_output[..., None]", "torch.ones_like(mask) * grad_output[..., None] / ctx.kernel_size"),
    mutant("forward-minimum", "forward-value", "forward takes the smallest entry", ".amax(-1)", ".amin(-1)"),
    mutant("forward-average", "forward-value", "forward takes the mean", ".amax(-1)", ".mean(-1)"),
    mutant("not-spread", "grad-shape", "the gradient has the shape of the output",
           "return grad_X, None, None", "return grad_output.clone(), None, None"),
    mutant("grad-output-ignored", "ignores-grad-output", "1 where the maximum was, and grad_output forgotten",
           "mask * grad_output[..., None]", "mask * torch.ones_like(grad_output)[..., None]"),
    mutant("sign", "grad-sign", "the gradient has the wrong sign", "] += grad_windows", "] -= grad_windows"),
    mutant("multiplied-by-maximum", "grad-value", "multiplied by the maximum itself",
           "mask * grad_output[..., None]", "mask * windows * grad_output[..., None]"),
)
# fmt: on

AVG_POOL = '''\
import torch
from torch.autograd import Function


class AvgPool(Function):
    """Mean of each window: X (q, channels, length), Y (q, channels, places)."""

    @staticmethod
    def forward(ctx, X, kernel_size=2, stride=None):
        ctx.save_for_backward(X)
        ctx.kernel_size, ctx.stride = kernel_size, stride or kernel_size
        return X.unfold(2, kernel_size, stride or kernel_size).mean(-1)

    @staticmethod
    def backward(ctx, grad_output):
        (X,) = ctx.saved_tensors
        share = grad_output / ctx.kernel_size
        grad_X = torch.zeros_like(X)
        for place in range(grad_output.shape[2]):
            start = place * ctx.stride
            grad_X[:, :, start : start + ctx.kernel_size] += share[:, :, place : place + 1]
        return grad_X, None, None
'''

# fmt: off
AVG_POOL_MUTANTS = (
    mutant("not-divided", "grad-factor", "every entry gets the whole gradient",
           "grad_output / ctx.kernel_size", "grad_output"),
    mutant("divided-twice", "grad-factor", "divided by the size of the window twice",
           "grad_output / ctx.kernel_size", "grad_output / ctx.kernel_size**2"),
    mutant("first-alone", "grad-value", "the first entry of the window gets all",
           "start : start + ctx.kernel_size", "start : start + 1"),
    mutant("weighted-by-input", "grad-value", "multiplied by the input", "return grad_X,", "return grad_X * X,"),
    mutant("forward-sum", "forward-value grad-factor", "forward takes the sum", ".mean(-1)", ".sum(-1)"),
    mutant("forward-maximum", "forward-value", "forward takes the maximum", ".mean(-1)", ".amax(-1)"),
    mutant("grad-output-ignored", "ignores-grad-output", "1 / k everywhere, and grad_output forgotten",
           "grad_output / ctx", "torch.ones_like(grad_output) / ctx"),
    mutant("grad-output-changed", "mutates-grad-output", "backward divides in place",
           "grad_output / ctx.kernel_size", "grad_output.div_(ctx.kernel_size)"),
    mutant("sign", "grad-sign", "the gradient has the wrong sign", "] += share", "] -= share"),
    mutant("in-float32", "grad-dtype", "the gradient is in float32 whatever the dtype",
           "return grad_X,", "return grad_X.float(),"),
)
# fmt: on
