"""The right Highway, and its mutants: name [what the doctor may call it] what is wrong.

carry-forgotten [grad-value] the input's gradient forgets the way past the layer
gate-road-forgotten [grad-value] the input's gradient forgets the way through the gate
carry-in-gate-forgotten [grad-value] the gate's gradient forgets that the gate closes the carry
gate-sign [grad-sign] the gate's gradient has the wrong sign
sigmoid-not-derived [grad-value] the derivative of the sigmoid is missing
relu-not-derived [grad-value] the derivative of the ReLU is missing
biases-not-summed [not-summed] the gradients of the biases are not summed over the batch
weight-not-transposed [grad-transposed] the input's gradient is multiplied by W where Wᵀ is due
weight-gradient-transposed [grad-transposed] a weight's gradient is transposed
transform-and-gate-swapped [grad-order] the gate's gradients come before the transform's
gate-without-carry [forward-value] forward multiplies both ways by the gate
carry-ignores-grad-output [nonlinear-in-grad-output] the way past the layer forgets grad_output
gate-detached [second-order] backward takes the gate as a constant
"""

import torch
from torch.autograd import Function


class Highway(Function):
    """Y = H Z + X (1 - Z), with H = relu(X W_H + b_H) and Z = sigmoid(X W_Z + b_Z).

    X (q, n), weights (n, n), biases (n,).
    """

    @staticmethod
    def forward(ctx, X, W_H, b_H, W_Z, b_Z):
        ctx.save_for_backward(X, W_H, b_H, W_Z, b_Z)
        H = (X @ W_H + b_H).clamp(min=0)
        Z = torch.sigmoid(X @ W_Z + b_Z)
        return H * Z + X * (1 - Z)
        # ✗ gate-without-carry: return H * Z + X * Z

    @staticmethod
    def backward(ctx, grad_output):
        X, W_H, b_H, W_Z, b_Z = ctx.saved_tensors
        H = (X @ W_H + b_H).clamp(min=0)
        Z = torch.sigmoid(X @ W_Z + b_Z)
        # ✗ gate-detached: Z = torch.sigmoid(X @ W_Z + b_Z)
        # ✗ gate-detached: Z = Z.detach()
        grad_A = grad_output * Z * (H > 0)
        # ✗ relu-not-derived: grad_A = grad_output * Z
        grad_S = grad_output * (H - X) * Z * (1 - Z)
        # ✗ carry-in-gate-forgotten: grad_S = grad_output * H * Z * (1 - Z)
        # ✗ gate-sign: grad_S = grad_output * (X - H) * Z * (1 - Z)
        # ✗ sigmoid-not-derived: grad_S = grad_output * (H - X)
        carry = grad_output * (1 - Z)
        # ✗ carry-ignores-grad-output: carry = 1 - Z
        grad_X = carry + grad_A @ W_H.T + grad_S @ W_Z.T
        # ✗ carry-forgotten: grad_X = grad_A @ W_H.T + grad_S @ W_Z.T
        # ✗ gate-road-forgotten: grad_X = carry + grad_A @ W_H.T
        # ✗ weight-not-transposed: grad_X = carry + grad_A @ W_H + grad_S @ W_Z.T
        return grad_X, X.T @ grad_A, grad_A.sum(0), X.T @ grad_S, grad_S.sum(0)
        # ✗ biases-not-summed: return grad_X, X.T @ grad_A, grad_A, X.T @ grad_S, grad_S
        # ✗ weight-gradient-transposed: return (
        # ✗ weight-gradient-transposed:     grad_X, grad_A.T @ X, grad_A.sum(0),
        # ✗ weight-gradient-transposed:     X.T @ grad_S, grad_S.sum(0)
        # ✗ weight-gradient-transposed: )
        # ✗ transform-and-gate-swapped: return (
        # ✗ transform-and-gate-swapped:     grad_X, X.T @ grad_S, grad_S.sum(0),
        # ✗ transform-and-gate-swapped:     X.T @ grad_A, grad_A.sum(0)
        # ✗ transform-and-gate-swapped: )
