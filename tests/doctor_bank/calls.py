"""How each kind of Function is called, and what torch gives: the bank is proven with this, not with the doctor."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Call:
    reference: Callable
    draw: Callable  # batch size -> arguments
    variables: tuple[int, ...]  # which of them have a gradient


def numbers(*shape, low=0.5, high=1.5, signs=True, seed=0):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    magnitude = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
    return magnitude * (torch.randint(0, 2, shape, generator=generator) * 2 - 1) if signs else magnitude


def probabilities(*shape):
    return numbers(*shape, low=0.1, high=0.9, signs=False)


def apart(*shape):
    """No two entries alike."""
    count = torch.Size(shape).numel()
    ranks = torch.randperm(count, generator=torch.Generator().manual_seed(0)).double()
    return ((ranks - count / 2) / 8).reshape(shape)


def classes(n):
    return torch.arange(n) * 3 % 4


def one_hot(n):
    return F.one_hot(classes(n), 4).double()


def highway(x, w_h, b_h, w_t, b_t, f=torch.relu):
    h, t = f(F.linear(x, w_h, b_h)), torch.sigmoid(F.linear(x, w_t, b_t))
    return h * t + x * (1 - t)


def course_highway(f):
    return lambda x, w_h, b_h, w_t, b_t: highway(x, w_h.T, b_h, w_t.T, b_t, f)


def highway_arguments(n):
    return numbers(n, 4), numbers(4, 4, seed=1), numbers(4), numbers(4, 4, seed=2), numbers(4, seed=1)


def unary(reference, draw=lambda n: (numbers(n, 3),)):
    return Call(reference, draw, (0,))


def affine(reference):
    return Call(reference, lambda n: (numbers(n, 4), numbers(4), numbers(4, seed=1)), (0, 1, 2))


def batch_norm(x, weight, bias):
    return F.batch_norm(x, None, None, weight, bias, training=True)


def pair(reference, first=numbers, variables=(0, 1)):
    return Call(reference, lambda n: (first(n, 3), numbers(n, 3, low=0.2, high=0.8, signs=False, seed=1)), variables)


CALLS = {
    "linear": Call(
        lambda X, W, b: F.linear(X, W.T, b), lambda n: (numbers(n, 7), numbers(7, 3), numbers(3)), (0, 1, 2)
    ),
    "linear (1, p)": Call(
        lambda X, W, b: F.linear(X, W.T, b[0]), lambda n: (numbers(n, 7), numbers(7, 3), numbers(1, 3)), (0, 1, 2)
    ),
    "linear without bias": Call(lambda X, W: F.linear(X, W.T), lambda n: (numbers(n, 7), numbers(7, 3)), (0, 1)),
    "torch linear": Call(F.linear, lambda n: (numbers(n, 7), numbers(3, 7), numbers(3)), (0, 1, 2)),
    "highway": Call(course_highway(torch.relu), highway_arguments, (0, 1, 2, 3, 4)),
    "tanh highway": Call(course_highway(torch.tanh), highway_arguments, (0, 1, 2, 3, 4)),
    "torch highway": Call(highway, highway_arguments, (0, 1, 2, 3, 4)),
    "mse": pair(F.mse_loss),
    "mse, (1/q) sum": pair(lambda x, y: F.mse_loss(x, y, reduction="sum") / len(x)),
    "mse, sum": pair(lambda x, y: F.mse_loss(x, y, reduction="sum")),
    "bce": pair(F.binary_cross_entropy, probabilities),
    "bce, constant target": pair(F.binary_cross_entropy, probabilities, (0,)),
    "bce, sum": pair(lambda p, y: F.binary_cross_entropy(p, y, reduction="sum"), probabilities, (0,)),
    "bce_with_logits": pair(F.binary_cross_entropy_with_logits),
    "bce_with_logits, constant target": pair(F.binary_cross_entropy_with_logits, variables=(0,)),
    "tanh": unary(torch.tanh),
    "sigmoid": unary(torch.sigmoid),
    "relu": unary(torch.relu),
    "leaky_relu": unary(F.leaky_relu),
    "softmax": unary(lambda x: torch.softmax(x, -1)),
    "log_softmax": unary(lambda x: torch.log_softmax(x, -1)),
    "cross_entropy": Call(F.cross_entropy, lambda n: (numbers(n, 4), classes(n)), (0,)),
    "cross_entropy, one-hot": Call(F.cross_entropy, lambda n: (numbers(n, 4), one_hot(n)), (0,)),
    "cross_entropy, sum": Call(
        lambda x, t: F.cross_entropy(x, t, reduction="sum"), lambda n: (numbers(n, 4), classes(n)), (0,)
    ),
    "nll": Call(F.nll_loss, lambda n: (numbers(n, 4), classes(n)), (0,)),
    "conv1d": Call(F.conv1d, lambda n: (numbers(n, 3, 7), numbers(2, 3, 3), numbers(2)), (0, 1, 2)),
    "conv1d without bias": Call(F.conv1d, lambda n: (numbers(n, 3, 7), numbers(2, 3, 3)), (0, 1)),
    "conv1d, channels last": Call(
        lambda X, W, b: F.conv1d(X.mT, W.permute(2, 1, 0), b).mT,
        lambda n: (numbers(n, 7, 3), numbers(3, 3, 2), numbers(2)),
        (0, 1, 2),
    ),
    "conv2d": Call(F.conv2d, lambda n: (numbers(n, 2, 5, 4), numbers(3, 2, 3, 3), numbers(3)), (0, 1, 2)),
    "max_pool": unary(lambda X: F.max_pool1d(X, 2), lambda n: (apart(n, 3, 6),)),
    "max_pool, images": unary(lambda X: F.max_pool2d(X, 2), lambda n: (apart(n, 2, 4, 5),)),
    "avg_pool": unary(lambda X: F.avg_pool1d(X, 2), lambda n: (numbers(n, 3, 6),)),
    "avg_pool, images": unary(lambda X: F.avg_pool2d(X, 2), lambda n: (numbers(n, 2, 4, 5),)),
    "batch_norm": affine(lambda x, w, b: batch_norm(x, w, b)),
    "layer_norm": affine(lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b)),
    "layer_norm, plain": unary(lambda x: F.layer_norm(x, x.shape[-1:])),
}
"""Kind -> how it is called. A kind without a comma, or before it, that is an operation is the solution's own."""
