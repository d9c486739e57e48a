"""The course's classifiers of images, as Sequential models of amal's layers.

Shapes: input (n, channels, height, width), output (n, classes): the logits, whose softmax are probabilities.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import Flatten, Sequential

from .convolution import Conv1d, Conv2d
from .highway import Highway
from .layers import AvgPool2d, Dropout, MaxPool1d, MaxPool2d, ReLU
from .linear import Linear

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


def mlp(
    shape: Shape,
    classes: int,
    hidden: Sequence[int] = (),
    activation: Callable[[], nn.Module] | None = ReLU,
    dropout: float = 0.0,
) -> Sequential:
    """Return linear layers with a non-linearity after each but the last; without hidden layers, a perceptron.

    Args:
        shape: of an image, whose pixels are flattened.
        classes: how many.
        hidden: sizes of the hidden layers.
        activation: makes the non-linearity; None for none, which leaves a linear map of any depth.
        dropout: probability with which a hidden unit is left out in training.
    """
    sizes = [shape[0] * shape[1] * shape[2], *hidden]
    layers: list[nn.Module] = [Flatten()]
    for size, non_linearity in pairwise(sizes):
        layers += [Linear(size, non_linearity), *([activation()] if activation else []), *_dropout(dropout)]
    return Sequential(*layers, Linear(sizes[-1], classes))


def highway_network(
    shape: Shape, classes: int, width: int, depth: int, activation: str = "relu", gate_bias: float = -1.0
) -> Sequential:
    """Return a linear layer with ReLU, then highway layers of one width, then a linear layer.

    Args:
        shape: of an image, whose pixels are flattened.
        classes: how many.
        width: units of every hidden layer.
        depth: hidden layers in all: the first, which changes the width as no highway can, and depth − 1 highways.
        activation: of each transform, one of 'relu', 'tanh', 'sigmoid'.
        gate_bias: what each gate bias is at first.

    Source: Srivastava, Greff and Schmidhuber, Highway Networks, 2015, section 3.
    """
    highways = [Highway(width, activation, gate_bias) for _ in range(depth - 1)]
    pixels = shape[0] * shape[1] * shape[2]
    return Sequential(Flatten(), Linear(pixels, width), ReLU(), *highways, Linear(width, classes))


def conv1d_network(shape: Shape, classes: int) -> Sequential:
    """Return the course's convolution over the flattened image: 32 filters of 3 pixels, halved by a maximum, 100 units.

    Of 256 pixels, the 127 × 32 = 4064 features of R-c 7.
    """
    pixels = shape[0] * shape[1] * shape[2]
    features: list[nn.Module] = [
        Flatten(),
        nn.Unflatten(1, (1, pixels)),
        Conv1d(1, 32, 3),
        MaxPool1d(2),
        Flatten(),
    ]
    return Sequential(*features, *_head(features, shape, 100, classes))


def conv2d_network(shape: Shape, classes: int, pooling: type[nn.Module] = MaxPool2d) -> Sequential:
    """Return the same of the image as it is: 32 filters of 3 × 3, halved by MaxPool2d or AvgPool2d, 100 units."""
    features: list[nn.Module] = [Conv2d(shape[0], 32, 3), ReLU(), _pool(pooling), Flatten()]
    return Sequential(*features, *_head(features, shape, 100, classes))


def lenet(
    shape: Shape,
    classes: int,
    channels: tuple[int, int] = (32, 64),
    hidden: int = 256,
    dropout: float = 0.5,
    pooling: type[nn.Module] = MaxPool2d,
) -> Sequential:
    """Return two convolutions, each halved by a pooling, then two linear layers: LeNet-5's plan, with today's parts.

    Args:
        shape: of an image, at least 8 × 8.
        classes: how many.
        channels: filters of the first convolution (5 × 5) and of the second (3 × 3).
        hidden: units of the linear layer before the last.
        dropout: probability with which each of these is left out in training.
        pooling: MaxPool2d, or AvgPool2d as LeCun had it.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, 1998.
    """
    first, second = channels
    features: list[nn.Module] = [
        Conv2d(shape[0], first, 5, padding=2),
        ReLU(),
        _pool(pooling),
        Conv2d(first, second, 3, padding=1),
        ReLU(),
        _pool(pooling),
        Flatten(),
    ]
    return Sequential(*features, *_head(features, shape, hidden, classes, dropout))


def reference_example(shape: Shape, classes: int) -> Sequential:
    """Return the network of the MNIST example in the PyTorch examples repository; its last layer gives logits here."""
    features: list[nn.Module] = [
        Conv2d(shape[0], 32, 3),
        ReLU(),
        Conv2d(32, 64, 3),
        ReLU(),
        MaxPool2d(2),
        Dropout(0.25),
        Flatten(),
    ]
    return Sequential(*features, *_head(features, shape, 128, classes, 0.5))


def fast_network(shape: Shape, classes: int, small: bool) -> Sequential:
    """Return two convolutions and two linear layers, for a training of seconds.

    Args:
        shape: of an image, at least 8 × 8.
        classes: how many.
        small: 16 channels then 32, at every second place if the image is large enough, and 128 units; otherwise those
            of a well-known recipe, 24 then 32, at every place, each halved by a maximum, and 256 units.
    """
    large = min(shape[1:]) >= 16
    features: list[nn.Module]
    if small:
        features = [Conv2d(shape[0], 16, 5, 2 if large else 1), ReLU(), Conv2d(16, 32, 3), MaxPool2d(2), ReLU()]
    else:
        first = [Conv2d(shape[0], 24, 5, padding=0 if large else 2), ReLU(), MaxPool2d(2)]
        features = [*first, Conv2d(24, 32, 3), ReLU(), MaxPool2d(2)]
    features.append(Flatten())
    return Sequential(*features, *_head(features, shape, 128 if small else 256, classes))


def _pool(pooling: type[nn.Module]) -> nn.Module:
    if pooling not in (MaxPool2d, AvgPool2d):
        raise ValueError(f"pooling is {pooling.__name__}, expected MaxPool2d or AvgPool2d")
    return pooling(2)


def _head(
    features: Sequence[nn.Module], shape: Shape, hidden: int, classes: int, dropout: float = 0.0
) -> list[nn.Module]:
    """Return the linear layers that follow; how many features there are is seen on a blank image."""
    whole = Sequential(*features).eval()
    with torch.no_grad():
        n = whole(torch.zeros(1, *shape)).shape[1]
    whole.train()
    return [Linear(n, hidden), ReLU(), *_dropout(dropout), Linear(hidden, classes)]


def _dropout(probability: float) -> list[nn.Module]:
    return [Dropout(probability)] if probability else []
