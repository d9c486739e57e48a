"""Experiment 2.5: how often, and on how many batches, to learn the checkerboard.

Reported: best 0.906 train / 0.782 test at 1500 iterations, 10 batches (R-e 3.3.2, table 3.1).

A four-layer tanh network on the 64 cells of a board, in ten settings of (iterations, batches): an iteration is a pass
over the training set, cut into so many batches. All settings and seeds are trained at once. Settings with the same
batches are one training, read after fewer iterations or more: the order of its examples depends on seed and epoch only.

In TensorBoard: HParams, the parallel coordinates of the settings: iterations, batches, accuracy; Custom scalars, the
accuracy: train and test part; Images, the slider of `frontier`: the board appears cell by cell; Text, the table.

    python -m tme2.checkerboard
    python -m tme2.checkerboard --settings 600 10 600 1
"""

from dataclasses import dataclass

from amal.experiments import digits
from amal.plots import training_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, Row, require, require_positive
from tme2._checkerboard import BoardConfig, Setting, train
from tme2._classes import compared, mean_history, write_run

REPORTED = {
    (1500, 10): (0.906, 0.782),
    (2000, 10): (0.930, 0.781),
    (1000, 10): (0.842, 0.753),
    (600, 10): (0.747, 0.702),
    (600, 30): (0.728, 0.682),
    (600, 20): (0.735, 0.674),
    (600, 5): (0.692, 0.661),
    (300, 30): (0.633, 0.628),
    (300, 40): (0.628, 0.626),
    (600, 1): (0.525, 0.523),
}
"""(iterations, batches) -> accuracy on train and test, R-e table 3.1."""


@dataclass(frozen=True)
class Config(BoardConfig):
    """The table of settings."""

    lr: float = 0.01
    """Learning rate (the sheet's ε), of a loss that is summed over the batch."""
    settings: tuple[tuple[int, int], ...] = tuple(REPORTED)
    """Pairs of iterations (passes over the training set) and batches (updates in each pass)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "lr")
        require(len(self.settings) > 0, "--settings: expected at least one pair of iterations and batches")
        for iterations, batches in self.settings:
            possible = iterations >= 1 and 1 <= batches <= 1000
            require(possible, f"--settings {iterations} {batches}: expected iterations from 1, batches from 1 to 1000")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the longest setting of each number of batches, and read the others off it."""
    iterations = {
        batches: sorted(n for n, same in config.settings if same == batches) for _, batches in config.settings
    }
    trained = {batches: Setting(n[-1], batches, config.lr, looks=tuple(n)) for batches, n in iterations.items()}
    books = {setting: logbook.child(named(setting, config)) for setting in config.settings}
    drawn = max(config.settings)
    sweep = train(list(trained.values()), config, logbook, [(trained[drawn[1]], books[drawn])])

    runs: dict[str, list[Row]] = {}
    for (epochs, batches), book in books.items():
        rows = [row for row in mean_history(sweep[trained[batches]]) if row["epoch"] <= epochs]
        write_run(book, rows, {"iterations": epochs, "batches": batches, "lr": config.lr, "width": config.width})
        runs[called(epochs, batches)] = rows
    curves = {
        f"{batches} batch{'es' * (batches > 1)}": mean_history(sweep[setting])
        for batches, setting in sorted(trained.items())
    }
    logbook.figure("accuracy", training_curves(curves, "accuracy", "Checkerboard, mean over seeds"), 0)

    last = {name: rows[-1] for name, rows in runs.items()}
    reported = {called(*setting): accuracies for setting, accuracies in REPORTED.items()}
    table = compared(last, reported, "iterations, batches")
    print(table)
    logbook.text("table", table)
    best = max(last, key=lambda name: last[name]["accuracy/validation"])
    metrics = {f"{name}_{part}": row[f"accuracy/{part}"] for name, row in last.items() for part in ("train", "test")}
    train_best, test_best = last[best]["accuracy/train"], last[best]["accuracy/test"]
    return Outcome(
        f"best of {len(runs)} settings on validation: {best}: {train_best:.3f} train / {test_best:.3f} test "
        f"(mean of {config.seeds} seeds)",
        metrics | {"best_train": train_best, "best_test": test_best},
    )


def named(setting: tuple[int, int], config: Config) -> dict[str, str]:
    """Return in what a setting differs from the others."""
    columns = zip(*config.settings, strict=True)
    numbers = (digits(number, column) for number, column in zip(setting, columns, strict=True))
    return dict(zip(("iterations", "batches"), numbers, strict=True))


def called(iterations: int, batches: int) -> str:
    """Return the name of a setting."""
    return f"{iterations}, {batches}"


if __name__ == "__main__":
    launch(run)
