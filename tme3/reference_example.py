"""Experiment 3.19: the MNIST network of the PyTorch examples, and what each of its parts is good for.

Reported: about 99 % after 14 epochs, the default of the PyTorch examples (R-d Q1).

Two convolutions, a maximum, dropout, two linear layers; pixels shifted and scaled to mean 0 and deviation 1; Adadelta,
whose learning rate falls to 70 % after each epoch; batches of 64. Then the same with one part left out.

In TensorBoard: Custom scalars, the loss: train against test, with dropout and without; Time series, `learning rate`,
a staircase; HParams, what each part is good for; Images, `errors/worst`.

    python -m tme3.reference_example
    python -m tme3.reference_example --dataset mnist --data-root data --everything --variants "the example"
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from amal.data import Split
from amal.errors import did_you_mean
from amal.nn import Dropout, Sequential, reference_example
from amal.optim import SGD, Adadelta
from amal.plots import training_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, Progress, TrainingConfig, require, require_positive, steps_per_epoch
from tme3._images import ImageConfig, seeded, train_classifier

VARIANTS = {
    "the example": "all of it",
    "without dropout": "nothing is left out at random",
    "without standardised pixels": "they stay in [0, 1]",
    "without the schedule": "the learning rate stays",
    "with SGD": "plain gradient descent, learning rate 0.1, instead of Adadelta",
}


@dataclass(frozen=True)
class Config(TrainingConfig, ImageConfig):
    """The settings of the example."""

    epochs: int = 14
    """Passes over the training set."""
    batch_size: int | None = 64
    """Images per step; None for the whole training set at once."""
    lr: float = 1.0
    """Adadelta's learning rate in the first epoch."""
    gamma: float = 0.7
    """Factor of the learning rate after each epoch."""
    everything: bool = False
    """Learn from the validation images too, as the example does, which keeps none; then they say nothing."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """Some of "the example", "without dropout", "without standardised pixels", "without the schedule", "with SGD"."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "gamma")
        for name in self.variants:
            hint = did_you_mean(name, VARIANTS)
            require(name in VARIANTS, f"--variants {name}{hint}: expected some of {'; '.join(VARIANTS)}")


class Standardize(nn.Module):
    """(x − mean) / deviation, by two numbers that are not trained."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", images.mean())
        self.register_buffer("deviation", images.std())

    def forward(self, input: Tensor) -> Tensor:
        """Shift and scale images of any shape."""
        return (input - self.mean) / self.deviation


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the example, and the example without this and that."""
    data = config.load(config.seed, config.device)
    if config.everything:
        data = replace(data, train=joined(data.train, data.validation))
    pixels = data.train.input
    found: dict[str, Progress] = {}
    for name in config.variants:
        make = network(name, data.shape, len(data.classes), pixels)
        model = seeded(config.seed, make).to(pixels.device)
        optimizer = SGD(model.parameters(), 0.1) if name == "with SGD" else Adadelta(model.parameters(), config.lr)
        gamma = 1.0 if name == "without the schedule" else config.gamma
        each_epoch = StepLR(optimizer, steps_per_epoch(data.train, config.batch_size), gamma)
        book = logbook.child({"variant": name})
        settings = {"variant": name}
        found[name] = train_classifier(
            model, data, config, book, name, settings=settings, optimizer=optimizer, scheduler=each_epoch
        )

    histories = {name: done.history for name, done in found.items()}
    logbook.figure("accuracy", training_curves(histories, "accuracy", f"{data.name}: the example, and parts of it"), 0)
    lines = [f"| {data.name} | | train | validation | test | s |", "|---|---|---|---|---|---|"]
    for name, done in found.items():
        shown = " | ".join(f"{done.last_row[f'accuracy/{part}']:.4f}" for part in ("train", "validation", "test"))
        lines.append(f"| {name} | {VARIANTS[name]} | {shown} | {done.seconds:.1f} |")
    print("\n".join(lines))
    logbook.text("accuracies", "\n".join(lines))
    metrics = {f"{name}_test": done.last_row["accuracy/test"] for name, done in found.items()}
    words = ", ".join(f"{name} {done.last_row['accuracy/test']:.2%}" for name, done in found.items())
    return Outcome(f"{data.name}, test: {words}", metrics)


def joined(one: Split, other: Split) -> Split:
    """Return the examples of two splits as one."""
    return Split(torch.cat([one.input, other.input]), torch.cat([one.target, other.target]))


def network(variant: str, shape: tuple[int, int, int], classes: int, pixels: Tensor) -> Callable[[], nn.Module]:
    """Return what makes the network of a variant; the mean and deviation of `pixels` are its standard."""

    def make() -> nn.Module:
        layers = list(reference_example(shape, classes))
        if variant == "without dropout":
            layers = [layer for layer in layers if not isinstance(layer, Dropout)]
        before = [] if variant == "without standardised pixels" else [Standardize(pixels)]
        return Sequential(*before, *layers)

    return make


if __name__ == "__main__":
    launch(run)
