"""Experiment 1.5: a linear classifier finds the frontier between two gaussians.

Reported: 100 % (R-c ch. 2, R-e 1.3.2).

Linear(2, 1) and the mean squared error to the labels ±1; the class is the sign of the output. The frontier is the line
where the output is 0, and it can be watched turning into place.

In TensorBoard: Images, the slider of `frontier`; Custom scalars, the accuracy beside the loss, which goes on falling;
Histograms, `parameters/weight`: two numbers that turn together.

    python -m tme1.classification
    python -m tme1.classification --dataset four-gaussians    # no line separates these
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from amal.data import Splits, checkerboard, four_gaussians, two_gaussians
from amal.errors import did_you_mean
from amal.functional import mse_loss
from amal.nn import Linear
from amal.optim import SGD
from amal.plots import decision_frontier
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
        hint = did_you_mean(self.dataset, DATASETS)
        require(self.dataset in DATASETS, f"--dataset {self.dataset}{hint}: expected one of {', '.join(DATASETS)}")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the classifier and draw its frontier as it moves."""
    data = DATASETS[config.dataset](seed=config.seed).to(choose_device(config.device))
    model = Linear(2, 1).to(data.train.input.device)
    logbook.graph(model, data.train.input)

    def draw(row: Row) -> None:
        if is_milestone(row["epoch"], config.epochs):
            log_weights(logbook, model, row["step"])
            title = f"Test set, epoch {row['epoch']}: {row['accuracy/test']:.1%} right"
            picture = decision_frontier(data.test.input, data.test.target, model, title)
            logbook.figure("frontier", picture, row["step"])

    done = fit(
        model,
        mse_loss,
        data,
        SGD(model.parameters(), config.lr),
        config,
        logbook,
        Checkpoints(logbook.folder / "checkpoints"),
        metrics={"accuracy": accuracy},
        observe=draw,
        name=config.dataset,
    )
    train, test = done.last_row["accuracy/train"], done.last_row["accuracy/test"]
    return Outcome(f"{test:.1%} on test, {train:.1%} on train", {"accuracy_train": train, "accuracy_test": test})


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """Return the share of the examples on the right side of the frontier; an output of 0 is on neither."""
    return (output.sign() == target).double().mean()


if __name__ == "__main__":
    launch(run)
