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
    """Y = H T + X (1 - T), with H = relu(X W_H + b_H) and T = sigmoid(X W_T + b_T).

    X (q, n), weights (n, n), biases (n,).
    """

    @staticmethod
    def forward(ctx, X, W_H, b_H, W_T, b_T):
        ctx.save_for_backward(X, W_H, b_H, W_T, b_T)
        H = (X @ W_H + b_H).clamp(min=0)
        T = torch.sigmoid(X @ W_T + b_T)
        return H * T + X * (1 - T)

    @staticmethod
    def backward(ctx, grad_output):
        X, W_H, b_H, W_T, b_T = ctx.saved_tensors
        H = (X @ W_H + b_H).clamp(min=0)
        T = torch.sigmoid(X @ W_T + b_T)
        grad_A = grad_output * T * (H > 0)
        grad_S = grad_output * (H - X) * T * (1 - T)
        carry = grad_output * (1 - T)
        grad_X = carry + grad_A @ W_H.T + grad_S @ W_T.T
        return grad_X, X.T @ grad_A, grad_A.sum(0), X.T @ grad_S, grad_S.sum(0)
'''

# fmt: off
HIGHWAY_MUTANTS = (
    mutant("carry-forgotten", "grad-value", "the input's gradient forgets the way past the layer",
           "grad_X = carry + grad_A", "grad_X = grad_A"),
    mutant("gate-road-forgotten", "grad-value", "the input's gradient forgets the way through the gate",
           " + grad_S @ W_T.T", ""),
    mutant("carry-in-gate-forgotten", "grad-value", "the gate's gradient forgets that the gate closes the carry",
           "(H - X) * T", "H * T"),
    mutant("gate-sign", "grad-sign", "the gate's gradient has the wrong sign", "(H - X)", "(X - H)"),
    mutant("sigmoid-not-derived", "grad-value", "the derivative of the sigmoid is missing",
           "(H - X) * T * (1 - T)", "(H - X)"),
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
           "H * T + X * (1 - T)", "H * T + X * T"),
    mutant("carry-ignores-grad-output", "nonlinear-in-grad-output", "the way past the layer forgets grad_output",
           "carry = grad_output * (1 - T)", "carry = 1 - T"),
    mutant("gate-detached", "second-order", "backward takes the gate as a constant",
           "        grad_A =", "        T = T.detach()\n        grad_A ="),
)
# fmt: on
