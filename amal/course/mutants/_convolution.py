"""Convolutions of signals and images, right and wrong."""

from ._mutant import mutant

CONV1D = '''\
import torch
from torch.autograd import Function


class Conv1d(Function):
    """Cross-correlation: X (q, c_in, length), W (c_out, c_in, k), b (c_out,), Y (q, c_out, places)."""

    @staticmethod
    def forward(ctx, X, W, b, stride=1):
        ctx.save_for_backward(X, W)
        ctx.stride = stride
        windows = X.unfold(2, W.shape[2], stride)
        return torch.einsum("qclk,ock->qol", windows, W) + b[:, None]

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        windows = X.unfold(2, W.shape[2], ctx.stride)
        grad_W = torch.einsum("qol,qclk->ock", grad_output, windows)
        grad_b = grad_output.sum((0, 2))
        grad_windows = torch.einsum("qol,ock->qclk", grad_output, W)
        grad_X = torch.zeros_like(X)
        for place in range(grad_output.shape[2]):
            start = place * ctx.stride
            grad_X[:, :, start : start + W.shape[2]] += grad_windows[:, :, place]
        return grad_X, grad_W, grad_b, None
'''

# fmt: off
CONV1D_MUTANTS = (
    mutant("bias-not-summed", "not-summed grad-shape", "the bias gradient is summed over the batch, not over places",
           "grad_output.sum((0, 2))", "grad_output.sum(0)"),
    mutant("bias-not-summed-over-batch", "not-summed grad-shape", "the bias gradient is not summed over the batch",
           "grad_output.sum((0, 2))", "grad_output.sum(2)"),
    mutant("bias-averaged", "grad-factor", "the bias gradient is a mean",
           "grad_output.sum((0, 2))", "grad_output.mean((0, 2))"),
    mutant("overwritten", "grad-value", "where windows overlap, the last one counts alone",
           "] += grad_windows", "] = grad_windows"),
    mutant("kernel-reversed", "grad-value", "the input's gradient takes the kernel in reverse",
           '"qol,ock->qclk", grad_output, W)', '"qol,ock->qclk", grad_output, W.flip(2))'),
    mutant("forward-reversed", "forward-value", "forward takes the kernel in reverse",
           "windows, W)", "windows, W.flip(2))"),
    mutant("weight-averaged", "grad-factor", "the weight's gradient is divided by the batch size",
           'grad_output, windows)', 'grad_output, windows) / len(X)'),
    mutant("channels-transposed", "grad-transposed grad-shape", "the weight's gradient has its channels transposed",
           "qclk->ock", "qclk->cok"),
    mutant("input-sign", "grad-sign", "the input's gradient has the wrong sign", "+= grad_windows", "-= grad_windows"),
    mutant("swapped", "grad-order", "the gradients of input and weight in the wrong order",
           "return grad_X, grad_W,", "return grad_W, grad_X,"),
    mutant("too-few-gradients", "grad-count", "two gradients, and no third for the bias",
           "return grad_X, grad_W, grad_b, None", "return grad_X, grad_W"),
    mutant("weight-detached", "second-order", "the input's gradient takes the weight as a constant",
           'qclk", grad_output, W)', 'qclk", grad_output, W.detach())'),
    mutant("reversed-and-not-summed", "grad-value not-summed grad-shape", "two faults: the kernel, and the bias",
           '"qol,ock->qclk", grad_output, W)', '"qol,ock->qclk", grad_output, W.flip(2))',
           "grad_output.sum((0, 2))", "grad_output.sum(0)"),
)
# fmt: on

CONV2D = '''\
import torch
from torch.autograd import Function
from torch.nn.functional import fold, unfold


class Conv2d(Function):
    """Cross-correlation: X (q, c_in, h, w), W (c_out, c_in, k, l), b (c_out,), Y (q, c_out, rows, columns)."""

    @staticmethod
    def forward(ctx, X, W, b, stride=1):
        ctx.save_for_backward(X, W)
        ctx.stride = stride
        rows, columns = ((X.shape[d] - W.shape[d]) // stride + 1 for d in (2, 3))
        patches = unfold(X, W.shape[2:], stride=stride)
        Y = W.flatten(1) @ patches + b[:, None]
        return Y.reshape(len(X), len(W), rows, columns)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        grad = grad_output.flatten(2)
        patches = unfold(X, W.shape[2:], stride=ctx.stride)
        grad_W = (grad @ patches.mT).sum(0).reshape(W.shape)
        grad_b = grad_output.sum((0, 2, 3))
        grad_patches = W.flatten(1).T @ grad
        grad_X = fold(grad_patches, X.shape[2:], W.shape[2:], stride=ctx.stride)
        return grad_X, grad_W, grad_b, None
'''

# fmt: off
CONV2D_MUTANTS = (
    mutant("bias-not-summed", "not-summed grad-shape", "the bias gradient is summed over the batch, not over places",
           "grad_output.sum((0, 2, 3))", "grad_output.sum(0)"),
    mutant("bias-not-summed-over-batch", "not-summed grad-shape", "the bias gradient is not summed over the batch",
           "grad_output.sum((0, 2, 3))", "grad_output.sum((2, 3))"),
    mutant("weight-not-summed", "not-summed grad-shape", "the weight's gradient is one for each example",
           ".sum(0).reshape(W.shape)", ".reshape(len(X), *W.shape)"),
    mutant("weight-averaged", "grad-factor", "the weight's gradient is a mean over the batch",
           "patches.mT).sum(0)", "patches.mT).mean(0)"),
    mutant("kernel-reversed", "grad-value", "the input's gradient takes the kernel in reverse",
           "W.flatten(1).T @ grad", "W.flip(2, 3).flatten(1).T @ grad"),
    mutant("kernel-transposed", "grad-transposed grad-value", "the weight's gradient has rows and columns transposed",
           ".reshape(W.shape)", ".reshape(W.shape).mT"),
    mutant("forward-reversed", "forward-value", "forward takes the kernel in reverse",
           "W.flatten(1) @ patches", "W.flip(2, 3).flatten(1) @ patches"),
    mutant("input-sign", "grad-sign", "the input's gradient has the wrong sign",
           "W.flatten(1).T @ grad", "-W.flatten(1).T @ grad"),
    mutant("bias-missing", "grad-missing", "None for the bias",
           "return grad_X, grad_W, grad_b, None", "return grad_X, grad_W, None, None"),
    mutant("swapped", "grad-order", "the gradients of weight and bias in the wrong order",
           "return grad_X, grad_W, grad_b,", "return grad_X, grad_b, grad_W,"),
    mutant("no-bias", "forward-value", "forward forgets the bias", " + b[:, None]", ""),
    mutant("grad-output-ignored", "ignores-grad-output", "the bias gradient counts places, and forgets grad_output",
           "grad_output.sum((0, 2, 3))", "torch.ones_like(grad_output).sum((0, 2, 3))"),
    mutant("input-detached", "second-order", "the weight's gradient takes the input as a constant",
           "X, W = ctx.saved_tensors\n", "X, W = ctx.saved_tensors\n        X = X.detach()\n"),
)
# fmt: on
