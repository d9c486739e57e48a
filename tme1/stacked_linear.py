"""Experiment 1.3: three linear layers, one on top of the other, on random data.

Reported: the loss converges (R-a TP1).

Autograd now calls the hand-written backward functions by itself. Three affine maps in a row are one affine map, so the
three layers can reach the least-squares loss of a single one on the training set, and no less. The targets are noise:
what is learnt of them helps nobody on the test set.

    python -m tme1.stacked_linear
"""

from dataclasses import dataclass
from itertools import pairwise

import torch

from amal.data import Batches, random_regression
from amal.functional import linear, mse_loss
from amal.nn import Linear
from amal.report import learning_curves
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
from tme1._closed_form import least_squares


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Full-batch descent on 50 examples."""

    epochs: int = 1000
    """Passes over the training set."""
    hidden: tuple[int, ...] = (10, 10)
    """Sizes between the layers. Below 3, the size of the output, the product of the layers loses rank."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            all(1 <= size <= 10_000 for size in self.hidden), f"--hidden {self.hidden}: expected sizes from 1 to 10000"
        )


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the stack and compare it with the least squares of a single layer."""
    data = random_regression(seed=config.seed).to(choose_device(config.device))
    sizes = (data.train.input.shape[1], *config.hidden, data.train.target.shape[1])
    layers = [Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(sizes)]
    model = torch.nn.Sequential(*layers).to(data.train.input.device)
    print(model)

    logbook.chart("loss", ["loss/train", "loss/test"])
    curves: dict[str, list[float]] = {"train": [], "test": []}
    batches = Batches(data.train, config.batch_size, config.seed)
    for epoch in descend(model, mse_loss, batches, config, logbook, f"{len(layers)} linear layers"):
        for part, split in (("train", data.train), ("test", data.test)):
            curves[part].append(evaluate(model, mse_loss, split.input, split.target))
            logbook.scalar(f"loss/{part}", curves[part][-1], epoch)
        if is_milestone(epoch, config.epochs):
            log_weights(logbook, model, epoch)

    weight, bias = least_squares(data.train)
    best = mse_loss(linear(data.train.input.cpu().double(), weight, bias), data.train.target.cpu().double()).item()
    title = f"{len(layers)} linear layers can do what one can, and no more"
    logbook.figure("loss", learning_curves(curves, {"one layer, least squares": best}, title, "loss"), config.epochs)
    first, train, test = curves["train"][0], curves["train"][-1], curves["test"][-1]
    return Outcome(
        f"train loss {first:.3f} → {train:.4f}, least squares {best:.4f} (test {test:.2f}: noise)",
        {"loss_train_first": first, "loss_train": train, "loss_test": test, "loss_least_squares": best},
    )


if __name__ == "__main__":
    launch(run)
