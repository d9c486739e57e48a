"""An epoch of an MLP on MNIST beside the usual one: DataLoader, ToTensor, torch's layers, loss and Adam.

    python -m benchmarks.mnist --data-root data

55 000 images, in turn in one process. Ours is `fit` on images decoded once into one tensor, its looks at the whole data
left out; the usual one decodes, scales and stacks each image again in each epoch.

Writes benchmarks/results/mnist-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import torch
import tyro
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms  # type: ignore[import-untyped]

from amal.data import Images, Split, default_root, mnist
from amal.functional import cross_entropy
from amal.nn import mlp
from amal.optim import Adam
from amal.training import RunLogbook, TrainingConfig, fit
from amal.training.device import synchronize
from benchmarks.ops import RESULTS, machine
from benchmarks.report import write_report
from benchmarks.timing import compare_told

SETTINGS = {
    "784-512-256-10 in batches of 100, as tme3.classifier": ((512, 256), 100),
    "784-100-10 in batches of 100": ((100,), 100),
    "784-100-10 in batches of 500": ((100,), 500),
}
"""Name -> hidden layers, batch size."""


@dataclass(frozen=True)
class Config:
    """Where MNIST lies, and how often to measure."""

    data_root: Path = field(default_factory=default_root)
    """Folder that holds MNIST/raw with its four files."""
    rounds: int = 5
    """Epochs of each kind, a first one not counted."""


def plain_mlp(hidden: tuple[int, ...]) -> nn.Sequential:
    """Return an MLP for MNIST in torch's own layers."""
    sizes = (784, *hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 10))


def epochs(
    data: Images, root: Path, hidden: tuple[int, ...], batch_size: int, folder: Path
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return an epoch of ours and a usual one, of an MLP with these hidden layers; each tells its seconds."""
    device = data.train.input.device
    config = TrainingConfig(epochs=1, batch_size=batch_size, progress=False, device=str(device))

    def ours() -> float:
        torch.manual_seed(0)
        model = mlp(data.shape, len(data.classes), hidden).to(device)
        logbook = RunLogbook(Path(tempfile.mkdtemp(dir=folder)))
        seconds = fit(model, cross_entropy, data, Adam(model.parameters()), config, logbook).seconds
        logbook.close()
        return seconds

    def theirs() -> float:
        torch.manual_seed(0)
        model = plain_mlp(hidden).to(device)
        optimizer = torch.optim.Adam(model.parameters())
        usual = Subset(datasets.MNIST(root, transform=transforms.ToTensor()), range(len(data.train)))
        started = time.perf_counter()
        for input, target in DataLoader(usual, batch_size, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(input.to(device)), target.to(device)).backward()
            optimizer.step()
        synchronize()
        return time.perf_counter() - started

    return ours, theirs


def main(config: Config) -> None:
    """Measure every setting."""
    images = mnist(config.data_root)
    one = Split(images.test.input[:1], images.test.target[:1])
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        data = replace(images, validation=one, test=one).to(device)
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for name, (hidden, batch_size) in SETTINGS.items():
                pair = epochs(data, config.data_root, hidden, batch_size, Path(folder))
                rows.append({"name": name, "epoch": compare_told(*pair, rounds=config.rounds)._asdict()})
        result = {**machine(device), "rows": rows}
        (RESULTS / f"mnist-{device}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    write_report(RESULTS)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
