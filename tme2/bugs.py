"""Experiment 2.8: plausible bugs of a training, wrong and right side by side.

Reported: seen in student solutions, without figures: a test set scaled by its own least and greatest values, the last
batch's loss logged as the epoch's.

Every derivative is right here. The bugs lie in what is done with them, with the data, and in the log. Each program is
run beside its right version, from the same seed, on the diabetes data.

In TensorBoard: Time series, one group of charts for each bug, without smoothing: the runs `wrong` and `right`;
Images, what the two made; Text, symptom, cause, and what sees it.

    python -m tme2.bugs
    python -m tme2.bugs --bugs "test set scaled by itself" --seed 1
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import pstdev
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer

from amal.course.bugs import Comparison, Version, run_bugs
from amal.data import Split
from amal.functional import mse_loss
from amal.nn import Linear, Sequential, Tanh
from amal.optim import SGD, Adam
from amal.plots import learning_curves, predicted_against_true
from amal.runs import Outcome, launch
from amal.training import DescentConfig, Logbook, epoch_batches, evaluate, require_positive, require_some, train_step
from tme2._classes import seeded
from tme2._tables import TableConfig

Name = Literal["gradients not zeroed", "test set scaled by itself", "last batch for the epoch"]
BODY_MASS = 2
"""The column of the diabetes data with the body mass index."""


@dataclass(frozen=True)
class Config(DescentConfig):
    """The two-layer network of experiment 2.2 by mini-batch descent; a linear model by Adam where data are scaled."""

    bugs: tuple[Name, ...] = ("gradients not zeroed", "test set scaled by itself", "last batch for the epoch")
    """Which bugs to show."""
    epochs: int = 50
    """Passes over the training set."""
    batch_size: int = 32
    """Examples per update."""
    lr: float = 0.03
    """Learning rate of the network."""
    scaled_lr: float = 0.05
    """Learning rate of the linear model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "scaled_lr")
        require_some(self, "batch_size")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Show every bug beside its right version."""
    return run_bugs({name: BUGS[name] for name in config.bugs}, config, logbook)


def gradients_not_zeroed(config: Config) -> Comparison:
    """Symptom: the loss falls for some epochs, then grows in waves, each higher than the one before.
    Cause: `optimizer.zero_grad()` is missing. backward adds to `.grad` (question 2 says why), so each step follows the
    sum of the gradients of all batches since the first, most of them of parameters long gone: momentum 1, no friction.
    Seen by: `assert all(parameter.grad is None for parameter in model.parameters())` before backward. Not by
    `amal check`: no derivative is wrong.
    """
    # in double precision: the waves make a rounding error of single precision as large as they are
    train = TableConfig().load(config.seed).train.to("cpu", torch.float64)
    versions = []
    for step in (step_without_zero_grad, train_step):
        model = network(config.seed).double()
        descent = epochs(model, SGD(model.parameters(), config.lr), train, config, step)
        losses = [loss_on(model, train) for _ in descent]
        measures = {"loss on train": losses[-1], "greatest loss of an epoch": max(losses)}
        versions.append(Version(measures, {"loss on train": losses}))
    return Comparison(*versions)


def scaled_by_itself(config: Config) -> Comparison:
    """Symptom: the loss on the test set is a little worse, or not at all: it depends on the cut. But the same patient
    is predicted otherwise in other company, and of patients unlike those trained on, such as the heaviest, nearly all
    predictions are too low.
    Cause: the test set is scaled by its own least and greatest values, so that "heavy" means the heaviest of whoever is
    there: what sets a group apart is scaled away. A patient who comes alone is scaled by 0/0.
    Seen by: `assert torch.equal(scale(test[:1]), scale(test)[:1])`: what an example is scaled to may depend on the
    training set only. Not by `amal check`: no derivative is in play.
    """
    data = TableConfig().load(config.seed)
    heaviest = data.test.input[:, BODY_MASS].argsort(descending=True)[: len(data.test) // 3]
    heavy = Split(data.test.input[heaviest], data.test.target[heaviest])
    train = scaled(data.train, standard=data.train)
    model = seeded(config.seed, lambda: Linear(train.input.shape[1], 1))

    pairs = [  # the heaviest, and all: scaled by themselves, then by the training set
        (scaled(heavy, standard=heavy), scaled(data.test, standard=data.test)),
        (scaled(heavy, standard=data.train), scaled(data.test, standard=data.train)),
    ]
    curves: list[dict[str, list[float]]] = [{"loss on the heaviest third": [], "loss on test": []} for _ in pairs]
    for _ in epochs(model, Adam(model.parameters(), config.scaled_lr), train, config, train_step):
        for of_version, tests in zip(curves, pairs, strict=True):
            for losses, test in zip(of_version.values(), tests, strict=True):
                losses.append(loss_on(model, test))

    versions, predictions = [], {}
    names = "wrong: scaled by themselves", "right: by the training set"
    for name, of_version, (apart, among_all) in zip(names, curves, pairs, strict=True):
        with torch.no_grad():
            predictions[name] = model(apart.input)
            moved = float((model(among_all.input)[heaviest] - predictions[name]).abs().max())
        measures = {of: losses[-1] for of, losses in of_version.items()}
        versions.append(Version(measures | {"a prediction moves in other company by": round(moved, 5)}, of_version))
    title = "The heaviest third of the test set"
    picture = partial(predicted_against_true, heavy.target, predictions, title, "progression, standardised")
    return Comparison(*versions, {"heaviest third": picture})


def last_batch_for_the_epoch(config: Config) -> Comparison:
    """Symptom: the curve is jagged and, at its lowest, far below any loss that the model ever had; the best epoch that
    it shows is the one whose last batch was the easiest. The model is the same in both versions, to the bit.
    Cause: `loss.item()` after the loop over the batches is the loss of the last one, and the last one is short: of 265
    examples in batches of 32, it has 9.
    Seen by: `assert counted == len(train)` where the curve is logged, with `counted` the examples behind the number.
    Not by `amal check`: the training is right, and only its log is wrong.
    """
    train = TableConfig().load(config.seed).train
    model = network(config.seed)
    logged: dict[str, list[float]] = {"wrong: of the last batch": [], "right: of all examples": []}
    of_last, of_all = logged.values()
    for losses in epochs(model, SGD(model.parameters(), config.lr), train, config, train_step):
        of_last.append(losses[-1])
        of_all.append(loss_on(model, train))
    versions = [
        Version(
            {"least loss logged": min(losses), "spread of the second half": pstdev(losses[len(losses) // 2 :])},
            {"loss on train": losses},
        )
        for losses in logged.values()
    ]
    return Comparison(
        *versions, {"loss": partial(learning_curves, logged, {}, "One training, two logs", "loss on train")}
    )


def epochs(
    model: nn.Module, optimizer: Optimizer, train: Split, config: Config, step: Callable[..., Tensor]
) -> Iterator[list[float]]:
    """Yield, after each epoch, the losses of its batches."""
    for epoch in range(1, config.epochs + 1):
        batches = epoch_batches(train, config.batch_size, config.seed, epoch)
        yield [step(model, mse_loss, input, target, optimizer).item() for input, target in batches]


def step_without_zero_grad(
    model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], input: Tensor, target: Tensor, optimizer: Optimizer
) -> Tensor:
    """Do what amal.training.train_step does, but for its first line."""
    value = loss(model(input), target)
    value.backward()
    optimizer.step()
    return value.detach()


def scaled(split: Split, standard: Split) -> Split:
    """Scale each column so that it goes from 0 to 1 in the split `standard`."""
    least, greatest = standard.input.amin(0), standard.input.amax(0)
    return Split((split.input - least) / (greatest - least), split.target)


def loss_on(model: nn.Module, split: Split) -> float:
    """Return the mean squared error over every example of a split."""
    return evaluate(model, {"loss": mse_loss}, split)["loss"]


def network(seed: int) -> Sequential:
    """Return the network of experiment 2.2, with the initial weights of a seed."""
    return seeded(seed, lambda: Sequential(Linear(10, 20), Tanh(), Linear(20, 1)))


BUGS: dict[Name, Callable[[Config], Comparison]] = {
    "gradients not zeroed": gradients_not_zeroed,
    "test set scaled by itself": scaled_by_itself,
    "last batch for the epoch": last_batch_for_the_epoch,
}


if __name__ == "__main__":
    launch(run)
