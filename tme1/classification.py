"""Experiment 1.5: a linear classifier finds the frontier between two gaussians.

Reported: 100 % (R-c ch. 2, R-e 1.3.2).

Linear(2, 1) and the mean squared error to the labels ±1; the class is the sign of the output. The frontier is the line
where the output is 0, and it can be watched turning into place.

    python -m tme1.classification
    python -m tme1.classification --dataset four-gaussians    (no line separates these)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from amal.data import Batches, Split, Splits, checkerboard, four_gaussians, two_gaussians
from amal.functional import mse_loss
from amal.nn import Linear
from amal.report import decision_frontier
from amal.training import (
    Logbook,
    Outcome,
    TrainingConfig,
    choose_device,
    descend,
    evaluate,
    is_milestone,
    launch,
    log_weights,
    require,
)

DATASETS: dict[str, Callable[..., Splits]] = {
    "two-gaussians": two_gaussians,
    "four-gaussians": four_gaussians,
    "checkerboard": checkerboard,
}


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Mini-batch descent on 1000 points."""

    dataset: str = "two-gaussians"
    """One of two-gaussians, four-gaussians, checkerboard."""
    epochs: int = 30
    """Passes over the training set."""
    batch_size: int | None = 50
    """Examples per step; None for the whole training set at once."""
    lr: float = 0.02
    """Learning rate (the sheet's ε): how far a step goes against the gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dataset in DATASETS, f"--dataset {self.dataset}: expected one of {', '.join(DATASETS)}")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the classifier and draw its frontier as it moves."""
    data = DATASETS[config.dataset](seed=config.seed).to(choose_device(config.device))
    model = Linear(2, 1).to(data.train.input.device)
    logbook.chart("loss", ["loss/train", "loss/test"])
    logbook.chart("accuracy", ["accuracy/train", "accuracy/test"])
    observe(0, model, data, logbook)
    batches = Batches(data.train, config.batch_size, config.seed)
    for epoch in descend(model, mse_loss, batches, config, logbook, config.dataset):
        observe(epoch, model, data, logbook, draw=is_milestone(epoch, config.epochs))
    train, test = accuracy(model, data.train), accuracy(model, data.test)
    return Outcome(f"{test:.1%} on test, {train:.1%} on train", {"accuracy_train": train, "accuracy_test": test})


def observe(epoch: int, model: Linear, data: Splits, logbook: Logbook, draw: bool = True) -> None:
    """Write down loss and accuracy, and now and then the weights and a picture of the frontier."""
    for part, split in (("train", data.train), ("test", data.test)):
        logbook.scalar(f"loss/{part}", evaluate(model, mse_loss, split.input, split.target), epoch)
        logbook.scalar(f"accuracy/{part}", accuracy(model, split), epoch)
    if draw:
        log_weights(logbook, model, epoch)
        title = f"Test set, epoch {epoch}: {accuracy(model, data.test):.1%} right"
        logbook.figure("frontier", decision_frontier(data.test.input, data.test.target, model, title), epoch)


@torch.no_grad()
def accuracy(model: Linear, split: Split) -> float:
    """Return the share of a split that is on the right side of the frontier; an output of 0 is on neither."""
    return (model(split.input).sign() == split.target).double().mean().item()


if __name__ == "__main__":
    launch(run)
