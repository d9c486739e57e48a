"""An epoch of the course's networks on MNIST beside the usual one, with a DataLoader and torch's layers.

    python -m benchmarks.epoch --data-root data

55 000 images, in turn in one process, in batches of the same size. Ours is `fit` on images decoded and normalised once
into one tensor, its looks at the whole data left out; the usual one has the input pipeline of the PyTorch example,
which decodes, scales, normalises and stacks each image again in each epoch.

Writes benchmarks/results/epoch-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import tyro
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms  # type: ignore[import-untyped]

from amal import functional
from amal.data import Split, Splits, default_root, mnist
from amal.optim import Adam
from amal.runs import RunLogbook
from amal.training import TrainingConfig, fit
from amal.training.device import synchronize
from benchmarks.networks import NETWORKS, Network, step_of
from benchmarks.report import write
from benchmarks.roofline import Work, roofline, work_of
from benchmarks.timing import compare_told, devices

MEAN, DEVIATION = 0.1307, 0.3081
"""Of the pixels of MNIST, as the PyTorch example has them."""
SETTINGS = (
    ("MLP 784-100-10", 100),
    ("MLP 784-100-10", 500),
    ("MLP 784-512-256-10", 100),
    ("tied autoencoder 784-500-100-30", 100),
    ("highway classifier, 10 layers of 100", 100),
)
"""Network, batch size."""


@dataclass(frozen=True)
class Config:
    """Where MNIST lies, and how often to measure."""

    data_root: Path = field(default_factory=default_root)
    """Folder that holds MNIST/raw with its four files."""
    rounds: int = 5
    """Epochs of each kind, a first one not counted."""


def usual_images(root: Path) -> datasets.MNIST:
    """Return the training images as the PyTorch example prepares them, each time one is asked for."""
    prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (DEVIATION,))])
    return datasets.MNIST(root, transform=prepare)


def epochs(
    train: Split, root: Path, network: Network, batch_size: int, folder: Path
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return an epoch of ours on normalised images and a usual one; each tells its seconds."""
    device = train.input.device
    config = TrainingConfig(epochs=1, batch_size=batch_size, progress=False, device=str(device))
    wanted = Split(train.input, network.target(train.input, train.target))
    one = Split(wanted.input[:1], wanted.target[:1])

    def ours() -> float:
        torch.manual_seed(0)
        model = network.ours().to(device)
        logbook = RunLogbook(Path(tempfile.mkdtemp(dir=folder)))
        loss = partial(network.loss, functional)
        seconds = fit(model, loss, Splits(wanted, one, one), Adam(model.parameters()), config, logbook).seconds
        logbook.close()
        return seconds

    def theirs() -> float:
        torch.manual_seed(0)
        model = network.theirs().to(device)
        optimizer = torch.optim.Adam(model.parameters())
        usual = Subset(usual_images(root), range(len(train)))
        started = time.perf_counter()
        for input, classes in DataLoader(usual, batch_size, shuffle=True):
            images = input.to(device)
            optimizer.zero_grad()
            network.loss(nn.functional, model(images), network.target(images, classes.to(device))).backward()
            optimizer.step()
        synchronize()
        return time.perf_counter() - started

    return ours, theirs


def asked(train: Split, network: Network, batch_size: int) -> Work:
    """Return what the steps of an epoch ask of the machine."""
    input, classes = train.input[:batch_size], train.target[:batch_size]
    model = network.ours().to(input.device)
    step = step_of(model, functional, network.loss, input, network.target(input, classes))
    return work_of(step).times(len(train) / batch_size)


def main(config: Config) -> None:
    """Measure every setting."""
    images = mnist(config.data_root).train
    images = Split((images.input - MEAN) / DEVIATION, images.target)
    for device in devices():
        train, rows = images.to(device), []
        with tempfile.TemporaryDirectory() as folder:
            for name, batch_size in SETTINGS:
                network = NETWORKS[name]
                pair = epochs(train, config.data_root, network, batch_size, Path(folder))
                measured = compare_told(*pair, rounds=config.rounds)
                about = {"name": f"{name}, batches of {batch_size}", "epoch": measured._asdict()}
                rows.append(about | roofline(asked(train, network, batch_size), measured.ours, device))
        write("epoch", device, {"rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
