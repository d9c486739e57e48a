"""Experiment 3.3: an MLP on images, with checkpoints, to go on with after an interruption.

Reported: curves of accuracy and loss, no figures (R-b 3.3).

Linear → ReLU → Linear → ReLU → Linear and cross-entropy, on the CPU or on CUDA. The training saves itself as it goes:
kill it at any moment, and go on with --resume.

Also 3.2: a multi-layer perceptron on USPS (--dataset usps). Reported: 85.85 % with 256-100-10 and tanh (R-c ch. 5);
0.919 train / 0.892 test (R-e ch. 4).

Also 3.4: accuracy and loss on train and validation, epoch by epoch. Reported: curves, no figures (R-d Q7).

In TensorBoard: Custom scalars, loss and accuracy; Images, `errors/worst`: would you have known?; PR curves, the class
that is hardest; Projector, each image where the last hidden layer puts it; Histograms, the layers; Graphs, the
network.

    python -m tme3.classifier
    python -m tme3.classifier --dataset mnist --data-root data
    python -m tme3.classifier --run-dir runs/mine --resume
"""

from dataclasses import dataclass
from functools import partial

from amal.nn import RandomShift, Sequential, mlp
from amal.runs import Outcome, launch
from amal.training import Logbook, TrainingConfig, require
from tme3._images import ImageConfig, seeded, train_classifier


@dataclass(frozen=True)
class Config(TrainingConfig, ImageConfig):
    """Adam, its learning rate rising and falling once."""

    hidden: tuple[int, ...] = (512, 256)
    """Sizes of the hidden layers."""
    dropout: float = 0.0
    """Probability with which a hidden unit is left out in training."""
    shift: int = 0
    """Pixels by which images are moved at random in training, at most."""
    epochs: int = 20
    """Passes over the training set."""
    batch_size: int | None = 100
    """Images per step; None for the whole training set at once."""
    lr: float = 0.002
    """The greatest learning rate (the sheet's ε)."""
    checkpoint_every: int = 500
    """Steps from one checkpoint to the next; there is one at the end, and one when the run is told to stop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            len(self.hidden) > 0 and all(1 <= size <= 10_000 for size in self.hidden),
            f"--hidden {self.hidden}: expected sizes from 1 to 10000",
        )
        require(0 <= self.dropout < 1, f"--dropout {self.dropout}: expected a probability below 1")
        require(self.shift >= 0, f"--shift {self.shift}: expected 0 pixels or more")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the classifier, and show what it takes for what."""
    data = config.load(config.seed, config.device)
    make = partial(mlp, data.shape, len(data.classes), config.hidden, dropout=config.dropout)
    model = seeded(config.seed, lambda: Sequential(RandomShift(config.shift), *make())).to(data.train.input.device)
    done = train_classifier(model, data, config, logbook, config.dataset)
    train, test = done.last_row["accuracy/train"], done.last_row["accuracy/test"]
    loss = done.last_row["loss/test"]
    return Outcome(
        f"{config.dataset}: {test:.2%} on test, {train:.2%} on train",
        {"accuracy_train": train, "accuracy_test": test, "loss_test": loss},
    )


if __name__ == "__main__":
    launch(run)
