"""Tanh, sigmoid, ReLU and leaky ReLU, right and wrong."""

from ._mutant import mutant

TANH = '''\
import torch
from torch.autograd import Function


class Tanh(Function):
    """y = tanh(x), entry by entry."""

    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output * (1 - y**2)
'''

# fmt: off
TANH_MUTANTS = (
    mutant("input-for-output", "grad-value", "1 - x² where 1 - y² is due",
           "ctx.save_for_backward(y)", "ctx.save_for_backward(x)"),
    mutant("tanh-twice", "grad-value", "1 - tanh(y)² where 1 - y² is due", "1 - y**2", "1 - torch.tanh(y) ** 2"),
    mutant("square-missing", "grad-value", "1 - y where 1 - y² is due", "1 - y**2", "1 - y"),
    mutant("sigmoid-derivative", "grad-value", "the derivative of the sigmoid", "(1 - y**2)", "y * (1 - y)"),
    mutant("sign", "grad-sign", "y² - 1 where 1 - y² is due", "1 - y**2", "y**2 - 1"),
    mutant("half", "grad-factor", "half of the derivative", "(1 - y**2)", "(1 - y**2) / 2"),
    mutant("mean", "grad-factor", "divided by the number of entries", "(1 - y**2)", "(1 - y**2) / y.numel()"),
    mutant("grad-output-ignored", "ignores-grad-output", "the local derivative alone",
           "grad_output * (1 - y**2)", "1 - y**2"),
    mutant("grad-output-added", "nonlinear-in-grad-output", "grad_output is added where it should multiply",
           "grad_output * (1 - y**2)", "grad_output + (1 - y**2)"),
    mutant("grad-output-squared", "nonlinear-in-grad-output", "grad_output is used twice",
           "grad_output * (1", "grad_output * grad_output * (1"),
    mutant("grad-output-changed", "mutates-grad-output", "backward multiplies in place",
           "grad_output * (1 - y**2)", "grad_output.mul_(1 - y**2)"),
    mutant("input-changed", "mutates-input", "forward works in place", "torch.tanh(x)", "x.tanh_().clone()"),
    mutant("exponentials", "forward-unstable", "the quotient of exponentials, which overflow",
           "torch.tanh(x)", "(torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x))"),
    mutant("sigmoid", "forward-value", "forward is the sigmoid", "torch.tanh(x)", "torch.sigmoid(x)"),
    mutant("gradient-missing", "grad-missing", "backward returns nothing",
           "return grad_output * (1 - y**2)", "return None"),
    mutant("in-float32", "grad-dtype", "the gradient is in float32 whatever the dtype",
           "grad_output * (1 - y**2)", "(grad_output * (1 - y**2)).float()"),
    mutant("summed", "grad-shape", "the gradient is summed over the batch",
           "grad_output * (1 - y**2)", "(grad_output * (1 - y**2)).sum(0)"),
    mutant("derivative-saved", "second-order", "1 - y² is saved, which autograd takes for a constant",
           "ctx.save_for_backward(y)", "ctx.save_for_backward(1 - y**2)", "grad_output * (1 - y**2)",
           "grad_output * y"),
    mutant("detached", "second-order", "backward detaches the output", "1 - y**2", "1 - y.detach() ** 2"),
    mutant("kept-on-ctx", "keeps-tensors", "the output is an attribute of ctx",
           "ctx.save_for_backward(y)", "ctx.y = y", "(y,) = ctx.saved_tensors", "y = ctx.y"),
    mutant("sign-and-changed", "grad-sign mutates-grad-output", "two faults: the sign, and in place",
           "grad_output * (1 - y**2)", "grad_output.mul_(y**2 - 1)"),
)
# fmt: on

SIGMOID = '''\
import torch
from torch.autograd import Function


class Sigmoid(Function):
    """y = 1 / (1 + exp(-x)), entry by entry."""

    @staticmethod
    def forward(ctx, x):
        y = torch.sigmoid(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output * y * (1 - y)
'''

# fmt: off
SIGMOID_MUTANTS = (
    mutant("input-for-output", "grad-value", "x (1 - x) where y (1 - y) is due",
           "ctx.save_for_backward(y)", "ctx.save_for_backward(x)"),
    mutant("sigmoid-twice", "grad-value", "the derivative is taken at the output",
           "(y,) = ctx.saved_tensors", "(y,) = ctx.saved_tensors\n        y = torch.sigmoid(y)"),
    mutant("tanh-derivative", "grad-value", "the derivative of tanh", "y * (1 - y)", "(1 - y**2)"),
    mutant("sign", "grad-sign", "y (y - 1) where y (1 - y) is due", "(1 - y)", "(y - 1)"),
    mutant("one-minus-missing", "grad-value", "y where y (1 - y) is due", " * (1 - y)", ""),
    mutant("double", "grad-factor", "twice the derivative", "* y *", "* 2 * y *"),
    mutant("grad-output-ignored", "ignores-grad-output", "the local derivative alone", "grad_output * y", "y"),
    mutant("grad-output-changed", "mutates-grad-output", "backward multiplies in place",
           "grad_output * y * (1 - y)", "grad_output.mul_(y).mul_(1 - y)"),
    mutant("exponentials", "forward-unstable", "exp(x) / (1 + exp(x)), which overflows",
           "torch.sigmoid(x)", "torch.exp(x) / (1 + torch.exp(x))"),
    mutant("sign-of-exponent", "forward-value", "forward is the sigmoid of -x",
           "torch.sigmoid(x)", "torch.sigmoid(-x)"),
    mutant("derivative-saved", "second-order", "y (1 - y) is saved, which autograd takes for a constant",
           "ctx.save_for_backward(y)", "ctx.save_for_backward(y * (1 - y))", "* y * (1 - y)", "* y"),
    mutant("ignored-and-sign", "ignores-grad-output grad-sign", "two faults: no grad_output, and the sign",
           "grad_output * y * (1 - y)", "y * (y - 1)"),
)
# fmt: on

