"""The right BatchNorm, and its mutants: name [what the doctor may call it] what is wrong.

mean-constant [grad-value] backward takes the mean as a constant
variance-constant [grad-value] backward takes the variance as a constant
both-constant [grad-value] backward takes mean and variance as constants
gamma-forgotten [grad-value grad-factor] the input's gradient forgets gamma
variance-for-deviation [grad-value] divided by the variance, where the deviation is due
gamma-by-input [grad-value] the gradient of gamma takes X where X_hat is due
gamma-averaged [grad-factor] the gradient of gamma is a mean over the batch
gamma-not-summed [not-summed] the gradient of gamma is not summed over the batch
beta-not-summed [not-summed] the gradient of beta is not summed over the batch
swapped [grad-order] the gradients of gamma and beta in the wrong order
unbiased [forward-value] forward divides the variance by q - 1
over-features [forward-value] forward normalises over the features
no-epsilon [forward-value forward-unstable] a feature that is constant is divided by 0
normalised-saved [second-order] X_hat is taken for a constant
"""

import torch
from torch.autograd import Function


class BatchNorm(Function):
    """Y = gamma X_hat + beta, X_hat of mean 0 and variance 1 over the batch.

    X (q, n), gamma and beta (n,).
    """

    @staticmethod
    def forward(ctx, X, gamma, beta, eps=1e-5):
        ctx.save_for_backward(X, gamma)
        ctx.eps = eps
        centred = X - X.mean(0)
        # ✗ over-features: centred = X - X.mean(1, keepdim=True)
        X_hat = centred / torch.sqrt((centred**2).mean(0) + eps)
        # ✗ unbiased: X_hat = centred / torch.sqrt(X.var(0) + eps)
        # ✗ no-epsilon: X_hat = centred / torch.sqrt((centred**2).mean(0))
        return gamma * X_hat + beta

    @staticmethod
    def backward(ctx, grad_output):
        X, gamma = ctx.saved_tensors
        centre = X - X.mean(0)
        std = torch.sqrt((centre**2).mean(0) + ctx.eps)
        X_hat = centre / std
        # ✗ normalised-saved: X_hat = (centre / std).detach()
        common = grad_output.mean(0)
        projection = (grad_output * X_hat).mean(0)
        grad_X = gamma / std * (grad_output - common - X_hat * projection)
        # ✗ mean-constant: grad_X = gamma / std * (grad_output - X_hat * projection)
        # ✗ variance-constant: grad_X = gamma / std * (grad_output - common)
        # ✗ both-constant: grad_X = gamma / std * grad_output
        # ✗ gamma-forgotten: grad_X = 1 / std * (grad_output - common - X_hat * projection)
        # ✗ variance-for-deviation: grad_X = gamma / std**2 * (grad_output - common - X_hat * projection)
        grad_gamma = (grad_output * X_hat).sum(0)
        # ✗ gamma-by-input: grad_gamma = (grad_output * X).sum(0)
        # ✗ gamma-averaged: grad_gamma = (grad_output * X_hat).mean(0)
        # ✗ gamma-not-summed: grad_gamma = grad_output * X_hat
        grad_beta = grad_output.sum(0)
        # ✗ beta-not-summed: grad_beta = grad_output
        return grad_X, grad_gamma, grad_beta, None
        # ✗ swapped: return grad_X, grad_beta, grad_gamma, None
