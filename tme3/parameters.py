"""Experiment 3.18: how many parameters and multiplications a dense and a convolutional network have.

Reported: no figures; to be computed and explained (R-d ex. 2).

Each layer's numbers come from its formula, and are checked against the module itself: its parameters counted, its
multiplications counted while an image passes through. The dense network has as many layers with parameters as the
convolutional one, and hidden layers as large as its images.

In TensorBoard: Text, `counts`: the layers of each network, its parameters and multiplications; HParams, the totals.

    python -m tme3.parameters
    python -m tme3.parameters --height 28 --width 28
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from amal.nn import Conv1d, Conv2d, Linear, conv1d_network, conv2d_network, lenet, mlp, reference_example
from amal.runs import Outcome, launch
from amal.training import Logbook, RunConfig, require

Counts = list[tuple[str, int, int]]
"""A layer, its parameters, and the multiplications (each with an addition) for one image."""


@dataclass(frozen=True)
class Config(RunConfig):
    """The size of an image; the default is MNIST's."""

    height: int = 28
    """Pixels from top to bottom."""
    width: int = 28
    """Pixels from left to right."""
    classes: int = 10
    """Outputs of each network."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("height", "width"):
            value = getattr(self, name)
            require(8 <= value <= 512, f"--{name} {value}: expected 8 to 512 pixels")
        require(2 <= self.classes <= 10_000, f"--classes {self.classes}: expected 2 to 10000")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Count each network by formula, check the count, and set them side by side."""
    shape = (1, config.height, config.width)
    with torch.device("meta"):  # shapes without numbers: the dense network would take a gigabyte
        return compare(shape, config.classes, logbook)


def compare(shape: tuple[int, int, int], classes: int, logbook: Logbook) -> Outcome:
    """Do so for images of a shape."""
    convolutional = lenet(shape, classes)
    networks = {
        "perceptron": mlp(shape, classes),
        "MLP, 512-256": mlp(shape, classes, (512, 256)),
        "dense, as large as LeNet's images": mlp(shape, classes, as_large(convolutional, shape)),
        "Conv1d": conv1d_network(shape, classes),
        "Conv2d": conv2d_network(shape, classes),
        "LeNet": convolutional,
        "PyTorch example": reference_example(shape, classes),
    }
    totals, lines = {}, []
    for name, network in networks.items():
        layers = by_formula(network, shape)
        parameters, products = sum(layer[1] for layer in layers), sum(layer[2] for layer in layers)
        require(
            (parameters, products) == counted(network, shape),
            f"{name}: the formulas give {parameters} parameters and {products} products, the modules "
            f"{counted(network, shape)}",
        )
        totals[name] = (parameters, products)
        lines += [f"\n**{name}**\n", "| layer | parameters | multiplications |", "|---|--:|--:|"]
        lines += [f"| {layer} | {a:,} | {b:,} |" for layer, a, b in layers]
        lines.append(f"| all | **{parameters:,}** | **{products:,}** |")
    print("\n".join(lines))
    logbook.text("counts", "\n".join(lines))
    dense, conv = totals["dense, as large as LeNet's images"], totals["LeNet"]
    metrics = {f"{name}_parameters": float(a) for name, (a, _) in totals.items()}
    metrics |= {f"{name}_products": float(b) for name, (_, b) in totals.items()}
    return Outcome(
        f"LeNet {conv[0]:,} parameters, {conv[1]:,} multiplications an image; dense of equal depth and width "
        f"{dense[0]:,} and {dense[1]:,}; formulas and modules agree",
        metrics,
    )


def by_formula(network: nn.Sequential, shape: tuple[int, int, int]) -> Counts:
    """Return what each layer has by its formula, which needs the sizes of its output only.

    Linear(n, m): n m + m parameters, n m products. A convolution of c channels with m filters of k entries:
    c k m + m parameters, which do not depend on the size of the image, and c k m products at each place.
    """
    found: Counts = []
    for layer, output in outputs(network, shape):
        if isinstance(layer, Linear):
            n, m = layer.in_features, layer.out_features
            found.append((f"Linear({n}, {m})", n * m + m, n * m))
        elif isinstance(layer, Conv1d | Conv2d):
            c, m, k = layer.in_channels, layer.out_channels, prod(layer.kernel_size)
            window = "×".join(map(str, layer.kernel_size))
            found.append((f"{type(layer).__name__}({c}, {m}, {window})", c * k * m + m, c * k * m * prod(output[1:])))
    return found


def counted(network: nn.Sequential, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Return the entries of the parameters, and the multiplications that torch counts as an image passes through."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2


def outputs(network: nn.Sequential, shape: tuple[int, int, int]) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Return each layer with the shape of what it makes of one image."""
    found, image = [], torch.zeros(1, *shape)
    network.eval()
    with torch.no_grad():
        for layer in network:
            image = layer(image)
            found.append((layer, tuple(image.shape[1:])))
    return found


def as_large(network: nn.Sequential, shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the sizes of what the layers with parameters make of an image, the last one left out."""
    sizes = [prod(size) for layer, size in outputs(network, shape) if isinstance(layer, Linear | Conv1d | Conv2d)]
    return tuple(sizes[:-1])


if __name__ == "__main__":
    launch(run)
