"""Experiment 2.7: depth, order and activation on the checkerboard.

Reported: a two-layer network stays at or below 60 %; the shuffle has no effect; tanh is best (R-e 3.3.3).

The network of experiment 2.5, changed in one thing at a time: two layers instead of four, the examples always in the
same order, ReLU instead of tanh (whose learning rate is chosen on validation from a few, for what suits tanh need not
suit it).

In TensorBoard: Custom scalars, the accuracy of the four networks; Images, `frontier` of two layers beside four;
HParams, what one change costs; Graphs, the two depths.

    python -m tme2.depth
    python -m tme2.depth --iterations 300 --relu-lr 0.001
"""

from dataclasses import dataclass, replace

from amal.plots import training_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, require, require_positive, require_some
from tme2._checkerboard import BoardConfig, Setting, train
from tme2._classes import compared, mean_history, write_run

REPORTED = {"four layers": (0.906, 0.782), "two layers": (0.6, 0.6)}
"""Accuracy on train and test, R-e 3.3; of two layers, at most."""


@dataclass(frozen=True)
class Config(BoardConfig):
    """One change at a time."""

    iterations: int = 1500
    """Passes over the training set."""
    batches: int = 10
    """Updates in each pass."""
    lr: float = 0.01
    """Learning rate (the sheet's ε) of the tanh networks, of a loss that is summed over the batch."""
    relu_lr: tuple[float, ...] = (0.01, 0.003, 0.001)
    """Learning rates of the ReLU network, of which the best on validation is shown."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "iterations")
        require(1 <= self.batches <= 1000, f"--batches {self.batches}: expected 1 to 1000")
        require(len(self.relu_lr) > 0, "--relu-lr: expected at least one learning rate")
        require_positive(self, "lr", "relu_lr")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the network and its variants, and compare."""
    usual = Setting(config.iterations, config.batches, config.lr)
    relus = [replace(usual, activation="relu", lr=lr) for lr in config.relu_lr]
    settings = {
        "four layers": usual,
        "two layers": replace(usual, layers=2),
        "not shuffled": replace(usual, shuffle=False),
    }
    books = {
        name: logbook.child({"layers": setting.layers, "shuffle": setting.shuffle})
        for name, setting in settings.items()
    }
    plotted = [(setting, books[name]) for name, setting in settings.items()]
    sweep = train([*settings.values(), *relus], config, logbook, plotted)

    runs = {setting: mean_history(members) for setting, members in sweep.items()}
    best = max(relus, key=lambda setting: runs[setting][-1]["accuracy/validation"])
    settings["ReLU"] = best
    books["ReLU"] = logbook.child({"layers": best.layers, "activation": "relu", "lr": best.lr})
    for name, setting in settings.items():
        shown = {"layers": setting.layers, "activation": setting.activation, "shuffle": setting.shuffle}
        write_run(books[name], runs[setting], shown | {"lr": setting.lr, "width": config.width})
    histories = {name: runs[setting] for name, setting in settings.items()}
    logbook.figure("accuracy", training_curves(histories, "accuracy", "Checkerboard, mean over seeds"), 0)

    last = {name: rows[-1] for name, rows in histories.items()}
    table = compared(last, REPORTED, "network")
    print(table)
    logbook.text("table", table)
    words = [f"{name} {row['accuracy/train']:.3f} / {row['accuracy/test']:.3f}" for name, row in last.items()]
    metrics = {f"{name}_{part}": row[f"accuracy/{part}"] for name, row in last.items() for part in ("train", "test")}
    means = f"train / test, mean of {config.seeds} seeds"
    return Outcome(f"{means}: {', '.join(words)} (lr {best.lr:g})", metrics | {"relu_lr": best.lr})


if __name__ == "__main__":
    launch(run)
