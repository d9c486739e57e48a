"""The right CrossEntropy, and its mutants: name [what the doctor may call it] what is wrong.

mean-missing [grad-factor] the derivative of the sum, where forward takes the mean
mean-over-entries [grad-factor] divided by the number of logits, where the batch size is due
one-hot-forgotten [grad-value] p where p - 1 is due at the right class
probability-forgotten [grad-value] -1 where p - 1 is due at the right class
sign [grad-sign] one-hot minus p where p minus one-hot is due
logits-for-probabilities [grad-value] the logits where their softmax is due
softmax-over-batch [grad-value] backward normalises over the batch
softmax-twice [forward-value] forward takes the softmax of a softmax
exponentials [forward-unstable] the logarithm of exponentials, which overflow
probability-of-class [forward-value] forward forgets the logarithm
grad-output-ignored [ignores-grad-output] behaves as if the loss were the end of the graph
too-few-gradients [grad-count] one gradient for two inputs
probability-saved [second-order] p is saved, which autograd takes for a constant
sign-and-no-mean [grad-sign grad-factor] two faults: the sign, and the mean
"""

import torch
from torch.autograd import Function


class CrossEntropy(Function):
    """Mean over the batch of -log softmax(logits) at the right class.

    logits (q, classes), target (q,) of indices.
    """

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        # ✗ probability-saved: ctx.save_for_backward(logits, target, torch.softmax(logits, 1))
        log_p = logits - torch.logsumexp(logits, 1, keepdim=True)
        # ✗ softmax-twice: log_p = torch.log_softmax(torch.softmax(logits, 1), 1)
        # ✗ exponentials: log_p = logits - torch.log(torch.exp(logits).sum(1, keepdim=True))
        return -log_p[torch.arange(len(target)), target].mean()
        # ✗ probability-of-class: return -torch.exp(log_p)[torch.arange(len(target)), target].mean()

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        # ✗ probability-saved: logits, target, p = ctx.saved_tensors
        p = torch.softmax(logits, 1)
        # ✗ softmax-over-batch: p = torch.softmax(logits, 0)
        # ✗ probability-saved:
        one_hot = torch.nn.functional.one_hot(target, logits.shape[1])
        return grad_output * (p - one_hot) / len(target), None
        # ✗ mean-missing: return grad_output * (p - one_hot), None
        # ✗ mean-over-entries: return grad_output * (p - one_hot) / logits.numel(), None
        # ✗ one-hot-forgotten: return grad_output * p / len(target), None
        # ✗ probability-forgotten: return grad_output * -one_hot / len(target), None
        # ✗ sign: return grad_output * (one_hot - p) / len(target), None
        # ✗ logits-for-probabilities: return grad_output * (logits - one_hot) / len(target), None
        # ✗ grad-output-ignored: return (p - one_hot) / len(target), None
        # ✗ too-few-gradients: return grad_output * (p - one_hot) / len(target)
        # ✗ sign-and-no-mean: return grad_output * (one_hot - p), None
