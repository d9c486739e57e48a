"""The right LayerNorm, and its mutants: name [what the doctor may call it] what is wrong.

mean-constant [grad-value] backward takes the mean as a constant
variance-constant [grad-value] backward takes the variance as a constant
gamma-late [grad-value] gamma multiplies after the means, where it should before
gamma-forgotten [grad-value grad-factor] the input's gradient forgets gamma
means-over-batch [grad-value] backward takes a mean over the batch
sums-for-means [grad-value] sums where means are due
beta-not-summed [not-summed] the gradient of beta is not summed over the batch
gamma-averaged [grad-factor] the gradient of gamma is a mean over the batch
gamma-sign [grad-sign] the gradient of gamma has the wrong sign
over-batch [forward-value] forward subtracts the mean over the batch
beta-forgotten [forward-value] forward forgets beta
deviation-detached [second-order] backward takes the deviation as a constant
order-and-mean [grad-order grad-factor] two faults: the order, and means over the batch
"""

import torch
from torch.autograd import Function


class LayerNorm(Function):
    """Y = gamma X_hat + beta, X_hat of mean 0 and variance 1 in each example.

    X (q, n), gamma and beta (n,).
    """

    @staticmethod
    def forward(ctx, X, gamma, beta, eps=1e-5):
        ctx.save_for_backward(X, gamma)
        ctx.eps = eps
        centred = X - X.mean(-1, keepdim=True)
        # ✗ over-batch: centred = X - X.mean(0)
        X_hat = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps)
        return gamma * X_hat + beta
        # ✗ beta-forgotten: return gamma * X_hat

    @staticmethod
    def backward(ctx, grad_output):
        X, gamma = ctx.saved_tensors
        centre = X - X.mean(-1, keepdim=True)
        std = torch.sqrt((centre**2).mean(-1, keepdim=True) + ctx.eps)
        # ✗ deviation-detached: std = torch.sqrt((centre**2).mean(-1, keepdim=True) + ctx.eps)
        # ✗ deviation-detached: std = std.detach()
        X_hat = centre / std
        grad_hat = grad_output * gamma
        # ✗ gamma-late: grad_hat = grad_output
        # ✗ gamma-forgotten: grad_hat = grad_output
        common = grad_hat.mean(-1, keepdim=True)
        # ✗ means-over-batch: common = grad_hat.mean(0, keepdim=True)
        projection = (grad_hat * X_hat).mean(-1, keepdim=True)
        # ✗ sums-for-means: projection = (grad_hat * X_hat).sum(-1, keepdim=True)
        grad_X = (grad_hat - common - X_hat * projection) / std
        # ✗ mean-constant: grad_X = (grad_hat - X_hat * projection) / std
        # ✗ variance-constant: grad_X = (grad_hat - common) / std
        # ✗ gamma-late: grad_X = (grad_hat - common - X_hat * projection) / std * gamma
        grad_gamma = (grad_output * X_hat).sum(0)
        # ✗ gamma-averaged: grad_gamma = (grad_output * X_hat).mean(0)
        # ✗ gamma-sign: grad_gamma = -(grad_output * X_hat).sum(0)
        grad_beta = grad_output.sum(0)
        # ✗ beta-not-summed: grad_beta = grad_output
        # ✗ order-and-mean: grad_beta = grad_output.mean(0)
        return grad_X, grad_gamma, grad_beta, None
        # ✗ order-and-mean: return grad_X, grad_beta, grad_gamma, None
