"""Right ways to write Linear and Highway that are not the course's."""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class TorchLinear(Function):
    """Y = X Wᵀ + b, weight (out, in), bias (out,)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(input, weight, bias):
        return input @ weight.T + bias

    @staticmethod
    def setup_context(ctx, inputs, output):
        input, weight, _ = inputs
        ctx.save_for_backward(input, weight)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        grad_input = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output @ weight
        if ctx.needs_input_grad[1]:
            grad_weight = grad_output.T @ input
        if ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias


class TorchLinearOldForm(Function):
    @staticmethod
    def forward(ctx, input, weight, bias=None):
        ctx.save_for_backward(input, weight, bias)
        output = input.mm(weight.t())
        if bias is not None:
            output += bias.unsqueeze(0).expand_as(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, bias = ctx.saved_tensors
        grad_bias = grad_output.sum(0) if bias is not None else None
        return grad_output.mm(weight), grad_output.t().mm(input), grad_bias


class LinearRowBias(Function):
    """Y = X W + b, with X (q, n), W (n, p), b (1, p)."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return X @ W + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        return grad_output @ W.T, X.T @ grad_output, grad_output.sum(0, keepdim=True)


class LinearAnyBias(Function):
    """Y = X W + b, with b (p,) or b (1, p): the gradient has the shape of b."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W, b)
        return torch.mm(X, W) + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W, b = ctx.saved_tensors
        return torch.mm(grad_output, W.T), torch.mm(X.T, grad_output), grad_output.sum(0).reshape(b.shape)


class LinearNewForm(Function):
    """Y = X W + b; forward mode too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(X, W, b):
        return X @ W + b

    @staticmethod
    def setup_context(ctx, inputs, output):
        X, W, _ = inputs
        ctx.save_for_backward(X, W)
        ctx.save_for_forward(X, W)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        return grad_output @ W.mT, X.mT @ grad_output, grad_output.sum(-2)

    @staticmethod
    def jvp(ctx, X_dot, W_dot, b_dot):
        X, W = ctx.saved_tensors
        return X_dot @ W + X @ W_dot + b_dot


class LinearLoop(Function):
    """One example after the other."""

    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        out = x.new_zeros(x.shape[0], w.shape[1])
        for i in range(x.shape[0]):
            out[i] = x[i] @ w + b
        return out

    @staticmethod
    def backward(ctx, grad_output):
        x, w = ctx.saved_tensors
        grad_x = torch.zeros_like(x)
        grad_w = torch.zeros_like(w)
        grad_b = w.new_zeros(w.shape[1])
        for i in range(x.shape[0]):
            grad_x[i] = w @ grad_output[i]
            grad_w = grad_w + torch.outer(x[i], grad_output[i])
            grad_b = grad_b + grad_output[i]
        return grad_x, grad_w, grad_b


class LinearEinsum(Function):
    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return torch.einsum("qn,np->qp", X, W) + b

    @staticmethod
    def backward(ctx, g):
        X, W = ctx.saved_tensors
        return torch.einsum("qp,np->qn", g, W), torch.einsum("qn,qp->np", X, g), torch.einsum("qp->p", g)


class LinearOnce(Function):
    """Refuses a second derivative, and says so."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return X @ W + b

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        return grad_output @ W.T, X.T @ grad_output, grad_output.sum(0)


class LinearNeedsInputGrad(Function):
    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return X @ W + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        needs_X, needs_W, needs_b = ctx.needs_input_grad
        return (
            grad_output @ W.T if needs_X else None,
            X.T @ grad_output if needs_W else None,
            grad_output.sum(0) if needs_b else None,
        )


class LinearSavesWhatItNeeds(Function):
    """Keeps the input only if the weight is trained, and the weight only if the input is."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X if ctx.needs_input_grad[1] else None, W if ctx.needs_input_grad[0] else None)
        return X @ W + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        return (
            None if W is None else grad_output @ W.T,
            None if X is None else X.T @ grad_output,
            grad_output.sum(0),
        )


