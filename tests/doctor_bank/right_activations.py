"""Right ways to write activations that are not the course's."""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class TanhFromInput(Function):
    """Keeps the input, and computes the output again."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (1 - x.tanh().pow(2))


class TanhCosh(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output / torch.cosh(x) ** 2


class TanhExponentials(Function):
    """A quotient of exponentials that do not overflow."""

    @staticmethod
    def forward(ctx, x):
        e = torch.exp(-2 * x.abs())
        y = torch.sign(x) * (1 - e) / (1 + e)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        y = ctx.saved_tensors[1]
        return grad_output * (1 + y) * (1 - y)


class TanhNewForm(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return torch.addcmul(grad_output, grad_output * y, y, value=-1)

    @staticmethod
    def jvp(ctx, x_dot):
        (y,) = ctx.saved_tensors
        return x_dot * (1 - y * y)


class TanhCallsAnother(Function):
    """Its backward is another Function, which has a derivative of its own."""

    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        return TimesSlope.apply(grad_output, *ctx.saved_tensors)


class TimesSlope(Function):
    @staticmethod
    def forward(ctx, g, y):
        ctx.save_for_backward(g, y)
        return g * (1 - y**2)

    @staticmethod
    def backward(ctx, grad_output):
        g, y = ctx.saved_tensors
        return grad_output * (1 - y**2), grad_output * g * -2 * y


class SigmoidExponential(Function):
    @staticmethod
    def forward(ctx, x):
        y = 1 / (1 + torch.exp(-x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return (1 - y) * y * grad_output


class SigmoidFromInput(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * torch.sigmoid(x) * torch.sigmoid(-x)


class SigmoidByTanh(Function):
    @staticmethod
    def forward(ctx, x):
        y = 0.5 * (torch.tanh(x / 2) + 1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output * (y - y**2)


class SigmoidNewForm(Function):
    @staticmethod
    def forward(input):
        return torch.sigmoid(input)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, grad_output):
        (output,) = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None
        return grad_output * output * (1 - output)

    @staticmethod
    def vmap(info, in_dims, input):
        return SigmoidNewForm.apply(input), in_dims[0]


class ReLUProduct(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * (x > 0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x > 0).float()


class ReLUFromOutput(Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.maximum(x, torch.zeros_like(x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return torch.where(y > 0, grad_output, 0)


class ReLUOfACopy(Function):
    """Sets entries of its own copy to 0."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        y = x.clone()
        y[y < 0] = 0
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[x <= 0] = 0
        return grad_input


class ReLUSavesMask(Function):
    @staticmethod
    def forward(ctx, x):
        mask = x > 0
        ctx.save_for_backward(mask)
        return x.masked_fill(~mask, 0)

    @staticmethod
    def backward(ctx, grad_output):
        (mask,) = ctx.saved_tensors
        return grad_output.masked_fill(~mask, 0)


class ReLUMaskOnCtx(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mask = x > 0
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.mask


class ReLUThreshold(Function):
    """Zero up to a threshold, as the course's second version."""

    @staticmethod
    def forward(ctx, x, threshold=0.0):
        ctx.save_for_backward(x)
        ctx.threshold = threshold
        return torch.where(x > threshold, x, 0.0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x > ctx.threshold), None


class ReLUHeaviside(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return (x + x.abs()) / 2

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * torch.heaviside(x.detach(), torch.zeros_like(x))


class LeakyReLUMaximum(Function):
    @staticmethod
    def forward(ctx, x, slope=0.01):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.maximum(x, slope * x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        factor = torch.ones_like(x)
        factor[x <= 0] = ctx.slope
        return grad_output * factor, None


class LeakyReLUFixed(Function):
    """The slope is written in the code."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0) + 0.01 * x.clamp(max=0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * ((x > 0) + 0.01 * (x <= 0))


class Softmax1(Function):
    """Over dimension 1."""

    @staticmethod
    def forward(ctx, x):
        y = torch.exp(x - torch.logsumexp(x, dim=1, keepdim=True))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return y * grad_output - y * (y * grad_output).sum(1, keepdim=True)


class SoftmaxJacobian(Function):
    """Writes out the Jacobian of each example."""

    @staticmethod
    def forward(ctx, x):
        y = torch.softmax(x, -1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        jacobian = torch.diag_embed(y) - y[..., :, None] * y[..., None, :]
        return (jacobian @ grad_output[..., None])[..., 0]


class SoftmaxLoop(Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.empty_like(x)
        for i, row in enumerate(x):
            e = torch.exp(row - row.max())
            y[i] = e / e.sum()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        grad = torch.zeros_like(y)
        for i in range(len(y)):
            grad[i] = (torch.diag(y[i]) - torch.outer(y[i], y[i])) @ grad_output[i]
        return grad


class SoftmaxDim(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, dim=-1):
        return torch.softmax(x, dim)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.dim = inputs[1]
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        product = y * grad_output
        return product - y * product.sum(ctx.dim, keepdim=True), None


class LogSoftmaxFromInput(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        shifted = x - x.max(-1, keepdim=True).values
        return shifted - torch.log(torch.exp(shifted).sum(-1, keepdim=True))

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output - torch.softmax(x, -1) * grad_output.sum(-1, keepdim=True)


class LogSoftmaxNewForm(Function):
    @staticmethod
    def forward(x):
        return torch.log_softmax(x, 1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output - y.exp() * (grad_output @ grad_output.new_ones(y.shape[1], y.shape[1]))
