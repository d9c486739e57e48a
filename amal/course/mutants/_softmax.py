"""Softmax, its logarithm, and the two losses of class indices, right and wrong."""

from ._mutant import mutant

SOFTMAX = '''\
import torch
from torch.autograd import Function


class Softmax(Function):
    """y_j = exp(x_j) / sum of exp(x_k), along the last dimension."""

    @staticmethod
    def forward(ctx, x):
        e = torch.exp(x - x.max(-1, keepdim=True).values)
        y = e / e.sum(-1, keepdim=True)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        inner = (grad_output * y).sum(-1, keepdim=True)
        return y * (grad_output - inner)
'''

# fmt: off
SOFTMAX_MUTANTS = (
    mutant("maximum-not-subtracted", "forward-unstable", "exp(x) / sum of exp(x), which overflows",
           "torch.exp(x - x.max(-1, keepdim=True).values)", "torch.exp(x)"),
    mutant("as-if-sigmoid", "grad-value", "the diagonal of the Jacobian alone: y (1 - y)",
           "y * (grad_output - inner)", "grad_output * y * (1 - y)"),
    mutant("inner-over-batch", "grad-value", "the inner product is summed over the batch",
           ".sum(-1, keepdim=True)\n        return", ".sum(0, keepdim=True)\n        return"),
    mutant("inner-over-all", "grad-value", "the inner product is summed over everything",
           ".sum(-1, keepdim=True)\n        return", ".sum()\n        return"),
    mutant("inner-averaged", "grad-value", "the inner product is a mean",
           ".sum(-1, keepdim=True)\n        return", ".mean(-1, keepdim=True)\n        return"),
    mutant("inner-without-output", "grad-value", "the sum of grad_output, not weighted by y",
           "(grad_output * y).sum", "grad_output.sum"),
    mutant("outer-factor-missing", "grad-value", "the factor y is missing",
           "y * (grad_output - inner)", "grad_output - inner"),
    mutant("sign", "grad-sign", "the gradient has the wrong sign", "(grad_output - inner)", "(inner - grad_output)"),
    mutant("over-batch", "forward-value", "forward normalises over the batch",
           "e.sum(-1, keepdim=True)", "e.sum(0, keepdim=True)"),
    mutant("grad-output-ignored", "ignores-grad-output", "the local derivative alone",
           "y * (grad_output - inner)", "y * (1 - y)"),
    mutant("output-detached", "second-order", "backward takes the output as a constant",
           "(y,) = ctx.saved_tensors", "y = ctx.saved_tensors[0].detach()"),
    mutant("grad-output-changed", "mutates-grad-output", "backward subtracts in place",
           "y * (grad_output - inner)", "y * grad_output.sub_(inner)"),
)
# fmt: on

LOG_SOFTMAX = '''\
import torch
from torch.autograd import Function


class LogSoftmax(Function):
    """y_j = x_j - log of the sum of exp(x_k), along the last dimension."""

    @staticmethod
    def forward(ctx, x):
        y = x - torch.logsumexp(x, -1, keepdim=True)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output - torch.exp(y) * grad_output.sum(-1, keepdim=True)
'''

# fmt: off
LOG_SOFTMAX_MUTANTS = (
    mutant("exponentials", "forward-unstable", "the logarithm of exponentials, which overflow",
           "x - torch.logsumexp(x, -1, keepdim=True)", "torch.log(torch.exp(x) / torch.exp(x).sum(-1, keepdim=True))"),
    mutant("not-summed", "grad-value not-summed", "grad_output is not summed over the classes",
           "grad_output.sum(-1, keepdim=True)", "grad_output"),
    mutant("logarithm-for-probability", "grad-value", "y where exp(y) is due", "torch.exp(y)", "y"),
    mutant("over-batch", "grad-value", "grad_output is summed over the batch",
           "grad_output.sum(-1, keepdim=True)", "grad_output.sum(0, keepdim=True)"),
    mutant("sign", "grad-sign", "the gradient has the wrong sign",
           "grad_output - torch.exp(y) * grad_output.sum(-1, keepdim=True)",
           "torch.exp(y) * grad_output.sum(-1, keepdim=True) - grad_output"),
    mutant("softmax", "forward-value", "forward is the softmax",
           "y = x - torch.logsumexp(x, -1, keepdim=True)", "y = torch.exp(x - torch.logsumexp(x, -1, keepdim=True))"),
    mutant("as-if-one-class", "nonlinear-in-grad-output", "the sum of grad_output is taken to be 1",
           " * grad_output.sum(-1, keepdim=True)", ""),
    mutant("probability-saved", "second-order", "exp(y) is saved, which autograd takes for a constant",
           "ctx.save_for_backward(y)", "ctx.save_for_backward(torch.exp(y))", "- torch.exp(y) *", "- y *"),
    mutant("dimension-lost", "grad-shape grad-value", "the gradient is summed over the classes",
           "return grad_output - torch.exp(y) * grad_output.sum(-1, keepdim=True)",
           "return (grad_output - torch.exp(y) * grad_output.sum(-1, keepdim=True)).sum(-1)"),
)
# fmt: on

