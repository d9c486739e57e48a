"""Experiment 1.3: three linear layers, one on top of the other, on random data.

Reported: the loss converges (R-a TP1).

Autograd now calls the hand-written backward functions by itself. Three affine maps in a row are one affine map, so the
three layers can reach the least-squares loss of a single one on the training set, and no less. The targets are noise:
what is learnt of them helps nobody on the test set.

In TensorBoard: Custom scalars, the loss: train falls, test does not; Images, `loss`, with what one layer reaches;
Histograms, `parameters` and `gradients` of the three layers; Graphs, nothing but LinearFunction.

    python -m tme1.stacked_linear
"""

from dataclasses import dataclass
from itertools import pairwise

import torch

from amal.data import random_regression
from amal.functional import linear, mse_loss
from amal.nn import Linear
from amal.optim import SGD
from amal.plots import learning_curves
from amal.runs import Outcome, launch
from amal.training import (
    Checkpoints,
    Logbook,
    Row,
    TrainingConfig,
    choose_device,
    fit,
    is_milestone,
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

    logbook.graph(model, data.train.input)

    def look(row: Row) -> None:
        if is_milestone(row["epoch"], config.epochs):
            log_weights(logbook, model, row["step"])

    done = fit(
        model,
        mse_loss,
        data,
        SGD(model.parameters(), config.lr),
        config,
        logbook,
        Checkpoints(logbook.folder / "checkpoints"),
        observe=look,
        name=f"{len(layers)} linear layers",
    )
    weight, bias = least_squares(data.train)
    best = mse_loss(linear(data.train.input.cpu().double(), weight, bias), data.train.target.cpu().double()).item()
    title = f"{len(layers)} linear layers can do what one can, and no more"
    curves = {part: [row[f"loss/{part}"] for row in done.history[1:]] for part in ("train", "test")}
    levels = {"one layer, least squares": best}
    logbook.figure("loss", learning_curves(curves, levels, title, "loss"), done.step)
    first, train, test = done.history[0]["loss/train"], done.last_row["loss/train"], done.last_row["loss/test"]
    return Outcome(
        f"train loss {first:.3f} → {train:.4f}, least squares {best:.4f} (test {test:.2f}: noise)",
        {"loss_train_first": first, "loss_train": train, "loss_test": test, "loss_least_squares": best},
    )


if __name__ == "__main__":
    launch(run)
