"""One training step of the course's heavy networks beside the same network on torch.nn.

    python -m benchmarks.steps

Forward, loss, backward and Adam, in turn in one process, and the most memory that a step holds beside what stood before
it.

Writes benchmarks/results/steps-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import torch
from torch import nn

from amal import functional
from benchmarks.networks import MNIST, NETWORKS, step_of
from benchmarks.report import write
from benchmarks.roofline import memory_peak, roofline
from benchmarks.timing import compare, devices

BATCHES = (
    ("MLP 784-512-256-10", 100),
    ("tied autoencoder 784-500-100-30", 100),
    ("tied autoencoder 784-500-100-30", 1000),
    ("highway classifier, 10 layers of 100", 100),
    ("highway classifier, 10 layers of 100", 1000),
)


def main() -> None:
    """Measure every network."""
    for device in devices():
        rows = []
        for name, batch_size in BATCHES:
            network = NETWORKS[name]
            input = torch.rand(batch_size, *MNIST, device=device)
            target = network.target(input, torch.arange(batch_size, device=device) % 10)
            ours = step_of(network.ours().to(device), functional, network.loss, input, target)
            theirs = step_of(network.theirs().to(device), nn.functional, network.loss, input, target)
            ratio = compare(ours, theirs, seconds=5.0)
            peaks = [memory_peak(step, device) for step in (ours, theirs)]
            about = {"name": f"{name}, batch of {batch_size}", "step": ratio._asdict(), "peaks": peaks}
            rows.append(about | roofline(ours, ratio.ours, device))
        write("steps", device, {"rows": rows})


if __name__ == "__main__":
    main()
