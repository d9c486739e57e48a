"""Linear and Highway, right and wrong."""

from ._mutant import mutant

LINEAR = '''\
import torch
from torch.autograd import Function


class Linear(Function):
    """Y = X W + b, with X (q, n), W (n, p), b (p,)."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return X @ W + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        grad_X = grad_output @ W.T
        grad_W = X.T @ grad_output
        grad_b = grad_output.sum(0)
        return grad_X, grad_W, grad_b
'''

# fmt: off
LINEAR_MUTANTS = (
    mutant("bias-not-summed", "not-summed", "the bias gradient is not summed over the batch",
           "grad_output.sum(0)", "grad_output"),
    mutant("bias-dimension-kept", "grad-shape", "the bias gradient is (1, p) where the bias is (p)",
           "grad_output.sum(0)", "grad_output.sum(0, keepdim=True)"),
    mutant("bias-averaged", "grad-factor", "the bias gradient is a mean over the batch",
           "grad_output.sum(0)", "grad_output.mean(0)"),
    mutant("bias-wrong-axis", "grad-shape not-summed", "the bias gradient is summed over the outputs",
           "grad_output.sum(0)", "grad_output.sum(1)"),
    mutant("bias-summed-to-a-number", "grad-shape", "the bias gradient is summed over everything",
           "grad_output.sum(0)", "grad_output.sum()"),
    mutant("bias-of-first-example", "not-summed grad-value", "the bias gradient is that of the first example",
           "grad_output.sum(0)", "grad_output[:1].sum(0)"),
    mutant("bias-gradient-missing", "grad-missing", "None for the bias",
           "grad_b = grad_output.sum(0)", "grad_b = None"),
    mutant("too-few-gradients", "grad-count", "two gradients for three inputs",
           "return grad_X, grad_W, grad_b", "return grad_X, grad_W"),
    mutant("weight-not-transposed", "grad-transposed", "the input's gradient is G W where it should be G Wᵀ",
           "grad_output @ W.T", "grad_output @ W"),
    mutant("input-not-transposed", "grad-transposed", "the weight's gradient is X G where it should be Xᵀ G",
           "X.T @ grad_output", "X @ grad_output"),
    mutant("weight-gradient-transposed", "grad-transposed", "the weight's gradient is Gᵀ X where it should be Xᵀ G",
           "X.T @ grad_output", "grad_output.T @ X"),
    mutant("input-and-weight-swapped", "grad-order", "the gradients of input and weight in the wrong order",
           "return grad_X, grad_W, grad_b", "return grad_W, grad_X, grad_b"),
    mutant("bias-first", "grad-order", "the gradient of the bias comes first",
           "return grad_X, grad_W, grad_b", "return grad_b, grad_X, grad_W"),
    mutant("weight-averaged", "grad-factor", "the weight's gradient is divided by the batch size",
           "X.T @ grad_output", "X.T @ grad_output / len(X)"),
    mutant("input-sign", "grad-sign", "the input's gradient has the wrong sign",
           "grad_output @ W.T", "-grad_output @ W.T"),
    mutant("weight-ignores-grad-output", "ignores-grad-output", "the weight's gradient is the local one alone",
           "X.T @ grad_output", "X.T @ torch.ones_like(grad_output)"),
    mutant("weight-squares-grad-output", "nonlinear-in-grad-output", "grad_output is used twice",
           "X.T @ grad_output", "X.T @ grad_output**2"),
    mutant("input-times-input", "grad-value", "the input's gradient is multiplied by the input",
           "grad_output @ W.T", "grad_output @ W.T * X"),
    mutant("weight-in-float32", "grad-dtype", "the weight's gradient is in float32 whatever the dtype",
           "X.T @ grad_output", "(X.T @ grad_output).float()"),
    mutant("no-bias", "forward-value", "forward forgets the bias", "X @ W + b", "X @ W"),
    mutant("weight-changed", "mutates-input", "forward scales the weight in place",
           "X @ W + b", "X @ W.mul_(0.5) + b"),
    mutant("detached", "second-order", "backward detaches what was saved",
           "X, W = ctx.saved_tensors", "X, W = (saved.detach() for saved in ctx.saved_tensors)"),
    mutant("kept-on-ctx", "keeps-tensors", "the tensors are attributes of ctx",
           "ctx.save_for_backward(X, W)", "ctx.X, ctx.W = X, W", "X, W = ctx.saved_tensors", "X, W = ctx.X, ctx.W"),
    mutant("not-summed-and-not-transposed", "not-summed grad-transposed", "two faults: of the bias and of the weight",
           "grad_output.sum(0)", "grad_output", "X.T @ grad_output", "grad_output.T @ X"),
    mutant("averaged-and-swapped", "grad-factor grad-order", "two faults: a mean over the batch, and the order",
           "grad_output.sum(0)", "grad_output.mean(0)",
           "return grad_X, grad_W, grad_b", "return grad_W, grad_X, grad_b"),
    mutant("dimension-kept-and-sign", "grad-shape grad-sign", "two faults: a bias (1, p), and the input's sign",
           "grad_output.sum(0)", "grad_output.sum(0, keepdim=True)", "grad_output @ W.T", "-grad_output @ W.T"),
)
# fmt: on

