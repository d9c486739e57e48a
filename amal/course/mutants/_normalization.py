"""Batch and layer normalisation, right and wrong."""

from ._mutant import mutant

BATCH_NORM = '''\
import torch
from torch.autograd import Function


class BatchNorm(Function):
    """Y = gamma X_hat + beta, X_hat of mean 0 and variance 1 over the batch: X (q, n), gamma and beta (n,)."""

    @staticmethod
    def forward(ctx, X, gamma, beta, eps=1e-5):
        ctx.save_for_backward(X, gamma)
        ctx.eps = eps
        centred = X - X.mean(0)
        X_hat = centred / torch.sqrt((centred**2).mean(0) + eps)
        return gamma * X_hat + beta

    @staticmethod
    def backward(ctx, grad_output):
        X, gamma = ctx.saved_tensors
        centre = X - X.mean(0)
        std = torch.sqrt((centre**2).mean(0) + ctx.eps)
        X_hat = centre / std
        common = grad_output.mean(0)
        along = (grad_output * X_hat).mean(0)
        grad_X = gamma / std * (grad_output - common - X_hat * along)
        grad_gamma = (grad_output * X_hat).sum(0)
        grad_beta = grad_output.sum(0)
        return grad_X, grad_gamma, grad_beta, None
'''

# fmt: off
BATCH_NORM_MUTANTS = (
    mutant("mean-constant", "grad-value", "backward takes the mean as a constant",
           "(grad_output - common -", "(grad_output -"),
    mutant("variance-constant", "grad-value", "backward takes the variance as a constant", " - X_hat * along)", ")"),
    mutant("both-constant", "grad-value", "backward takes mean and variance as constants",
           "(grad_output - common - X_hat * along)", "grad_output"),
    mutant("gamma-forgotten", "grad-value grad-factor", "the input's gradient forgets gamma",
           "gamma / std *", "1 / std *"),
    mutant("variance-for-deviation", "grad-value", "divided by the variance, where the deviation is due",
           "gamma / std *", "gamma / std**2 *"),
    mutant("gamma-by-input", "grad-value", "the gradient of gamma takes X where X_hat is due",
           "(grad_output * X_hat).sum(0)", "(grad_output * X).sum(0)"),
    mutant("gamma-averaged", "grad-factor", "the gradient of gamma is a mean over the batch",
           "(grad_output * X_hat).sum(0)", "(grad_output * X_hat).mean(0)"),
    mutant("gamma-not-summed", "not-summed", "the gradient of gamma is not summed over the batch",
           "(grad_output * X_hat).sum(0)", "grad_output * X_hat"),
    mutant("beta-not-summed", "not-summed", "the gradient of beta is not summed over the batch",
           "grad_output.sum(0)", "grad_output"),
    mutant("swapped", "grad-order", "the gradients of gamma and beta in the wrong order",
           "grad_gamma, grad_beta, None", "grad_beta, grad_gamma, None"),
    mutant("unbiased", "forward-value", "forward divides the variance by q - 1", "(centred**2).mean(0)", "X.var(0)"),
    mutant("over-features", "forward-value", "forward normalises over the features", "centred = X - X.mean(0)",
           "centred = X - X.mean(1, keepdim=True)"),
    mutant("no-epsilon", "forward-value forward-unstable", "a feature that is constant is divided by 0",
           "(centred**2).mean(0) + eps", "(centred**2).mean(0)"),
    mutant("normalised-saved", "second-order", "X_hat is taken for a constant",
           "X_hat = centre / std", "X_hat = (centre / std).detach()"),
)
# fmt: on

LAYER_NORM = '''\
import torch
from torch.autograd import Function


class LayerNorm(Function):
    """Y = gamma X_hat + beta, X_hat of mean 0 and variance 1 in each example: X (q, n), gamma and beta (n,)."""

    @staticmethod
    def forward(ctx, X, gamma, beta, eps=1e-5):
        ctx.save_for_backward(X, gamma)
        ctx.eps = eps
        centred = X - X.mean(-1, keepdim=True)
        X_hat = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps)
        return gamma * X_hat + beta

    @staticmethod
    def backward(ctx, grad_output):
        X, gamma = ctx.saved_tensors
        centre = X - X.mean(-1, keepdim=True)
        std = torch.sqrt((centre**2).mean(-1, keepdim=True) + ctx.eps)
        X_hat = centre / std
        grad_hat = grad_output * gamma
        common = grad_hat.mean(-1, keepdim=True)
        along = (grad_hat * X_hat).mean(-1, keepdim=True)
        grad_X = (grad_hat - common - X_hat * along) / std
        grad_gamma = (grad_output * X_hat).sum(0)
        grad_beta = grad_output.sum(0)
        return grad_X, grad_gamma, grad_beta, None
'''

# fmt: off
LAYER_NORM_MUTANTS = (
    mutant("mean-constant", "grad-value", "backward takes the mean as a constant",
           "(grad_hat - common -", "(grad_hat -"),
    mutant("variance-constant", "grad-value", "backward takes the variance as a constant", " - X_hat * along)", ")"),
    mutant("gamma-late", "grad-value", "gamma multiplies after the means, where it should before",
           "grad_hat = grad_output * gamma", "grad_hat = grad_output", "along) / std", "along) / std * gamma"),
    mutant("gamma-forgotten", "grad-value grad-factor", "the input's gradient forgets gamma",
           "grad_output * gamma", "grad_output"),
    mutant("means-over-batch", "grad-value", "backward takes a mean over the batch",
           "common = grad_hat.mean(-1, keepdim=True)", "common = grad_hat.mean(0, keepdim=True)"),
    mutant("sums-for-means", "grad-value", "sums where means are due",
           "along = (grad_hat * X_hat).mean(", "along = (grad_hat * X_hat).sum("),
    mutant("beta-not-summed", "not-summed", "the gradient of beta is not summed over the batch",
           "grad_output.sum(0)", "grad_output"),
    mutant("gamma-averaged", "grad-factor", "the gradient of gamma is a mean over the batch",
           "(grad_output * X_hat).sum(0)", "(grad_output * X_hat).mean(0)"),
    mutant("gamma-sign", "grad-sign", "the gradient of gamma has the wrong sign",
           "(grad_output * X_hat).sum(0)", "-(grad_output * X_hat).sum(0)"),
    mutant("over-batch", "forward-value", "forward subtracts the mean over the batch",
           "centred = X - X.mean(-1, keepdim=True)", "centred = X - X.mean(0)"),
    mutant("beta-forgotten", "forward-value", "forward forgets beta", "gamma * X_hat + beta", "gamma * X_hat"),
    mutant("deviation-detached", "second-order", "backward takes the deviation as a constant",
           "X_hat = centre / std\n        grad_hat",
           "std = std.detach()\n        X_hat = centre / std\n        grad_hat"),
    mutant("order-and-mean", "grad-order grad-factor", "two faults: the order, and means over the batch",
           "grad_gamma, grad_beta, None", "grad_beta, grad_gamma, None", "grad_output.sum(0)", "grad_output.mean(0)"),
)
# fmt: on
