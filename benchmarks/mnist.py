"""99 % of MNIST, three ways: the PyTorch example, a well-known recipe of one epoch, and tme3.fast.

    python -m benchmarks.mnist --data-root data

In turn in one process, on the same 60 000 images. The example (32 and 64 channels, dropout, Adadelta whose rate falls
to 70 % after each epoch, batches of 64 by a DataLoader that decodes and scales each image) trains until it first
reaches 99 % on the test set; the recipe (24 and 32 channels, 256 units, batches of 256, Adam with betas 0.7 and 0.9,
OneCycleLR up to 0.01, images in memory) and tme3.fast train as long as they are set to, and their accuracies stand
beside. The first two are torch's own layers, losses and optimisers. Seconds are of training alone.

Writes benchmarks/results/mnist-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import statistics
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch
import tyro
from torch import Tensor, nn
from torch.utils.data import DataLoader

from amal.data import Images, Split, default_root, mnist
from amal.training.device import synchronize
from benchmarks.epoch import DEVIATION, MEAN, usual_images
from benchmarks.report import write
from benchmarks.roofline import Work, roofline, work_of
from benchmarks.timing import devices
from tme3.fast import recipes, test_accuracy, train
from tme3.reference_example import joined

GOAL = 0.99
EXAMPLE, RECIPE, OURS = "the PyTorch example", "the recipe of one epoch", "tme3.fast"
EXAMPLE_BATCH = 64
MOST_EPOCHS = 14


@dataclass(frozen=True)
class Config:
    """Where MNIST lies, and how often to measure."""

    data_root: Path = field(default_factory=default_root)
    """Folder that holds MNIST/raw with its four files."""
    rounds: int = 10
    """Trainings by the recipe and by tme3.fast, in turn, each with another seed."""
    example_rounds: int = 5
    """Of these rounds, those in which the example is trained too: it takes minutes."""
    step: str = "channels last"
    """Which step of tme3.fast."""


class Finish(NamedTuple):
    """What one training came to."""

    seconds: float
    accuracy: float
    epochs: float


def example_network() -> nn.Module:
    """Return the network of the PyTorch example."""
    features = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)]
    head = [nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10), nn.LogSoftmax(1)]
    return nn.Sequential(*features, *head)


def example_step(model: nn.Module, optimizer: torch.optim.Optimizer, input: Tensor, target: Tensor) -> None:
    """Take a step as the PyTorch example does."""
    optimizer.zero_grad()
    nn.functional.nll_loss(model(input), target).backward()
    optimizer.step()


def example(root: Path, test: Split, seed: int) -> Finish:
    """Train the PyTorch example until it first reaches the goal."""
    torch.manual_seed(seed)
    model = example_network().to(test.input.device)
    optimizer = torch.optim.Adadelta(model.parameters(), 1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.7)
    loader = DataLoader(usual_images(root), EXAMPLE_BATCH, shuffle=True)
    looked_at = Split((test.input - MEAN) / DEVIATION, test.target)
    seconds = found = 0.0
    for epoch in range(1, MOST_EPOCHS + 1):
        model.train()
        started = time.perf_counter()
        for input, target in loader:
            example_step(model, optimizer, input.to(test.input.device), target.to(test.input.device))
        schedule.step()
        synchronize()
        seconds += time.perf_counter() - started
        found = test_accuracy(model, looked_at)
        if found >= GOAL:
            return Finish(seconds, found, epoch)
    return Finish(seconds, found, MOST_EPOCHS)


def recipe(data: Images, seed: int) -> Finish:
    """Train one epoch by the well-known recipe."""
    model, seconds = one_epoch(data, seed)
    return Finish(seconds, test_accuracy(model, data.test), 1)


def one_epoch(data: Images, seed: int) -> tuple[nn.Module, float]:
    """Return a network that the recipe has trained, and the seconds that this took."""
    torch.manual_seed(seed)
    features = [nn.Conv2d(1, 24, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(24, 32, 3), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10)]
    input, target = data.train.input, data.train.target
    model = nn.Sequential(*features, *head).to(input.device)
    optimizer = torch.optim.Adam(model.parameters(), 0.01, (0.7, 0.9))
    synchronize()
    started = time.perf_counter()
    orders = torch.randperm(len(input), device=input.device).split(256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, len(orders), cycle_momentum=False)
    for rows in orders:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(input[rows]), target[rows]).backward()
        optimizer.step()
        schedule.step()
    synchronize()
    return model, time.perf_counter() - started


def ours(data: Images, step: str, seed: int) -> Finish:
    """Train by a step of tme3.fast."""
    recipe = recipes()[step]
    trained = train(data, recipe, seed)
    return Finish(trained.seconds, test_accuracy(trained.model, data.test), recipe.epochs)


def asked(data: Images, step: str, epochs: float) -> dict[str, Work]:
    """Return name -> what its training asks of the machine; of the example, in so many epochs."""
    input, target = data.train.input[:EXAMPLE_BATCH], data.train.target[:EXAMPLE_BATCH]
    model = example_network().to(input.device)
    optimizer = torch.optim.Adadelta(model.parameters())
    one = work_of(lambda: example_step(model, optimizer, input, target))
    return {
        EXAMPLE: one.times(epochs * len(data.train) / EXAMPLE_BATCH),
        RECIPE: work_of(lambda: one_epoch(data, 0)),
        OURS: work_of(lambda: train(data, recipes()[step], 0)),
    }


def summary(finishes: list[Finish], ours: list[Finish]) -> dict[str, float]:
    """Return medians, means and extremes over the rounds, and how many times ours each round took."""
    seconds, accuracies = [of.seconds for of in finishes], [of.accuracy for of in finishes]
    times = [of.seconds / in_turn.seconds for of, in_turn in zip(finishes, ours, strict=False)]
    return {
        "rounds": len(finishes),
        "seconds": statistics.median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "times": statistics.median(times),
        "times least": min(times),
        "times most": max(times),
        "accuracy": statistics.mean(accuracies),
        "lowest": min(accuracies),
        "highest": max(accuracies),
        "epochs": statistics.mean(of.epochs for of in finishes),
    }


def main(config: Config) -> None:
    """Race."""
    images = mnist(config.data_root)
    images = replace(images, train=joined(images.train, images.validation))  # nothing is chosen here
    for device in devices()[-1:]:
        data = images.to(device)
        found: dict[str, list[Finish]] = {EXAMPLE: [], RECIPE: [], OURS: []}
        recipe(data, 0), ours(data, config.step, 0)  # once to warm up
        for seed in range(config.rounds):
            found[OURS].append(ours(data, config.step, seed))
            found[RECIPE].append(recipe(data, seed))
            if seed < config.example_rounds:
                found[EXAMPLE].append(example(config.data_root, data.test, seed))
            print(seed, {name: of[-1] for name, of in found.items() if len(of) > seed}, flush=True)
        summaries = {name: summary(of, found[OURS]) for name, of in found.items() if of}
        works = asked(data, config.step, summaries.get(EXAMPLE, {}).get("epochs", 0))
        rows = [{"name": name, **of, **roofline(works[name], of["seconds"], device)} for name, of in summaries.items()]
        write("mnist", device, {"step": config.step, "rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
