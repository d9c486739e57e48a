"""Experiment 2.6: three learning rates on the checkerboard, one of which diverges.

Reported: 1e-1 0.5 / 0.485 (diverges), 1e-2 0.906 / 0.782, 1e-3 0.596 / 0.586 (R-e 3.3.2).

The four-layer tanh network of experiment 2.5, 1500 iterations on 10 batches. A training that ends with more loss than
it began with has diverged, and is called so; that its numbers are still finite is tanh's doing, which bounds them.

In TensorBoard: Custom scalars, the loss of the three on a logarithmic axis, and the accuracy; Images, `frontier` of the
one that diverges; Histograms, its weights: far from 0, where tanh has no slope; HParams, the accuracies.

    python -m tme2.learning_rate
    python -m tme2.learning_rate --lr 0.03 0.01 0.003
"""

from dataclasses import dataclass

from amal.plots import training_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, Member, require, require_positive, require_some
from tme2._checkerboard import BoardConfig, Setting, train
from tme2._classes import compared, mean_history, write_run

REPORTED = {0.1: (0.5, 0.485), 0.01: (0.906, 0.782), 0.001: (0.596, 0.586)}
"""Learning rate -> accuracy on train and test, R-e 3.3.2."""


@dataclass(frozen=True)
class Config(BoardConfig):
    """Several learning rates."""

    lr: tuple[float, ...] = tuple(REPORTED)
    """Learning rates (the sheet's ε), of a loss that is summed over the batch."""
    iterations: int = 1500
    """Passes over the training set."""
    batches: int = 10
    """Updates in each pass."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "lr")
        require(len(self.lr) > 0, "--lr: expected at least one learning rate")
        require_some(self, "iterations")
        require(1 <= self.batches <= 1000, f"--batches {self.batches}: expected 1 to 1000")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train with every learning rate, and say which of them diverge."""
    settings = {f"{lr:g}": Setting(config.iterations, config.batches, lr) for lr in config.lr}
    books = {name: logbook.child({"lr": lr}) for name, lr in zip(settings, config.lr, strict=True)}
    sweep = train(list(settings.values()), config, logbook, [(settings[name], book) for name, book in books.items()])

    runs = {name: mean_history(sweep[setting]) for name, setting in settings.items()}
    for name, rows in runs.items():
        write_run(books[name], rows, {"lr": float(name), "width": config.width})
    for metric in ("loss", "accuracy"):
        title = "Checkerboard, learning rates, mean over seeds"
        curves = {f"ε = {name}": rows for name, rows in runs.items()}
        logbook.figure(metric, training_curves(curves, metric, title, log=metric == "loss"), 0)

    last = {name: rows[-1] for name, rows in runs.items()}
    table = compared(last, {f"{lr:g}": accuracies for lr, accuracies in REPORTED.items()}, "learning rate")
    print(table)
    logbook.text("table", table)
    words, metrics = [], {}
    for name, setting in settings.items():
        diverging = sum(diverges(member) for member in sweep[setting])
        train_accuracy, test_accuracy = last[name]["accuracy/train"], last[name]["accuracy/test"]
        words.append(f"{name} {train_accuracy:.3f} / {test_accuracy:.3f}{verdict(diverging, config.seeds)}")
        metrics |= {f"{name}_train": train_accuracy, f"{name}_test": test_accuracy, f"{name}_diverging": diverging}
    return Outcome(f"train / test, mean of {config.seeds} seeds: {', '.join(words)}", metrics)


def diverges(member: Member) -> bool:
    """Whether a training ended with a loss that is not below its first one."""
    first, *_, last = (row["loss/train"] for row in member.progress.history)
    return not last < first  # nor is NaN


def verdict(diverging: int, seeds: int) -> str:
    """Say how many of the seeds diverge."""
    return {0: "", seeds: " (diverges)"}.get(diverging, f" (diverges on {diverging} of {seeds} seeds)")


if __name__ == "__main__":
    launch(run)
