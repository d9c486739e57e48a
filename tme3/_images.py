"""What the experiments on images share: which images, how a classifier is trained on them, and what is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.optimizer import Optimizer

from amal.data import Images, default_root, digits, fashion_mnist, mnist, usps
from amal.functional import cross_entropy
from amal.optim import Adam
from amal.plots import confusion_matrix, image_grid
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
PAIR = ("train", "test")
"""The parts of the data that the documents report of."""
SHOWN = 1000
"""Examples of the test set that the projector gets."""


@dataclass(frozen=True)
class ImageConfig:
    """Which images, and where they lie."""

    dataset: Literal["digits", "usps", "mnist", "fashion-mnist"] = "digits"
    """digits (8×8, embedded in scikit-learn), or usps (16×16), mnist, fashion-mnist (28×28) from their files."""
    data_root: Path = field(default_factory=default_root)
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
    *,
    settings: Mapping[str, Any] | None = None,
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
        settings: what this run was set to, to be written with its accuracies; None for nothing.
        optimizer: of the model's parameters; None for Adam, with a learning rate of one cycle.
        scheduler: of that optimizer's learning rate, stepped after every update; None for one that stays.
        pictures: what to show of the test set; None for what the model is given.
    """
    logbook.graph(model, data.train.input[:2])

    def look(row: Row) -> None:
        if is_milestone(row["epoch"], config.epochs):
            log_weights(logbook, model, int(row["step"]))

    done = fit_classifier(model, data, config, logbook, name, look, optimizer, scheduler)
    show_errors(logbook, model, data, done.step, pictures)
    if settings is not None:
        results = {f"accuracy_{part}": done.last_row[f"accuracy/{part}"] for part in PAIR}
        logbook.settings(settings, results)
    return done


def fit_classifier(
    model: nn.Module,
    data: Images,
    config: TrainingConfig,
    logbook: Logbook,
    name: str,
    observe: Callable[[Row], None],
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
) -> Progress:
    """Fit a classifier and write its curves; the arguments are train_classifier's, and `observe` that of `fit`."""
    if optimizer is None:
        optimizer = Adam(model.parameters(), config.lr)
        scheduler = one_cycle(optimizer, config.epochs * steps_per_epoch(data.train, config.batch_size))
    return fit(
        model,
        cross_entropy,
        data,
        optimizer,
        config,
        logbook,
        Checkpoints(logbook.folder / "checkpoints"),
        metrics={"accuracy": accuracy},
        scheduler=scheduler,
        observe=observe,
        name=name,
    )


def accuracies(found: Mapping[str, Progress]) -> tuple[dict[str, float], str]:
    """Return the accuracies on train and test that trainings ended with, as metrics and in words."""
    metrics = {f"{name}_{part}": done.last_row[f"accuracy/{part}"] for name, done in found.items() for part in PAIR}
    words = ", ".join(f"{name} {metrics[f'{name}_train']:.3f} / {metrics[f'{name}_test']:.3f}" for name in found)
    return metrics, words


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
    captions = [caption(data.classes[target[i]], data.classes[predicted[i]]) for i in worst]
    title = f"{data.name}, test set: the least probable of the right answers"
    logbook.figure("errors/worst", image_grid(pictures[worst], captions, title), step)
    for number, label in enumerate(data.classes):
        logbook.pr_curve(f"precision and recall/class {label}", target == number, probabilities[:, number], step)
    last_hidden: list[Tensor] = []
    layers = [module for module in model.modules() if not list(module.children())]
    handle = layers[-1].register_forward_pre_hook(lambda _, inputs: last_hidden.append(inputs[0]))
    model(input[:SHOWN])
    handle.remove()
    logbook.embedding(last_hidden[0], [data.classes[number] for number in target[:SHOWN]], 1 - pictures[:SHOWN])


def caption(truth: str, answer: str) -> str:
    """Say what an image is, and what it was taken for, if that is something else."""
    return f"is {truth}" if answer == truth else f"is {truth},\nseen as {answer}"


def seeded(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    """Return the model that `make` makes with the initial weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def to_grey(values: Tensor) -> Tensor:
    """Scale images to [0, 1], 0 to the middle, all by one factor: what is twice as dark is twice as much."""
    return 0.5 + values / (2 * values.abs().amax().clamp(min=1e-12))
