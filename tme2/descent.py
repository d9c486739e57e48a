"""Experiment 2.1: batch, stochastic and mini-batch gradient descent.

Reported: each kind needs its own ε; mini-batch is the fastest (R-b 2.1, R-a TP2).

One linear layer and the mean squared error. The gradient now comes from autograd; the update of the parameters does
not belong to the graph, so it is made outside of it, in `Descent`. The three kinds differ in how many examples they
look at before each update: all, one, or a few.

In TensorBoard: Images, the three kinds against epochs, updates and seconds; Custom scalars, the loss; Time series,
`loss/step`, smooth for batch descent and jagged for the others, and `gradient/norm`; HParams, what each kind took.

    python -m tme2.descent
    python -m tme2.descent --dataset boston --data-root data
"""

from dataclasses import dataclass, replace

import torch

from amal.data import Splits
from amal.functional import mse_loss
from amal.nn import Linear
from amal.plots import training_curves
from amal.runs import Outcome, launch
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
    require_positive,
)
from tme2._tables import TableConfig


@dataclass(frozen=True)
class Config(TrainingConfig, TableConfig):
    """Each kind of descent for as many epochs, with a learning rate of its own."""

    epochs: int = 50
    """Passes over the training set."""
    batch_size: int | None = 32
    """Examples per update of mini-batch descent."""
    lr: float = 0.02
    """Learning rate (the sheet's ε) of mini-batch descent."""
    batch_lr: float = 0.1
    """Learning rate of batch descent, which looks at all examples before each update."""
    stochastic_lr: float = 0.001
    """Learning rate of stochastic descent, which looks at one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "batch_lr", "stochastic_lr")

    def kinds(self) -> dict[str, "Config"]:
        """Return the settings of each kind."""
        return {
            "batch": replace(self, batch_size=None, lr=self.batch_lr),
            "stochastic": replace(self, batch_size=1, lr=self.stochastic_lr),
            "mini-batch": self,
        }


class Descent(torch.optim.Optimizer):
    """θ ← θ - ε ∂C/∂θ, written out."""

    def __init__(self, parameters, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()  # the update is no part of the function whose gradient is taken
    def step(self) -> None:
        """Move every parameter against its gradient, in place."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad


def run(config: Config, logbook: Logbook) -> Outcome:
    """Descend three times, and compare."""
    data = config.load(config.seed).to(choose_device(config.device))
    print(retained_gradient(data))
    done = {name: descend(name, data, kind, logbook.child({"descent": name})) for name, kind in config.kinds().items()}

    histories = {name: progress.history for name, progress in done.items()}
    title = f"{config.dataset}: the same loss falls in few updates, or in few seconds"
    logbook.figure("three kinds of descent", training_curves(histories, "loss", title, log=True), 0)
    metrics = {f"{name}_{key}": value for name, rows in histories.items() for key, value in summary(rows).items()}
    words = [
        f"{name} (ε {kind.lr:g}) {metrics[f'{name}_updates']:.0f} updates or {metrics[f'{name}_epochs']:.0f} epochs or "
        f"{metrics[f'{name}_seconds']:.2f} s, test loss {metrics[f'{name}_loss_test']:.3f}"
        for name, kind in config.kinds().items()
    ]
    return Outcome(f"to within 5 % of the least train loss: {'; '.join(words)}", metrics)


def retained_gradient(data: Splits) -> str:
    """Say what `retain_grad` shows: autograd keeps gradients of leaves only, unless it is asked for others."""
    layer = Linear(data.train.input.shape[1], 1).to(data.train.input.device)
    prediction = layer(data.train.input)
    prediction.retain_grad()
    mse_loss(prediction, data.train.target).backward()
    by_hand = 2 * (prediction.detach() - data.train.target) / len(prediction)
    difference = float((prediction.grad - by_hand).abs().max())
    return f"∂C/∂ŷ, kept by retain_grad, and 2(ŷ - y)/n by hand differ by {difference:.0e}"


def descend(name: str, data: Splits, config: Config, logbook: Logbook) -> Progress:
    """Fit the linear model by one kind of descent."""
    torch.manual_seed(config.seed)  # every kind starts from the same weights
    model = Linear(data.train.input.shape[1], 1).to(data.train.input.device)
    logbook.graph(model, data.train.input)

    def look(row: Row) -> None:
        if is_milestone(row["epoch"], config.epochs):
            log_weights(logbook, model, row["step"])

    descent = Descent(model.parameters(), config.lr)
    checkpoints = Checkpoints(logbook.folder / "checkpoints")
    done = fit(model, mse_loss, data, descent, config, logbook, checkpoints, observe=look, name=name)
    settings = {"descent": name, "batch_size": config.batch_size or len(data.train), "lr": config.lr}
    logbook.settings(settings, summary(done.history))
    return done


def summary(rows: list[Row]) -> dict[str, float]:
    """Return the last losses, and what it took to come within 5 % of the least training loss."""
    least = min(row["loss/train"] for row in rows)
    near = next(row for row in rows if row["loss/train"] <= 1.05 * least)
    return {
        "loss_train": rows[-1]["loss/train"],
        "loss_test": rows[-1]["loss/test"],
        "epochs": near["epoch"],
        "updates": near["step"],
        "seconds": near["seconds"],
    }


if __name__ == "__main__":
    launch(run)
