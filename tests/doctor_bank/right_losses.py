"""Right ways to write the losses of two arguments that are not the course's."""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import one_hot


class MSESheet(Function):
    """(1/q) of the sum of the squares, q the batch size, as on the sheet."""

    @staticmethod
    def forward(ctx, yhat, y):
        ctx.save_for_backward(yhat, y)
        return (1 / len(y)) * torch.sum((yhat - y) ** 2)

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        q = yhat.shape[0]
        return (2 / q) * (yhat - y) * grad_output, (-2 / q) * (yhat - y) * grad_output


class MSESum(Function):
    @staticmethod
    def forward(ctx, yhat, y):
        ctx.save_for_backward(yhat, y)
        return torch.linalg.norm(yhat - y) ** 2

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        return grad_output * 2 * (yhat - y), grad_output * 2 * (y - yhat)


class MSENewForm(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(yhat, y):
        return torch.mean((yhat - y) ** 2)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        grad = 2 * grad_output * (yhat - y) / yhat.numel()
        return grad, -grad

    @staticmethod
    def jvp(ctx, yhat_dot, y_dot):
        yhat, y = ctx.saved_tensors
        return 2 * torch.mean((yhat - y) * (yhat_dot - y_dot))


class MSENeedsInputGrad(Function):
    @staticmethod
    def forward(ctx, yhat, y):
        ctx.save_for_backward(yhat, y)
        return ((yhat - y) ** 2).mean()

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        grad_yhat = grad_y = None
        if ctx.needs_input_grad[0]:
            grad_yhat = 2 * (yhat - y) / yhat.numel() * grad_output
        if ctx.needs_input_grad[1]:
            grad_y = 2 * (y - yhat) / yhat.numel() * grad_output
        return grad_yhat, grad_y


class MSEDotProduct(Function):
    @staticmethod
    def forward(ctx, yhat, y):
        ctx.save_for_backward(yhat, y)
        d = (yhat - y).reshape(-1)
        return torch.dot(d, d) / d.numel()

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        grad = torch.mul(yhat - y, grad_output * 2).div(yhat.numel())
        return grad, grad.neg()


class MSEReduction(Function):
    """The mean, or the sum if asked."""

    @staticmethod
    def forward(ctx, yhat, y, reduction="mean"):
        ctx.save_for_backward(yhat, y)
        ctx.factor = 1 if reduction == "sum" else max(yhat.numel(), 1)
        return ((yhat - y) ** 2).sum() / ctx.factor

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        grad = grad_output * 2 * (yhat - y) / ctx.factor
        return grad, -grad, None


class MSEOnce(Function):
    @staticmethod
    def forward(ctx, yhat, y):
        difference = yhat - y
        ctx.save_for_backward(difference)
        return (difference**2).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        (difference,) = ctx.saved_tensors
        grad = grad_output * 2 * difference / difference.numel()
        return grad, -grad


class MSEInPlace(Function):
    """Works in place on tensors of its own."""

    @staticmethod
    def forward(ctx, yhat, y):
        ctx.save_for_backward(yhat, y)
        difference = yhat - y
        difference.pow_(2)
        return difference.mean()

    @staticmethod
    def backward(ctx, grad_output):
        yhat, y = ctx.saved_tensors
        grad = yhat - y
        grad *= 2 / max(grad.numel(), 1)
        grad *= grad_output
        return grad, -grad


class BCEClamped(Function):
    """Probabilities kept away from 0 and 1; the target is a constant."""

    @staticmethod
    def forward(ctx, p, y):
        ctx.save_for_backward(p, y)
        p = p.clamp(1e-7, 1 - 1e-7)
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()

    @staticmethod
    def backward(ctx, grad_output):
        p, y = ctx.saved_tensors
        p = p.clamp(1e-7, 1 - 1e-7)
        return grad_output * ((1 - y) / (1 - p) - y / p) / p.numel(), None


class BCESum(Function):
    @staticmethod
    def forward(ctx, p, y):
        ctx.save_for_backward(p, y)
        return torch.nn.functional.binary_cross_entropy(p, y, reduction="sum")

    @staticmethod
    def backward(ctx, grad_output):
        p, y = ctx.saved_tensors
        grad = (p - y) / torch.clamp(p - p * p, min=1e-12)
        return grad_output * grad, None


class BCEWithLogitsLogAddExp(Function):
    @staticmethod
    def forward(ctx, z, y):
        ctx.save_for_backward(z, y)
        return (torch.logaddexp(torch.zeros_like(z), z) - z * y).mean()

    @staticmethod
    def backward(ctx, grad_output):
        z, y = ctx.saved_tensors
        grad_z = (z.sigmoid() - y).mul(grad_output / z.numel()) if ctx.needs_input_grad[0] else None
        grad_y = z.mul(-grad_output / z.numel()) if ctx.needs_input_grad[1] else None
        return grad_z, grad_y


class BCEWithLogitsNewForm(Function):
    @staticmethod
    def forward(logits, target):
        return torch.mean(logits.relu() - logits * target + (-logits.abs()).exp().log1p())

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        return grad_output * (1 / (1 + torch.exp(-logits)) - target) / logits.numel(), None


class CrossEntropyOneHot(Function):
    """Targets are rows of zeros with a one."""

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        return -(target * logits.log_softmax(1)).sum(1).mean()

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        return grad_output * (logits.softmax(1) - target) / logits.shape[0], None


class CrossEntropySum(Function):
    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        return -logits.log_softmax(1).gather(1, target[:, None]).sum()

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        return grad_output * (logits.softmax(1) - one_hot(target, logits.shape[1])), None


class CrossEntropyInPlace(Function):
    """Takes 1 off in place, from a tensor of its own."""

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        shifted = logits - logits.max(1, keepdim=True).values
        log_p = shifted - shifted.exp().sum(1, keepdim=True).log()
        return -log_p[range(len(target)), target].mean()

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        grad = torch.softmax(logits, dim=1)
        grad[range(len(target)), target] -= 1
        grad /= len(target)
        return grad * grad_output, None


class CrossEntropyNewForm(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(logits, target):
        return (torch.logsumexp(logits, -1) - logits.gather(-1, target.unsqueeze(-1)).squeeze(-1)).mean()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        right = torch.arange(logits.shape[-1], device=logits.device) == target.unsqueeze(-1)
        return (logits.softmax(-1) - right.to(logits)) * (grad_output / len(target)), None


class NLLScatter(Function):
    @staticmethod
    def forward(ctx, log_p, target):
        ctx.save_for_backward(log_p, target)
        return -log_p.gather(1, target.unsqueeze(1)).mean()

    @staticmethod
    def backward(ctx, grad_output):
        log_p, target = ctx.saved_tensors
        share = (-grad_output / len(target)).expand(len(target), 1)
        return torch.zeros_like(log_p).scatter(1, target.unsqueeze(1), share), None


class NLLShapeOnly(Function):
    """Of the log-probabilities it keeps the shape alone."""

    @staticmethod
    def forward(ctx, log_p, target):
        ctx.shape = log_p.shape
        ctx.save_for_backward(target)
        return -log_p[torch.arange(len(target)), target].mean()

    @staticmethod
    def backward(ctx, grad_output):
        (target,) = ctx.saved_tensors
        classes = ctx.shape[1]
        return one_hot(target, classes) * (-grad_output / ctx.shape[0]), None