RELU = '''\
import torch
from torch.autograd import Function


class ReLU(Function):
    """y = x where x > 0, else 0; at 0 the slope is 0."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x > 0)
'''

# fmt: off
RELU_MUTANTS = (
    mutant("slope-at-zero", "kink", "the slope at 0 is 0 / 0", "(x > 0)", "x.clamp(min=0) / x"),
    mutant("wrong-side", "grad-value", "the gradient of what was cut off passes", "(x > 0)", "(x < 0)"),
    mutant("sign-function", "grad-value grad-sign", "the slope is -1 where x is negative", "(x > 0)", "torch.sign(x)"),
    mutant("multiplied-by-output", "grad-value", "the output where its derivative is due", "(x > 0)", "x.clamp(min=0)"),
    mutant("mask-of-grad-output", "nonlinear-in-grad-output", "the mask is that of grad_output",
           "(x > 0)", "(grad_output > 0)"),
    mutant("grad-output-ignored", "ignores-grad-output", "the local derivative alone",
           "grad_output * (x > 0)", "(x > 0).to(x.dtype)"),
    mutant("grad-output-changed", "mutates-grad-output", "backward sets entries of grad_output to 0",
           "return grad_output * (x > 0)", "grad_output[x <= 0] = 0\n        return grad_output"),
    mutant("input-changed", "mutates-input", "forward works in place", "x.clamp(min=0)", "x.clamp_(min=0).clone()"),
    mutant("absolute", "forward-value", "forward is the absolute value", "x.clamp(min=0)", "x.abs()"),
    mutant("mask-forgotten", "grad-value", "the slope is 1 everywhere", "grad_output * (x > 0)", "grad_output.clone()"),
    mutant("kept-on-ctx", "keeps-tensors", "the input is an attribute of ctx",
           "ctx.save_for_backward(x)", "ctx.x = x", "(x,) = ctx.saved_tensors", "x = ctx.x"),
    mutant("changed-and-sign", "mutates-grad-output grad-value", "two faults: in place, and -1 where x is negative",
           "return grad_output * (x > 0)", "grad_output[x <= 0] *= -1\n        return grad_output"),
)
# fmt: on

LEAKY_RELU = '''\
import torch
from torch.autograd import Function


class LeakyReLU(Function):
    """y = x where x > 0, else slope * x; at 0 the derivative is the slope."""

    @staticmethod
    def forward(ctx, x, slope=0.01):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.where(x > 0, x, slope * x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, grad_output, ctx.slope * grad_output), None
'''

# fmt: off
LEAKY_RELU_MUTANTS = (
    mutant("slope-at-zero", "kink", "the derivative at 0 is the sum of those on both sides",
           "torch.where(x > 0, grad_output, ctx.slope * grad_output)",
           "grad_output * ((x >= 0) + ctx.slope * (x <= 0))"),
    mutant("slope-forgotten", "grad-value", "the derivative of the plain ReLU",
           "ctx.slope * grad_output)", "torch.zeros_like(grad_output))"),
    mutant("slope-of-grad-output", "nonlinear-in-grad-output", "the sign of grad_output chooses the slope",
           "torch.where(x > 0, grad_output", "torch.where(grad_output > 0, grad_output"),
    mutant("sides-swapped", "grad-value", "the slope is on the wrong side",
           "torch.where(x > 0, grad_output, ctx.slope * grad_output)",
           "torch.where(x > 0, ctx.slope * grad_output, grad_output)"),
    mutant("slope-sign", "grad-value grad-sign", "the slope has the wrong sign",
           "ctx.slope * grad_output", "-ctx.slope * grad_output"),
    mutant("subtracted", "forward-value", "forward takes the slope off where it should multiply",
           "slope * x)", "x - slope)"),
    mutant("grad-output-ignored", "ignores-grad-output", "the local derivative alone",
           "torch.where(x > 0, grad_output, ctx.slope * grad_output)",
           "torch.where(x > 0, torch.ones_like(x), ctx.slope * torch.ones_like(x))"),
    mutant("grad-output-changed", "mutates-grad-output", "backward works in place",
           "return torch.where(x > 0, grad_output, ctx.slope * grad_output), None",
           "grad_output[x <= 0] *= ctx.slope\n        return grad_output, None"),
)
# fmt: on
