"""MSE and the two binary cross-entropies, right and wrong."""

from ._mutant import mutant

MSE = '''\
import torch
from torch.autograd import Function


class MSE(Function):
    """Mean of (yhat - y)² over all entries."""

    @staticmethod
    def forward(ctx, yhat, y):
        ctx.save_for_backward(yhat, y)
        return ((yhat - y) ** 2).mean()

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        grad = grad_output * 2 * (yhat - y) / yhat.numel()
        return grad, -grad
'''

# fmt: off
MSE_MUTANTS = (
    mutant("two-missing", "grad-factor", "the 2 of the derivative is missing", "grad_output * 2 *", "grad_output *"),
    mutant("mean-missing", "grad-factor", "the derivative of the sum, where forward takes the mean",
           " / yhat.numel()", ""),
    mutant("mean-over-batch", "grad-factor", "backward divides by the batch size, forward by the number of entries",
           "yhat.numel()", "len(yhat)"),
    mutant("forward-sums", "grad-factor forward-value", "forward takes the sum, backward the mean",
           ".mean()", ".sum()"),
    mutant("signs-swapped", "grad-sign grad-order", "the two gradients are swapped",
           "return grad, -grad", "return -grad, grad"),
    mutant("target-sign", "grad-sign", "the target's gradient has the sign of the prediction's",
           "return grad, -grad", "return grad, grad"),
    mutant("target-missing", "grad-missing", "None for the target", "return grad, -grad", "return grad, None"),
    mutant("too-few-gradients", "grad-count", "one gradient for two inputs", "return grad, -grad", "return grad"),
    mutant("too-many-gradients", "grad-count", "three gradients for two inputs",
           "return grad, -grad", "return grad, -grad, grad_output"),
    mutant("grad-output-ignored", "ignores-grad-output", "behaves as if the loss were the end of the graph",
           "grad_output * 2 *", "2 *"),
    mutant("grad-output-squared", "nonlinear-in-grad-output", "grad_output is used twice",
           "grad_output * 2 *", "grad_output**2 * 2 *"),
    mutant("grad-output-added", "nonlinear-in-grad-output", "grad_output is added where it should multiply",
           "grad_output * 2 *", "grad_output + 2 *"),
    mutant("difference-squared", "grad-value", "the square is not derived", "* (yhat - y) /", "* (yhat - y) ** 2 /"),
    mutant("absolute-difference", "forward-value", "forward takes the mean of the absolute differences",
           "((yhat - y) ** 2).mean()", "(yhat - y).abs().mean()"),
    mutant("summed-over-batch", "grad-shape", "the gradients are summed over the batch",
           "return grad, -grad", "return grad.sum(0), -grad.sum(0)"),
    mutant("in-float32", "grad-dtype", "the gradients are in float32 whatever the dtype",
           "return grad, -grad", "return grad.float(), -grad.float()"),
    mutant("prediction-changed", "mutates-input", "forward subtracts in place",
           "((yhat - y) ** 2)", "(yhat.sub_(y) ** 2)"),
    mutant("grad-output-changed", "mutates-grad-output", "backward doubles grad_output in place",
           "grad_output * 2 *", "grad_output.mul_(2) *"),
    mutant("difference-saved", "second-order", "the difference is saved, which autograd takes for a constant",
           "ctx.save_for_backward(yhat, y)", "ctx.save_for_backward(yhat - y)",
           "yhat, y = ctx.saved_tensors", "(difference,) = ctx.saved_tensors",
           "(yhat - y) / yhat.numel()", "difference / difference.numel()"),
    mutant("kept-on-ctx", "keeps-tensors", "the tensors are attributes of ctx",
           "ctx.save_for_backward(yhat, y)", "ctx.yhat, ctx.y = yhat, y",
           "yhat, y = ctx.saved_tensors", "yhat, y = ctx.yhat, ctx.y"),
    mutant("swapped-and-no-mean", "grad-sign grad-order grad-factor", "two faults: the signs, and the mean",
           "return grad, -grad", "return -grad, grad", " / yhat.numel()", ""),
    mutant("ignored-and-no-two", "ignores-grad-output grad-factor", "two faults: no grad_output, and no 2",
           "grad_output * 2 *", "1 *"),
)
# fmt: on

BCE = '''\
import torch
from torch.autograd import Function


class BCE(Function):
    """Mean of -(y log p + (1 - y) log(1 - p)) over all entries; a logarithm counts as at least -100."""

    @staticmethod
    def forward(ctx, p, y):
        ctx.save_for_backward(p, y)
        log_p = torch.log(p).clamp(min=-100)
        log_not_p = torch.log1p(-p).clamp(min=-100)
        return -(y * log_p + (1 - y) * log_not_p).mean()

    @staticmethod
    def backward(ctx, grad_output):
        p, y = ctx.saved_tensors
        log_p = torch.log(p).clamp(min=-100)
        log_not_p = torch.log1p(-p).clamp(min=-100)
        grad_p = grad_output * (p - y) / (p * (1 - p)).clamp(min=1e-12) / p.numel()
        grad_y = grad_output * (log_not_p - log_p) / p.numel()
        return grad_p, grad_y
'''

