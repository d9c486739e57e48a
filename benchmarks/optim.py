"""The optimisers beside torch's, in its fastest form on many tensors (foreach): time of a step, as a ratio.

    python -m benchmarks.optim

Writes benchmarks/results/optim-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

from itertools import pairwise
from typing import Any

import torch
from tqdm import tqdm

from amal import optim
from benchmarks.report import write
from benchmarks.roofline import roofline
from benchmarks.timing import compare, devices

NETWORKS = {
    "MNIST MLP, 784-100-10": (784, 100, 10),
    "autoencoder, 784-500-100-30 and back": (784, 500, 100, 30, 100, 500, 784),
    "30 layers of 40": (40,) * 31,
}
OPTIMISERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "weight_decay": 1e-4}),
    ("Adadelta", {}),
)


def parameters(widths: tuple[int, ...], device: str) -> list[torch.Tensor]:
    """Return the weights and biases of a network of these widths, with gradients."""
    shapes = [shape for fan_in, fan_out in pairwise(widths) for shape in ((fan_out, fan_in), (fan_out,))]
    tensors = [torch.randn(shape, device=device, requires_grad=True) for shape in shapes]
    for tensor in tensors:
        tensor.grad = torch.randn_like(tensor)
    return tensors


def main() -> None:
    """Measure every optimiser on every network."""
    for device in devices():
        rows = []
        for network, widths in tqdm(NETWORKS.items(), desc=device):
            for name, options in OPTIMISERS:
                ours = getattr(optim, name)(parameters(widths, device), **options)
                theirs = getattr(torch.optim, name)(parameters(widths, device), foreach=True, **options)
                ratio = compare(ours.step, theirs.step)
                called = f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})"
                about = {"name": f"{called}, {network}", "optimiser": called, "network": network}
                rows.append(about | {"step": ratio._asdict()} | roofline(ours.step, ratio.ours, device))
        write("optim", device, {"rows": rows})


if __name__ == "__main__":
    main()
