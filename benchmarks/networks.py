"""The course's heavy networks, in amal's layers and in torch's own, for the benchmarks to compare."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from amal import functional, optim
from amal.nn import Autoencoder, SiLU, highway_network, mlp

MNIST = (1, 28, 28)


class Network(NamedTuple):
    """A network, and how it is trained."""

    ours: Callable[[], nn.Module]
    theirs: Callable[[], nn.Module]
    """The same in torch's layers."""
    loss: Callable[[Any, Tensor, Tensor], Tensor]
    """Called with amal.functional or torch's, the output and the target."""

    def target(self, images: Tensor, classes: Tensor) -> Tensor:
        """Return what is to be found: the images again, or their classes."""
        return images if self.loss is of_pixels else classes


class PlainTied(nn.Module):
    """A tied autoencoder as one writes it with torch: each weight is used twice."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        widths = (784, *sizes)
        self.encoder = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.biases = nn.ParameterList(torch.zeros(before) for before in widths[:-1])

    def forward(self, input: Tensor) -> Tensor:
        """Return the logits of pixels."""
        value = input.flatten(1)
        for number, layer in enumerate(self.encoder):
            value = layer(value)
            value = nn.functional.silu(value) if number < len(self.encoder) - 1 else value
        for number in reversed(range(len(self.encoder))):
            value = nn.functional.linear(value, self.encoder[number].weight.T, self.biases[number])
            value = nn.functional.silu(value) if number else value
        return value.reshape(input.shape)


class PlainHighway(nn.Module):
    """A highway layer composed of torch's operations."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform, self.gate = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, input: Tensor) -> Tensor:
        """Return H Z + x (1 - Z)."""
        gate = self.gate(input).sigmoid()
        return self.transform(input).relu() * gate + input * (1 - gate)


def plain_highway() -> nn.Module:
    """Return the highway classifier in torch's layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), *(PlainHighway(100) for _ in range(10)), nn.Linear(100, 10)
    )


def plain_mlp(hidden: tuple[int, ...]) -> nn.Sequential:
    """Return an MLP for MNIST in torch's own layers."""
    sizes = (784, *hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 10))


def of_pixels(on: Any, output: Tensor, target: Tensor) -> Tensor:
    """Return the squared error of reconstructed pixels."""
    return on.mse_loss(on.sigmoid(output), target)  # type: ignore[no-any-return]


def of_classes(on: Any, output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy."""
    return on.cross_entropy(output, target)  # type: ignore[no-any-return]


def _mlp(*hidden: int) -> Network:
    return Network(lambda: mlp(MNIST, 10, hidden), lambda: plain_mlp(hidden), of_classes)


NETWORKS = {
    "MLP 784-100-10": _mlp(100),
    "MLP 784-512-256-10": _mlp(512, 256),
    "tied autoencoder 784-500-100-30": Network(
        lambda: Autoencoder(MNIST, (500, 100, 30), None, None, SiLU), lambda: PlainTied((500, 100, 30)), of_pixels
    ),
    "highway classifier, 10 layers of 100": Network(
        lambda: highway_network(MNIST, 10, 100, 11), plain_highway, of_classes
    ),
}


def step_of(
    model: nn.Module, on: Any, loss: Callable[..., Tensor], input: Tensor, target: Tensor
) -> Callable[[], None]:
    """Return one step: forward, loss, backward, Adam; `on` is amal.functional or torch's."""
    optimizer = (optim if on is functional else torch.optim).Adam(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        loss(on, model(input), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step