# fmt: off
BCE_MUTANTS = (
    mutant("logits-derivative", "grad-value", "the derivative by the logits, where probabilities are given",
           " / (p * (1 - p)).clamp(min=1e-12) / p.numel()\n", " / p.numel()\n"),
    mutant("multiplied", "grad-value", "multiplies by p (1 - p) where it should divide",
           "/ (p * (1 - p)).clamp(min=1e-12)", "* p * (1 - p)"),
    mutant("half-derivative", "grad-value", "the derivative forgets the term of the class 0",
           "(p - y) / (p * (1 - p)).clamp(min=1e-12)", "-y / p.clamp(min=1e-12)"),
    mutant("half-loss", "forward-value", "forward forgets the term of the class 0",
           "(y * log_p + (1 - y) * log_not_p)", "(y * log_p)"),
    mutant("sign", "grad-sign", "the gradient of the probabilities has the wrong sign", "(p - y)", "(y - p)"),
    mutant("target-sign", "grad-sign", "the gradient of the target has the wrong sign",
           "(log_not_p - log_p)", "(log_p - log_not_p)"),
    mutant("loss-sign", "forward-value grad-sign", "forward forgets the minus",
           "return -(y * log_p", "return (y * log_p"),
    mutant("mean-missing", "grad-factor", "the derivative of the sum, where forward takes the mean",
           ".clamp(min=1e-12) / p.numel()", ".clamp(min=1e-12)"),
    mutant("mean-over-batch", "grad-factor", "backward divides by the batch size, forward by the number of entries",
           ".clamp(min=1e-12) / p.numel()", ".clamp(min=1e-12) / len(p)"),
    mutant("not-clamped", "forward-unstable", "log 0 where a probability is 0 or 1",
           "torch.log(p).clamp(min=-100)\n        log_not_p = torch.log1p(-p).clamp(min=-100)\n        return",
           "torch.log(p)\n        log_not_p = torch.log1p(-p)\n        return"),
    mutant("grad-output-ignored", "ignores-grad-output", "the gradient of the probabilities forgets grad_output",
           "grad_output * (p - y)", "(p - y)"),
    mutant("detached", "second-order", "backward detaches the probabilities",
           "grad_p = grad_output", "p = p.detach()\n        grad_p = grad_output"),
)
# fmt: on

BCE_WITH_LOGITS = '''\
import torch
from torch.autograd import Function


class BCEWithLogits(Function):
    """Mean of -(y log s(z) + (1 - y) log(1 - s(z))) over all entries, s the sigmoid."""

    @staticmethod
    def forward(ctx, z, y):
        ctx.save_for_backward(z, y)
        return (z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs()))).mean()

    @staticmethod
    def backward(ctx, grad_output):
        z, y = ctx.saved_tensors
        grad_z = grad_output * (torch.sigmoid(z) - y) / z.numel()
        grad_y = grad_output * -z / z.numel()
        return grad_z, grad_y
'''

# fmt: off
BCE_WITH_LOGITS_MUTANTS = (
    mutant("overflows", "forward-unstable", "exp(z) overflows",
           "(z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs())))", "(torch.log1p(torch.exp(z)) - z * y)"),
    mutant("log-of-sigmoid", "forward-unstable", "log of a sigmoid that is 0 or 1",
           "(z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs()))).mean()",
           "-(y * torch.log(torch.sigmoid(z)) + (1 - y) * torch.log(1 - torch.sigmoid(z))).mean()"),
    mutant("sigmoid-forgotten", "grad-value", "the logits where their sigmoid is due", "torch.sigmoid(z) - y", "z - y"),
    mutant("sigmoid-derived-again", "grad-value", "multiplied by s (1 - s), which is in it already",
           "(torch.sigmoid(z) - y)", "(torch.sigmoid(z) - y) * torch.sigmoid(z) * (1 - torch.sigmoid(z))"),
    mutant("sign", "grad-sign", "the gradient of the logits has the wrong sign",
           "(torch.sigmoid(z) - y)", "(y - torch.sigmoid(z))"),
    mutant("mean-missing", "grad-factor", "the derivative of the sum, where forward takes the mean",
           "(torch.sigmoid(z) - y) / z.numel()", "(torch.sigmoid(z) - y)"),
    mutant("probabilities", "forward-value", "forward takes the logits for probabilities, kept within (0, 1)",
           "(z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs())))",
           "torch.nn.functional.binary_cross_entropy(z.clamp(0.01, 0.99), y)"),
    mutant("grad-output-ignored", "ignores-grad-output", "the gradient of the logits forgets grad_output",
           "grad_output * (torch.sigmoid(z) - y)", "(torch.sigmoid(z) - y)"),
    mutant("sigmoid-saved", "second-order", "the sigmoid is saved, which autograd takes for a constant",
           "ctx.save_for_backward(z, y)", "ctx.save_for_backward(z, y, torch.sigmoid(z))",
           "z, y = ctx.saved_tensors", "z, y, s = ctx.saved_tensors", "(torch.sigmoid(z) - y)", "(s - y)"),
)
# fmt: on
