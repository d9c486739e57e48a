"""Experiment 3.2: from the perceptron to deep networks: what hidden layers and non-linearities are good for.

Reported: USPS 85.85 % with 256-100-10 and tanh (R-c ch. 5); 0.919 train / 0.892 test (R-e ch. 4).

The same images and the same training for each model: a perceptron with several outputs; hidden layers with nothing in
between, which compute what the perceptron computes; then tanh, the sigmoid and ReLU; then one more layer.

Also 3.4: learning curves on train and validation, epoch by epoch. Reported: curves, no figures (R-d Q7).

In TensorBoard: Custom scalars, the loss of train and validation of each model (3.4), then the accuracy; Images,
`errors/confusion` and `errors/worst`; PR curves, one for each class; Projector, the last hidden layer; HParams, the
models.

    python -m tme3.perceptron_to_mlp
    python -m tme3.perceptron_to_mlp --dataset usps --data-root data
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from amal.nn import ReLU, Sigmoid, Tanh, mlp
from amal.plots import training_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, Progress, TrainingConfig, require
from tme3._images import ImageConfig, seeded, train_classifier

REPORTED = {"one hidden layer, tanh": "– / 0.859 (R-c), 0.919 / 0.892 (R-e)"}


@dataclass(frozen=True)
class Config(TrainingConfig, ImageConfig):
    """Adam, its learning rate rising and falling once, for each model."""

    hidden: int = 100
    """Units of a hidden layer."""
    epochs: int = 20
    """Passes over the training set."""
    batch_size: int | None = 50
    """Images per step; None for the whole training set at once."""
    lr: float = 0.003
    """The greatest learning rate (the sheet's ε)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.hidden <= 10_000, f"--hidden {self.hidden}: expected a size from 1 to 10000")

    def models(self) -> dict[str, tuple[tuple[int, ...], Callable[[], nn.Module] | None]]:
        """Return the hidden layers of each model, and the non-linearity after them."""
        one = (self.hidden,)
        return {
            "perceptron": ((), None),
            "two hidden layers, linear": (one * 2, None),
            "one hidden layer, tanh": (one, Tanh),
            "one hidden layer, sigmoid": (one, Sigmoid),
            "one hidden layer, relu": (one, ReLU),
            "two hidden layers, relu": (one * 2, ReLU),
        }


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train each model, and set them side by side."""
    data = config.load(config.seed, config.device)
    found: dict[str, Progress] = {}
    for name, (hidden, activation) in config.models().items():
        model = seeded(config.seed, partial(mlp, data.shape, len(data.classes), hidden, activation))
        book = logbook.child(called(hidden, activation))
        settings = {"model": name, "lr": config.lr}
        found[name] = train_classifier(model.to(data.train.input.device), data, config, book, name, settings=settings)

    histories = {name: done.history for name, done in found.items()}
    logbook.figure("accuracy", training_curves(histories, "accuracy", f"{data.name}: from the perceptron on"), 0)
    validation = {
        name: [row | {"loss/test": row["loss/validation"]} for row in rows] for name, rows in histories.items()
    }
    title = f"{data.name}: learning curves (solid: validation)"
    logbook.figure("learning curves", training_curves(validation, "loss", title, log=True), 0)
    print(table := compared(found))
    logbook.text("accuracies", table)
    best = max(found, key=lambda name: found[name].last_row["accuracy/validation"])
    metrics = {f"{name}_test": done.last_row["accuracy/test"] for name, done in found.items()}
    words = ", ".join(f"{name} {done.last_row['accuracy/test']:.1%}" for name, done in found.items())
    return Outcome(f"{data.name}, test: {words}; best on validation: {best}", metrics)


def called(hidden: tuple[int, ...], activation: Callable[[], nn.Module] | None) -> dict[str, int | str]:
    """Return in what a model differs from the others."""
    kind = activation.__name__.lower() if activation else "linear"
    return {"hidden layers": len(hidden), "activation": kind} if hidden else {"hidden layers": 0}


def compared(found: dict[str, Progress]) -> str:
    """Return the accuracies in Markdown."""
    lines = ["| model | reported on USPS, train / test | train | validation | test |", "|---|---|---|---|---|"]
    for name, done in found.items():
        shown = " | ".join(f"{done.last_row[f'accuracy/{part}']:.3f}" for part in ("train", "validation", "test"))
        lines.append(f"| {name} | {REPORTED.get(name, '–')} | {shown} |")
    return "\n".join(lines)


if __name__ == "__main__":
    launch(run)
