"""The right MSE, and its mutants: name [what the doctor may call it] what is wrong.

two-missing [grad-factor] the 2 of the derivative is missing
mean-missing [grad-factor] the derivative of the sum, where forward takes the mean
mean-over-batch [grad-factor] backward divides by the batch size, forward by the number of entries
forward-sums [grad-factor forward-value] forward takes the sum, backward the mean
signs-swapped [grad-sign grad-order] the two gradients are swapped
target-sign [grad-sign] the target's gradient has the sign of the prediction's
target-missing [grad-missing] None for the target
too-few-gradients [grad-count] one gradient for two inputs
too-many-gradients [grad-count] three gradients for two inputs
grad-output-ignored [ignores-grad-output] behaves as if the loss were the end of the graph
grad-output-squared [nonlinear-in-grad-output] grad_output is used twice
grad-output-added [nonlinear-in-grad-output] grad_output is added where it should multiply
difference-squared [grad-value] the square is not derived
absolute-difference [forward-value] forward takes the mean of the absolute differences
summed-over-batch [grad-shape] the gradients are summed over the batch
in-float32 [grad-dtype] the gradients are in float32 whatever the dtype
prediction-changed [mutates-input] forward subtracts in place
grad-output-changed [mutates-grad-output] backward doubles grad_output in place
difference-saved [second-order] the difference is saved, which autograd takes for a constant
kept-on-ctx [keeps-tensors] the tensors are attributes of ctx
swapped-and-no-mean [grad-sign grad-order grad-factor] two faults: the signs, and the mean
ignored-and-no-two [ignores-grad-output grad-factor] two faults: no grad_output, and no 2
"""

import torch
from torch.autograd import Function


class MSE(Function):
    """Mean of (yhat - y)² over all entries."""

    @staticmethod
    def forward(ctx, yhat, y):
        ctx.save_for_backward(yhat, y)
        # ✗ difference-saved: ctx.save_for_backward(yhat - y)
        # ✗ kept-on-ctx: ctx.yhat, ctx.y = yhat, y
        return ((yhat - y) ** 2).mean()
        # ✗ forward-sums: return ((yhat - y) ** 2).sum()
        # ✗ absolute-difference: return (yhat - y).abs().mean()
        # ✗ prediction-changed: return (yhat.sub_(y) ** 2).mean()

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        # ✗ difference-saved: (difference,) = ctx.saved_tensors
        # ✗ kept-on-ctx: yhat, y = ctx.yhat, ctx.y
        grad = grad_output * 2 * (yhat - y) / yhat.numel()
        # ✗ two-missing: grad = grad_output * (yhat - y) / yhat.numel()
        # ✗ mean-missing: grad = grad_output * 2 * (yhat - y)
        # ✗ mean-over-batch: grad = grad_output * 2 * (yhat - y) / len(yhat)
        # ✗ grad-output-ignored: grad = 2 * (yhat - y) / yhat.numel()
        # ✗ grad-output-squared: grad = grad_output**2 * 2 * (yhat - y) / yhat.numel()
        # ✗ grad-output-added: grad = grad_output + 2 * (yhat - y) / yhat.numel()
        # ✗ difference-squared: grad = grad_output * 2 * (yhat - y) ** 2 / yhat.numel()
        # ✗ grad-output-changed: grad = grad_output.mul_(2) * (yhat - y) / yhat.numel()
        # ✗ difference-saved: grad = grad_output * 2 * difference / difference.numel()
        # ✗ swapped-and-no-mean: grad = grad_output * 2 * (yhat - y)
        # ✗ ignored-and-no-two: grad = 1 * (yhat - y) / yhat.numel()
        return grad, -grad
        # ✗ signs-swapped: return -grad, grad
        # ✗ target-sign: return grad, grad
        # ✗ target-missing: return grad, None
        # ✗ too-few-gradients: return grad
        # ✗ too-many-gradients: return grad, -grad, grad_output
        # ✗ summed-over-batch: return grad.sum(0), -grad.sum(0)
        # ✗ in-float32: return grad.float(), -grad.float()
        # ✗ swapped-and-no-mean: return -grad, grad