HIGHWAY = '''\
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

    @staticmethod
    def backward(ctx, grad_output):
        X, W_H, b_H, W_Z, b_Z = ctx.saved_tensors
        H = (X @ W_H + b_H).clamp(min=0)
        Z = torch.sigmoid(X @ W_Z + b_Z)
        grad_A = grad_output * Z * (H > 0)
        grad_S = grad_output * (H - X) * Z * (1 - Z)
        carry = grad_output * (1 - Z)
        grad_X = carry + grad_A @ W_H.T + grad_S @ W_Z.T
        return grad_X, X.T @ grad_A, grad_A.sum(0), X.T @ grad_S, grad_S.sum(0)
'''

# fmt: off
HIGHWAY_MUTANTS = (
    mutant("carry-forgotten", "grad-value", "the input's gradient forgets the way past the layer",
           "grad_X = carry + grad_A", "grad_X = grad_A"),
    mutant("gate-road-forgotten", "grad-value", "the input's gradient forgets the way through the gate",
           " + grad_S @ W_Z.T", ""),
    mutant("carry-in-gate-forgotten", "grad-value", "the gate's gradient forgets that the gate closes the carry",
           "(H - X) * Z", "H * Z"),
    mutant("gate-sign", "grad-sign", "the gate's gradient has the wrong sign", "(H - X)", "(X - H)"),
    mutant("sigmoid-not-derived", "grad-value", "the derivative of the sigmoid is missing",
           "(H - X) * Z * (1 - Z)", "(H - X)"),
    mutant("relu-not-derived", "grad-value", "the derivative of the ReLU is missing", " * (H > 0)", ""),
    mutant("biases-not-summed", "not-summed", "the gradients of the biases are not summed over the batch",
           "grad_A.sum(0)", "grad_A", "grad_S.sum(0)", "grad_S"),
    mutant("weight-not-transposed", "grad-transposed", "the input's gradient is multiplied by W where Wᵀ is due",
           "grad_A @ W_H.T", "grad_A @ W_H"),
    mutant("weight-gradient-transposed", "grad-transposed", "a weight's gradient is transposed",
           "X.T @ grad_A", "grad_A.T @ X"),
    mutant("transform-and-gate-swapped", "grad-order", "the gate's gradients come before the transform's",
           "X.T @ grad_A, grad_A.sum(0), X.T @ grad_S, grad_S.sum(0)",
           "X.T @ grad_S, grad_S.sum(0), X.T @ grad_A, grad_A.sum(0)"),
    mutant("gate-without-carry", "forward-value", "forward multiplies both ways by the gate",
           "H * Z + X * (1 - Z)", "H * Z + X * Z"),
    mutant("carry-ignores-grad-output", "nonlinear-in-grad-output", "the way past the layer forgets grad_output",
           "carry = grad_output * (1 - Z)", "carry = 1 - Z"),
    mutant("gate-detached", "second-order", "backward takes the gate as a constant",
           "        grad_A =", "        Z = Z.detach()\n        grad_A ="),
)
# fmt: on
