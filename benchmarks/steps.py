"""One training step of the course's heavy networks beside the same network on torch.nn.

    python -m benchmarks.steps

Forward, loss, backward and Adam, in turn in one process, with the share of the machine's rates that ours reaches
(benchmarks/roofline.py), and the most memory that a step takes beside torch's.

Writes benchmarks/results/steps-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from amal import functional, optim
from amal.nn import Autoencoder, SiLU, highway_network, mlp
from benchmarks.mnist import plain_mlp
from benchmarks.ops import RESULTS, machine
from benchmarks.report import write_report
from benchmarks.roofline import line, rates, work_of
from benchmarks.timing import compare

MNIST = (1, 28, 28)


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
        """Return H T + x (1 - T)."""
        gate = self.gate(input).sigmoid()
        return self.transform(input).relu() * gate + input * (1 - gate)


def plain_highway() -> nn.Module:
    """Return the highway classifier in torch's layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), *(PlainHighway(100) for _ in range(10)), nn.Linear(100, 10)
    )


Loss = Callable[[Any, Tensor, Tensor], Tensor]


def of_pixels(on: Any, output: Tensor, target: Tensor) -> Tensor:
    """Return the squared error of reconstructed pixels."""
    return on.mse_loss(on.sigmoid(output), target)  # type: ignore[no-any-return]


def of_classes(on: Any, output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy."""
    return on.cross_entropy(output, target)  # type: ignore[no-any-return]


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], Loss, int]] = {
    "MLP 784-512-256-10, batch of 100": (
        lambda: mlp(MNIST, 10, (512, 256)),
        lambda: plain_mlp((512, 256)),
        of_classes,
        100,
    ),
    "tied autoencoder 784-500-100-30, batch of 100": (
        lambda: Autoencoder(MNIST, (500, 100, 30), None, None, SiLU),
        lambda: PlainTied((500, 100, 30)),
        of_pixels,
        100,
    ),
    "tied autoencoder 784-500-100-30, batch of 1000": (
        lambda: Autoencoder(MNIST, (500, 100, 30), None, None, SiLU),
        lambda: PlainTied((500, 100, 30)),
        of_pixels,
        1000,
    ),
    "highway classifier, 10 layers of 100, batch of 100": (
        lambda: highway_network(MNIST, 10, 100, 11),
        plain_highway,
        of_classes,
        100,
    ),
    "highway classifier, 10 layers of 100, batch of 1000": (
        lambda: highway_network(MNIST, 10, 100, 11),
        plain_highway,
        of_classes,
        1000,
    ),
}
"""Name -> ours, the same on torch.nn, the loss, the batch size."""


def step_of(model: nn.Module, on: Any, loss: Loss, input: Tensor, target: Tensor) -> Callable[[], None]:
    """Return one step: forward, loss, backward, Adam; `on` is amal.functional or torch's."""
    optimizer = (optim if on is functional else torch.optim).Adam(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        loss(on, model(input), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def main() -> None:
    """Measure every network."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        rows = []
        for name, (make, plain, loss, batch_size) in NETWORKS.items():
            input = torch.rand(batch_size, *MNIST, device=device)
            ours, theirs = make().to(device), plain().to(device)
            target = input if loss is of_pixels else torch.arange(batch_size, device=device) % 10
            our_step = step_of(ours, functional, loss, input, target)
            their_step = step_of(theirs, nn.functional, loss, input, target)
            ratio = compare(our_step, their_step, seconds=5.0)
            rows.append(
                {
                    "name": name,
                    "step": ratio._asdict(),
                    "parameters": [sum(p.numel() for p in of.parameters()) for of in (ours, theirs)],
                    "roofline": line(work_of(our_step), ratio.ours, device),
                }
            )
        result = {**machine(device), "rates": rates(device)._asdict(), "threads": torch.get_num_threads(), "rows": rows}
        (RESULTS / f"steps-{device}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    write_report(RESULTS)


if __name__ == "__main__":
    main()