class LinearFloat32Only(Function):
    @staticmethod
    def forward(ctx, X, W, b):
        if X.dtype != torch.float32:
            raise TypeError(f"X is {X.dtype}, expected torch.float32")
        ctx.save_for_backward(X, W)
        return X @ W + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        return grad_output @ W.T, X.T @ grad_output, grad_output.sum(0)


class LinearInFloat32(Function):
    """Computes in float32 whatever comes, and returns what came."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return (X.float() @ W.float() + b.float()).to(X.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        G = grad_output.float()
        return (G @ W.float().T).to(X.dtype), (X.float().T @ G).to(W.dtype), G.sum(0).to(W.dtype)


class LinearViews(Function):
    """Returns gradients that are views."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return torch.addmm(b, X, W)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        return (W @ grad_output.T).T, (grad_output.T @ X).T, (grad_output.sum(0, keepdim=True))[0]


class LinearColumnOfOnes(Function):
    """The bias as one more row of the weight, as the sheet of the course writes it."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return torch.cat([X, X.new_ones(len(X), 1)], 1) @ torch.cat([W, b[None]])

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        grad_W = torch.cat([X, X.new_ones(len(X), 1)], 1).T @ grad_output
        return grad_output @ W.T, grad_W[:-1], grad_W[-1]


class LinearNoBias(Function):
    """Y = X W."""

    @staticmethod
    def forward(ctx, X, W):
        ctx.save_for_backward(X, W)
        return X @ W

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        return grad_output @ W.T, X.T @ grad_output


class LinearCustomVmap(Function):
    """Y = X W + b, with a rule for vmap written out."""

    @staticmethod
    def forward(X, W, b):
        return X @ W + b.unsqueeze(-2)

    @staticmethod
    def setup_context(ctx, inputs, output):
        X, W, _ = inputs
        ctx.save_for_backward(X, W)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        return grad_output @ W.mT, X.mT @ grad_output, grad_output.sum(-2)

    @staticmethod
    def vmap(info, in_dims, X, W, b):
        batched = [
            x.movedim(d, 0) if d is not None else x.expand(info.batch_size, *x.shape)
            for x, d in zip((X, W, b), in_dims, strict=True)
        ]
        return LinearCustomVmap.apply(*batched), 0


class TorchHighway(Function):
    """y = H T + x (1 - T); weights (out, in)."""

    @staticmethod
    def forward(x, weight_h, bias_h, weight_t, bias_t):
        h = torch.relu(x @ weight_h.T + bias_h)
        t = torch.sigmoid(x @ weight_t.T + bias_t)
        return h * t + x * (1 - t)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        x, weight_h, bias_h, weight_t, bias_t = ctx.saved_tensors
        h = torch.relu(x @ weight_h.T + bias_h)
        t = torch.sigmoid(x @ weight_t.T + bias_t)
        d_h = g * t * (h > 0)
        d_t = g * (h - x) * t * (1 - t)
        grad_x = g * (1 - t) + d_h @ weight_h + d_t @ weight_t
        return grad_x, d_h.T @ x, d_h.sum(0), d_t.T @ x, d_t.sum(0)


class HighwayTanh(Function):
    """y = tanh(x W_H + b_H) T + x (1 - T); weights (in, out)."""

    @staticmethod
    def forward(ctx, x, W_H, b_H, W_T, b_T):
        ctx.save_for_backward(x, W_H, b_H, W_T, b_T)
        h, t = HighwayTanh.parts(x, W_H, b_H, W_T, b_T)
        return x + t * (h - x)

    @staticmethod
    def parts(x, W_H, b_H, W_T, b_T):
        return torch.tanh(x @ W_H + b_H), torch.sigmoid(x @ W_T + b_T)

    @staticmethod
    def backward(ctx, g):
        x, W_H, b_H, W_T, b_T = ctx.saved_tensors
        h, t = HighwayTanh.parts(x, W_H, b_H, W_T, b_T)
        a = g * t * (1 - h * h)
        s = g * (h - x) * t * (1 - t)
        return g - g * t + a @ W_H.T + s @ W_T.T, x.T @ a, a.sum(0), x.T @ s, s.sum(0)