CROSS_ENTROPY = '''\
import torch
from torch.autograd import Function


class CrossEntropy(Function):
    """Mean over the batch of -log softmax(logits) at the right class; logits (q, classes), target (q,) of indices."""

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        log_p = logits - torch.logsumexp(logits, 1, keepdim=True)
        return -log_p[torch.arange(len(target)), target].mean()

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        p = torch.softmax(logits, 1)
        one_hot = torch.nn.functional.one_hot(target, logits.shape[1])
        return grad_output * (p - one_hot) / len(target), None
'''

# fmt: off
CROSS_ENTROPY_MUTANTS = (
    mutant("mean-missing", "grad-factor", "the derivative of the sum, where forward takes the mean",
           " / len(target)", ""),
    mutant("mean-over-entries", "grad-factor", "divided by the number of logits, where the batch size is due",
           "/ len(target)", "/ logits.numel()"),
    mutant("one-hot-forgotten", "grad-value", "p where p - 1 is due at the right class", "(p - one_hot)", "p"),
    mutant("probability-forgotten", "grad-value", "-1 where p - 1 is due at the right class",
           "(p - one_hot)", "-one_hot"),
    mutant("sign", "grad-sign", "one-hot minus p where p minus one-hot is due", "(p - one_hot)", "(one_hot - p)"),
    mutant("logits-for-probabilities", "grad-value", "the logits where their softmax is due",
           "(p - one_hot)", "(logits - one_hot)"),
    mutant("softmax-over-batch", "grad-value", "backward normalises over the batch",
           "torch.softmax(logits, 1)", "torch.softmax(logits, 0)"),
    mutant("softmax-twice", "forward-value", "forward takes the softmax of a softmax",
           "log_p = logits - torch.logsumexp(logits, 1, keepdim=True)",
           "log_p = torch.log_softmax(torch.softmax(logits, 1), 1)"),
    mutant("exponentials", "forward-unstable", "the logarithm of exponentials, which overflow",
           "logits - torch.logsumexp(logits, 1, keepdim=True)",
           "logits - torch.log(torch.exp(logits).sum(1, keepdim=True))"),
    mutant("probability-of-class", "forward-value", "forward forgets the logarithm", "-log_p[", "-torch.exp(log_p)["),
    mutant("grad-output-ignored", "ignores-grad-output", "behaves as if the loss were the end of the graph",
           "grad_output * (p", "(p"),
    mutant("too-few-gradients", "grad-count", "one gradient for two inputs", "/ len(target), None", "/ len(target)"),
    mutant("probability-saved", "second-order", "p is saved, which autograd takes for a constant",
           "ctx.save_for_backward(logits, target)", "ctx.save_for_backward(logits, target, torch.softmax(logits, 1))",
           "logits, target = ctx.saved_tensors\n        p = torch.softmax(logits, 1)\n",
           "logits, target, p = ctx.saved_tensors\n"),
    mutant("sign-and-no-mean", "grad-sign grad-factor", "two faults: the sign, and the mean",
           "(p - one_hot) / len(target)", "(one_hot - p)"),
)
# fmt: on

NLL = '''\
import torch
from torch.autograd import Function


class NLL(Function):
    """Mean over the batch of minus log_p at the right class; log_p (q, classes), target (q,) of indices."""

    @staticmethod
    def forward(ctx, log_p, target):
        ctx.save_for_backward(log_p, target)
        return -log_p[torch.arange(len(target)), target].mean()

    @staticmethod
    def backward(ctx, grad_output):
        log_p, target = ctx.saved_tensors
        one_hot = torch.nn.functional.one_hot(target, log_p.shape[1]).to(log_p)
        return -grad_output * one_hot / len(target), None
'''

# fmt: off
NLL_MUTANTS = (
    mutant("sign", "grad-sign", "the gradient has the wrong sign", "-grad_output", "grad_output"),
    mutant("loss-sign", "forward-value grad-sign", "forward forgets the minus", "return -log_p", "return log_p"),
    mutant("mean-missing", "grad-factor", "the derivative of the sum, where forward takes the mean",
           "one_hot / len(target)", "one_hot"),
    mutant("mean-over-entries", "grad-factor", "divided by the number of entries, where the batch size is due",
           "/ len(target)", "/ log_p.numel()"),
    mutant("every-class", "grad-value", "the classes that are not the right one get a gradient too",
           "one_hot / len", "torch.ones_like(log_p) / len"),
    mutant("multiplied-by-input", "grad-value", "multiplied by the log-probabilities",
           "* one_hot", "* one_hot * log_p"),
    mutant("cross-entropy", "grad-value", "the derivative of the cross-entropy, by logits",
           "-grad_output * one_hot", "grad_output * (torch.exp(log_p) - one_hot)"),
    mutant("probabilities", "forward-value", "forward takes the logarithm again", "-log_p[", "-torch.log(-log_p)["),
    mutant("grad-output-ignored", "ignores-grad-output", "behaves as if the loss were the end of the graph",
           "-grad_output * one_hot", "-one_hot"),
    mutant("in-float32", "grad-dtype", "the gradient is in float32 whatever the dtype", ".to(log_p)", ".float()"),
)
# fmt: on
