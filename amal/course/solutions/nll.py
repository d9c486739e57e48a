"""The right NLL, and its mutants: name [what the doctor may call it] what is wrong.

sign [grad-sign] the gradient has the wrong sign
loss-sign [forward-value grad-sign] forward forgets the minus
mean-missing [grad-factor] the derivative of the sum, where forward takes the mean
mean-over-entries [grad-factor] divided by the number of entries, where the batch size is due
every-class [grad-value] the classes that are not the right one get a gradient too
multiplied-by-input [grad-value] multiplied by the log-probabilities
cross-entropy [grad-value] the derivative of the cross-entropy, by logits
probabilities [forward-value] forward takes the logarithm again
grad-output-ignored [ignores-grad-output] behaves as if the loss were the end of the graph
in-float32 [grad-dtype] the gradient is in float32 whatever the dtype
"""

import torch
from torch.autograd import Function


class NLL(Function):
    """Mean over the batch of minus log_p at the right class.

    log_p (q, classes), target (q,) of indices.
    """

    @staticmethod
    def forward(ctx, log_p, target):
        ctx.save_for_backward(log_p, target)
        return -log_p[torch.arange(len(target)), target].mean()
        # ✗ loss-sign: return log_p[torch.arange(len(target)), target].mean()
        # ✗ probabilities: return -torch.log(-log_p)[torch.arange(len(target)), target].mean()

    @staticmethod
    def backward(ctx, grad_output):
        log_p, target = ctx.saved_tensors
        one_hot = torch.nn.functional.one_hot(target, log_p.shape[1]).to(log_p)
        # ✗ in-float32: one_hot = torch.nn.functional.one_hot(target, log_p.shape[1]).float()
        return -grad_output * one_hot / len(target), None
        # ✗ sign: return grad_output * one_hot / len(target), None
        # ✗ mean-missing: return -grad_output * one_hot, None
        # ✗ mean-over-entries: return -grad_output * one_hot / log_p.numel(), None
        # ✗ every-class: return -grad_output * torch.ones_like(log_p) / len(target), None
        # ✗ multiplied-by-input: return -grad_output * one_hot * log_p / len(target), None
        # ✗ cross-entropy: return grad_output * (torch.exp(log_p) - one_hot) / len(target), None
        # ✗ grad-output-ignored: return -one_hot / len(target), None
