"""Experiment 2.2: a two-layer tanh regressor, written three ways, against one neuron.

Reported: the test loss does not rise (R-a TP2, R-b 2.2).

Linear → tanh → Linear → mean squared error, first with its parameters in hand, then as a Module with an optimiser, then
as a Sequential: from the same initial weights the three take the same steps, to rounding. Then over several seeds,
each with a cut of the table of its own, against the linear model of experiment 2.1. The weights that are kept are those
of the least validation loss.

In TensorBoard: Custom scalars, the loss: does the one of test rise?; Images, `loss`, two layers beside one;
Histograms, `parameters/0.Linear.weight`: which hidden neurons have found something to do; Graphs, TanhFunction in
between.

    python -m tme2.regressor
    python -m tme2.regressor --dataset boston --data-root data
"""

from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor, nn

from amal.data import Splits
from amal.functional import linear, mse_loss, tanh
from amal.nn import Linear, Sequential
from amal.optim import SGD
from amal.plots import training_curves
from amal.runs import Outcome, launch
from amal.training import (
    Checkpoints,
    Logbook,
    NullLogbook,
    Progress,
    Row,
    TrainingConfig,
    choose_device,
    epoch_batches,
    fit,
    is_milestone,
    log_weights,
    require,
    require_some,
    train_step,
)
from tme2._tables import TableConfig
from tme2.exercise.regressor import Regressor, sequential

SAME_STEPS = 50
"""Updates over which the three ways are compared."""


@dataclass(frozen=True)
class Config(TrainingConfig, TableConfig):
    """Mini-batch descent on several cuts of a table."""

    epochs: int = 200
    """Passes over the training set."""
    batch_size: int | None = 32
    """Examples per update."""
    evaluate_every: int = 2
    """Epochs from one look at the whole training, validation and test sets to the next; milestones apart."""
    lr: float = 0.1
    """Learning rate of the network; the one neuron, which diverges sooner, has a fifth of it."""
    hidden: int = 20
    """Neurons of the hidden layer."""
    seeds: int = 5
    """How many trainings, the first with --seed; their mean is reported."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.hidden <= 10_000, f"--hidden {self.hidden}: expected a size from 1 to 10000")
        require_some(self, "seeds")


def with_parameters_in_hand(start: list[Tensor], data: Splits, config: Config) -> list[float]:
    """Autograd for the gradients, everything else by hand; return the losses."""
    parameters = [parameter.clone().requires_grad_() for parameter in start]
    hidden_weight, hidden_bias, weight, bias = parameters
    losses = []
    for input, target in first_batches(data, config):
        prediction = linear(tanh(linear(input, hidden_weight, hidden_bias)), weight, bias)
        loss = mse_loss(prediction, target)
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                parameter -= config.lr * parameter.grad
                parameter.grad = None
        losses.append(loss.item())
    return losses


def with_an_optimizer(model: nn.Module, start: list[Tensor], data: Splits, config: Config) -> list[float]:
    """Let a Module hold the parameters and an optimiser move them; return the losses."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), start, strict=True):
            parameter.copy_(value)
    optimizer = SGD(model.parameters(), config.lr)
    return [train_step(model, mse_loss, *batch, optimizer).item() for batch in first_batches(data, config)]


def first_batches(data: Splits, config: Config) -> list[tuple[Tensor, Tensor]]:
    """Return the batches of the first updates."""
    batches: list[tuple[Tensor, Tensor]] = []
    for epoch in range(1, config.epochs + 1):
        batches += epoch_batches(data.train, config.batch_size, config.seed, epoch)
    return batches[:SAME_STEPS]


def run(config: Config, logbook: Logbook) -> Outcome:
    """Write the network three ways, then train it and the one neuron on every seed."""
    data = config.load(config.seed).to(choose_device(config.device))
    features = data.train.input.shape[1]
    start = [p.detach().clone() for p in sequential(features, config.hidden).to(data.train.input.device).parameters()]
    losses = {
        "parameters in hand": with_parameters_in_hand(start, data, config),
        "Module": with_an_optimizer(Regressor(features, config.hidden).to(start[0].device), start, data, config),
        "Sequential": with_an_optimizer(sequential(features, config.hidden).to(start[0].device), start, data, config),
    }
    difference = max(abs(a - b) for ways in zip(*losses.values(), strict=True) for a in ways for b in ways)
    print(f"the network written three ways: over {SAME_STEPS} updates the losses differ by at most {difference:.0e}")

    found: dict[str, list[Progress]] = {"two layers": [], "one neuron": []}
    for seed in range(config.seed, config.seed + config.seeds):
        data = config.load(seed).to(choose_device(config.device))
        torch.manual_seed(seed)
        for name, model, lr in (
            ("two layers", sequential(features, config.hidden), config.lr),
            ("one neuron", Sequential(Linear(features, 1)), config.lr / 5),
        ):
            run = {"layers": (len(model) + 1) // 2, "seed": seed}
            book = logbook.child(run) if seed == config.seed else NullLogbook(logbook.folder).child(run)
            found[name].append(train(model, data, replace(config, seed=seed, lr=lr), book))

    title = f"{config.dataset}, seed {config.seed}: two layers and one"
    histories = {name: progress[0].history for name, progress in found.items()}
    logbook.figure("loss", training_curves(histories, "loss", title, log=True), 0)
    metrics = {
        f"{name.replace(' ', '_')}_{part}": fmean(progress.best_row[f"loss/{part}"] for progress in of_all)
        for name, of_all in found.items()
        for part in ("train", "validation", "test")
    }
    words = [f"{name} {metrics[name.replace(' ', '_') + '_test']:.3f}" for name in found]
    metrics["three_ways_difference"] = difference
    unit = f"in units of the target's variance, mean of {config.seeds} seeds"
    return Outcome(f"{config.dataset}, test loss {unit}: {', '.join(words)}", metrics)


def train(model: Sequential, data: Splits, config: Config, logbook: Logbook) -> Progress:
    """Fit one model."""
    model.to(data.train.input.device)
    logbook.graph(model, data.train.input)

    def look(row: Row) -> None:
        if is_milestone(row["epoch"], config.epochs):
            log_weights(logbook, model, row["step"])

    optimizer = SGD(model.parameters(), config.lr)
    checkpoints = Checkpoints(logbook.folder / "checkpoints")
    done = fit(model, mse_loss, data, optimizer, config, logbook, checkpoints, observe=look, name=logbook.folder.name)
    settings = {"layers": (len(model) + 1) // 2, "lr": config.lr, "seed": config.seed}
    logbook.settings(settings, {f"loss_{part}": done.best_row[f"loss/{part}"] for part in ("train", "test")})
    return done


if __name__ == "__main__":
    launch(run)
