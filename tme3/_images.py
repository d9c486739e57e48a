"""What the experiments on images share: which images, how a classifier is trained on them, and what is looked at."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.optimizer import Optimizer

from amal.data import Images, digits, fashion_mnist, mnist, usps
from amal.functional import cross_entropy
from amal.optim import Adam
from amal.report import confusion_matrix, image_grid
from amal.training import (
    Checkpoints,
    Logbook,
    Progress,
    Row,
    TrainingConfig,
    choose_device,
    fit,
    is_milestone,
    log_weights,
    steps_per_epoch,
)

WARM_UP = 0.2
"""Share of the steps in which the learning rate rises."""
SHOWN = 1000
"""Examples of the test set that the projector gets."""


@dataclass(frozen=True)
class ImageConfig:
    """Which images, and where they lie."""

    dataset: Literal["digits", "usps", "mnist", "fashion-mnist"] = "digits"
    """digits (8×8, embedded in scikit-learn), or usps (16×16), mnist, fashion-mnist (28×28) from their files."""
    data_root: Path = field(default_factory=lambda: Path(os.environ.get("AMAL_DATA", "data")))
    """Folder with the data files, or to download them to. Default: $AMAL_DATA if that is set, else data."""

    def load(self, seed: int, device: str) -> Images:
        """Return the images, decoded once, on a device."""
        if self.dataset == "digits":
            images = digits(seed)
        else:
            images = {"usps": usps, "mnist": mnist, "fashion-mnist": fashion_mnist}[self.dataset](self.data_root, seed)
        return images.to(choose_device(device))


def accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the share of the images whose class has the greatest logit."""
    return (logits.argmax(1) == target).double().mean()


def one_cycle(optimizer: Optimizer, steps: int) -> LambdaLR:
    """Let the learning rate rise from almost 0, then fall to 0, each in a straight line.

    Source: Smith and Topin, Super-Convergence, 2018.
    """
    peak = max(1.0, WARM_UP * steps)
    return LambdaLR(optimizer, lambda step: max(0.0, min((step + 1) / (peak + 1), (steps - step) / (steps - peak + 1))))


def train_classifier(
    model: nn.Module,
    data: Images,
    config: TrainingConfig,
    logbook: Logbook,
    name: str,
    observe: Callable[[Row], None] | None = None,
    *,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
    pictures: Tensor | None = None,
) -> Progress:
    """Fit a classifier; write curves, graph, and what it gets wrong.

    Args:
        model: gives logits; changed in place, on the device of the data.
        data: images and their classes.
        config: `lr` is the greatest learning rate.
        logbook: of this run alone.
        name: of the progress bar.
        observe: called after each look at the data, besides.
        optimizer: of the model's parameters; None for Adam, with a learning rate of one cycle.
        scheduler: of that optimizer's learning rate, stepped after every update; None for one that stays.
        pictures: what to show of the test set; None for what the model is given.
    """
    for metric in ("loss", "accuracy"):
        logbook.chart(metric, [f"{metric}/{part}" for part in ("train", "validation", "test")])
    logbook.graph(model, data.train.input[:2])
    if optimizer is None:
        optimizer = Adam(model.parameters(), config.lr)
        scheduler = one_cycle(optimizer, config.epochs * steps_per_epoch(data.train, config.batch_size))

    def look(row: Row) -> None:
        if is_milestone(row["epoch"], config.epochs):
            log_weights(logbook, model, int(row["step"]))
        if observe:
            observe(row)

    done = fit(
        model,
        cross_entropy,
        data,
        optimizer,
        config,
        logbook,
        Checkpoints(logbook.folder / "checkpoints"),
        metrics={"accuracy": accuracy},
        scheduler=scheduler,
        observe=look,
        name=name,
    )
    show_errors(logbook, model, data, done.step, pictures)
    return done


@torch.no_grad()
def show_errors(logbook: Logbook, model: nn.Module, data: Images, step: int, pictures: Tensor | None = None) -> None:
    """Write what a trained classifier takes for what: confusions, worst errors, curves, and a map of the test set."""
    model.eval()
    input, target = data.test.input, data.test.target
    pictures = input if pictures is None else pictures
    probabilities = torch.cat([model(part) for part in input.split(1000)]).softmax(1)  # type: ignore[no-untyped-call]
    predicted = probabilities.argmax(1)
    right = float((predicted == target).double().mean())
    title = f"{data.name}, test set: {right:.2%} right"
    logbook.figure("errors/confusion", confusion_matrix(target, predicted, data.classes, title), step)
    of_truth = probabilities.gather(1, target.unsqueeze(1)).squeeze(1)
    worst = of_truth.argsort()[:24]
    captions = [
        f"{data.classes[target[i]]}, not {data.classes[predicted[i]]}" if predicted[i] != target[i] else "right"
        for i in worst
    ]
    title = f"{data.name}, test set: the least probable of the right answers"
    logbook.figure("errors/worst", image_grid(pictures[worst], captions, title), step)
    for number, label in enumerate(data.classes):
        logbook.pr_curve(f"precision and recall/{label}", target == number, probabilities[:, number], step)
    last_hidden: list[Tensor] = []
    layers = [module for module in model.modules() if not list(module.children())]
    handle = layers[-1].register_forward_pre_hook(lambda _, inputs: last_hidden.append(inputs[0]))
    model(input[:SHOWN])
    handle.remove()
    logbook.embedding(last_hidden[0], [data.classes[number] for number in target[:SHOWN]], 1 - pictures[:SHOWN])


def seeded(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    """Return the model that `make` makes with the initial weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
