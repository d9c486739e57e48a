"""Right ways to write convolutions, pooling and normalisation that are not the package's."""

import torch
from torch.autograd import Function
from torch.nn import functional


class Conv1dTransposed(Function):
    """Its gradients are convolutions themselves."""

    @staticmethod
    def forward(ctx, X, W, b):
        ctx.save_for_backward(X, W)
        return functional.conv1d(X, W, b)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        grad_X = functional.conv_transpose1d(grad_output, W)
        if not len(X):  # torch convolves no signals of no channels
            return grad_X, torch.zeros_like(W), grad_output.sum((0, 2))
        grad_W = functional.conv1d(X.transpose(0, 1), grad_output.transpose(0, 1)).transpose(0, 1)
        return grad_X, grad_W, grad_output.sum((0, 2))


class Conv1dChannelsLast(Function):
    """As the course's: X (batch, length, chan_in), W (k_size, chan_in, chan_out), b (chan_out,)."""

    @staticmethod
    def forward(ctx, X, W, b, stride=1):
        ctx.save_for_backward(X, W)
        ctx.stride = stride
        windows = X.unfold(1, W.shape[0], stride)
        return torch.einsum("blck,kco->blo", windows, W) + b

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        windows = X.unfold(1, W.shape[0], ctx.stride)
        grad_X = torch.zeros_like(X)
        for i in range(grad_output.shape[1]):
            start = i * ctx.stride
            grad_X[:, start : start + W.shape[0]] += torch.einsum("bo,kco->bkc", grad_output[:, i], W)
        return grad_X, torch.einsum("blo,blck->kco", grad_output, windows), grad_output.sum((0, 1)), None


class Conv1dLoops(Function):
    """No option, no bias."""

    @staticmethod
    def forward(ctx, X, W):
        ctx.save_for_backward(X, W)
        k = W.shape[2]
        places = X.shape[2] - k + 1
        return torch.stack([X[:, :, i : i + k].flatten(1) @ W.flatten(1).T for i in range(places)], 2)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        k = W.shape[2]
        grad_X, grad_W = torch.zeros_like(X), torch.zeros_like(W)
        for i in range(grad_output.shape[2]):
            g = grad_output[:, :, i]
            grad_X[:, :, i : i + k] += (g @ W.flatten(1)).reshape(len(X), X.shape[1], k)
            grad_W += (g.T @ X[:, :, i : i + k].flatten(1)).view_as(W)
        return grad_X, grad_W


class Conv2dEinsum(Function):
    @staticmethod
    def forward(X, W, b):
        windows = X.unfold(2, W.shape[2], 1).unfold(3, W.shape[3], 1)
        return torch.einsum("qcijkl,ockl->qoij", windows, W) + b.view(1, -1, 1, 1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        X, W, _ = inputs
        ctx.save_for_backward(X, W)

    @staticmethod
    def backward(ctx, grad_output):
        X, W = ctx.saved_tensors
        grad_X = grad_W = grad_b = None
        if ctx.needs_input_grad[0]:
            k, m = W.shape[2] - 1, W.shape[3] - 1
            around = functional.pad(grad_output, (m, m, k, k))
            windows = around.unfold(2, k + 1, 1).unfold(3, m + 1, 1)
            grad_X = torch.einsum("qoijkl,ockl->qcij", windows, W.flip(2, 3))
        if ctx.needs_input_grad[1]:
            windows = X.unfold(2, W.shape[2], 1).unfold(3, W.shape[3], 1)
            grad_W = torch.einsum("qoij,qcijkl->ockl", grad_output, windows)
        if ctx.needs_input_grad[2]:
            grad_b = grad_output.flatten(2).sum((0, 2))
        return grad_X, grad_W, grad_b


class Conv2dPadding(Function):
    """Stride and padding as options."""

    @staticmethod
    def forward(ctx, input, weight, bias, stride=1, padding=0):
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(input, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        size, kernel = input.shape[2:], weight.shape[2:]
        options = {"stride": ctx.stride, "padding": ctx.padding}
        columns = weight.flatten(1).T @ grad_output.flatten(2)
        patches = functional.unfold(input, kernel, **options)
        grad_weight = torch.einsum("qop,qkp->ok", grad_output.flatten(2), patches).view_as(weight)
        grad_input = functional.fold(columns, size, kernel, **options)
        return grad_input, grad_weight, grad_output.sum((0, 2, 3)), None, None


class MaxPool1dIndices(Function):
    """Keeps where the maxima were."""

    @staticmethod
    def forward(ctx, X, kernel_size=2):
        Y, where = functional.max_pool1d(X, kernel_size, return_indices=True)
        ctx.save_for_backward(where)
        ctx.length = X.shape[2]
        return Y

    @staticmethod
    def backward(ctx, grad_output):
        (where,) = ctx.saved_tensors
        n, c, _ = grad_output.shape
        return grad_output.new_zeros(n, c, ctx.length).scatter_add(2, where, grad_output), None


class MaxPool2dWindows(Function):
    """Windows side by side; of equal entries the first gets it all."""

    @staticmethod
    def forward(ctx, X, k=2):
        ctx.save_for_backward(X)
        ctx.k = k
        return X.unfold(2, k, k).unfold(3, k, k).amax((4, 5))

    @staticmethod
    def backward(ctx, grad_output):
        (X,) = ctx.saved_tensors
        k, (n, c, rows, columns) = ctx.k, grad_output.shape
        windows = X.unfold(2, k, k).unfold(3, k, k).flatten(4)
        best = windows.argmax(-1)
        grad = torch.zeros_like(X)
        for i in range(rows):
            for j in range(columns):
                mask = torch.arange(k * k) == best[:, :, i, j, None]
                share = (mask * grad_output[:, :, i, j, None]).reshape(n, c, k, k)
                grad[:, :, i * k : (i + 1) * k, j * k : (j + 1) * k] = share
        return grad, None


class MaxPool1dShared(Function):
    """Equal maxima share the gradient."""

    @staticmethod
    def forward(ctx, X, kernel_size=2):
        ctx.save_for_backward(X)
        ctx.kernel_size = kernel_size
        return X.unfold(2, kernel_size, kernel_size).amax(-1)

    @staticmethod
    def backward(ctx, grad_output):
        (X,) = ctx.saved_tensors
        windows = X.unfold(2, ctx.kernel_size, ctx.kernel_size)
        mask = (windows == windows.amax(-1, keepdim=True)).to(X)
        grad = (mask / mask.sum(-1, keepdim=True) * grad_output[..., None]).flatten(2)
        return functional.pad(grad, (0, X.shape[2] - grad.shape[2])), None


class MaxPool1dLast(Function):
    """Of equal maxima the last gets the gradient."""

    @staticmethod
    def forward(ctx, X):
        ctx.save_for_backward(X)
        return torch.maximum(X[:, :, ::2], X[:, :, 1::2])

    @staticmethod
    def backward(ctx, grad_output):
        (X,) = ctx.saved_tensors
        first = X[:, :, ::2] > X[:, :, 1::2]
        return torch.stack([grad_output * first, grad_output * ~first], -1).flatten(2)


class AvgPool2dRepeat(Function):
    @staticmethod
    def forward(ctx, X, k=2):
        ctx.k, ctx.size = k, X.shape[2:]
        return functional.avg_pool2d(X, k)

    @staticmethod
    def backward(ctx, grad_output):
        share = grad_output / ctx.k**2
        grad = share.repeat_interleave(ctx.k, 2).repeat_interleave(ctx.k, 3)
        rest = [ctx.size[d] - grad.shape[2 + d] for d in (1, 0)]
        return functional.pad(grad, (0, rest[0], 0, rest[1])), None


class AvgPool1dExpand(Function):
    """Its gradient comes of an expanded tensor."""

    @staticmethod
    def forward(X, kernel_size=2):
        return X.unfold(2, kernel_size, kernel_size).sum(-1) / kernel_size

    @staticmethod
    def setup_context(ctx, inputs, output):
        X, ctx.kernel_size = inputs
        ctx.length = X.shape[2]

    @staticmethod
    def backward(ctx, grad_output):
        share = (grad_output / ctx.kernel_size)[..., None]
        grad = share.expand(*grad_output.shape, ctx.kernel_size).flatten(2)
        return functional.pad(grad, (0, ctx.length - grad.shape[2])), None


class BatchNormTorchNames(Function):
    @staticmethod
    def forward(ctx, input, weight, bias, eps=1e-5):
        ctx.save_for_backward(input, weight)
        ctx.eps = eps
        mean = input.sum(0) / input.shape[0]
        variance = input.var(0, unbiased=False) if len(input) else mean
        return (input - mean) * torch.rsqrt(variance + eps) * weight + bias

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        n = input.shape[0]
        centred = input - input.mean(0)
        inverse = torch.rsqrt((centred * centred).mean(0) + ctx.eps)
        normed = centred * inverse
        g = grad_output * weight
        grad_input = inverse / n * (n * g - g.sum(0) - normed * (g * normed).sum(0)) if n else g
        return grad_input, (grad_output * normed).sum(0), grad_output.sum(0), None


class BatchNormSteps(Function):
    """The graph of the operation, walked backwards one step at a time, as in Karpathy's and Kratzert's notes."""

    @staticmethod
    def forward(ctx, x, gamma, beta):
        ctx.save_for_backward(x, gamma)
        mu = x.mean(0)
        return gamma * (x - mu) / torch.sqrt(((x - mu) ** 2).mean(0) + 1e-5) + beta

    @staticmethod
    def backward(ctx, dout):
        x, gamma = ctx.saved_tensors
        xmu = x - x.mean(0)
        sqrtvar = torch.sqrt((xmu**2).mean(0) + 1e-5)
        ivar = 1 / sqrtvar
        dxhat = dout * gamma
        divar = (dxhat * xmu).sum(0)
        dvar = -0.5 * divar / sqrtvar**3
        dsq = dvar * torch.ones_like(x) / x.shape[0] if len(x) else torch.zeros_like(x)
        dx1 = dxhat * ivar + 2 * xmu * dsq
        return dx1 - dx1.mean(0), (dout * xmu * ivar).sum(0), dout.sum(0)


class LayerNormNewForm(Function):
    """Over the last dimension, of any number of leading ones."""

    generate_vmap_rule = True

    @staticmethod
    def forward(input, weight, bias, eps=1e-5):
        return functional.layer_norm(input, input.shape[-1:], weight, bias, eps)

    @staticmethod
    def setup_context(ctx, inputs, output):
        input, weight, _, ctx.eps = inputs
        ctx.save_for_backward(input, weight)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        centred = input - input.mean(-1, keepdim=True)
        inverse = (centred.square().mean(-1, keepdim=True) + ctx.eps).rsqrt()
        normed = centred * inverse
        g = grad_output * weight
        grad_input = inverse * (g - g.mean(-1, keepdim=True) - normed * (g * normed).mean(-1, keepdim=True))
        leading = tuple(range(input.dim() - 1))
        return grad_input, (grad_output * normed).sum(leading), grad_output.sum(leading), None


class LayerNormPlain(Function):
    """Without scale and shift."""

    @staticmethod
    def forward(ctx, X):
        ctx.save_for_backward(X)
        centred = X - X.mean(1, keepdim=True)
        return centred / torch.sqrt((centred**2).mean(1, keepdim=True) + 1e-5)

    @staticmethod
    def backward(ctx, grad_output):
        (X,) = ctx.saved_tensors
        centred = X - X.mean(1, keepdim=True)
        std = torch.sqrt((centred**2).mean(1, keepdim=True) + 1e-5)
        X_hat = centred / std
        inner = (grad_output * X_hat).mean(1, keepdim=True)
        return (grad_output - grad_output.mean(1, keepdim=True) - X_hat * inner) / std
