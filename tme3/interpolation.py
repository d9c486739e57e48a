"""Experiment 3.7: between two classes: images whose codes lie on the way from one code to another.

Reported: pictures from a 2 to a 7, λ from 0.1 to 0.9; both are seen from 0.4 to 0.6 (MNIST, code of 30, R-a TP3).

An autoencoder learns codes. Then the code (1 − λ) z₁ + λ z₂ is decoded, for λ from 0 to 1; below it is drawn what the
same mixture of the pixels looks like. The picture is drawn at each look at the data: in TensorBoard its slider goes
through the training. A second one has what lies halfway between any two classes.

A code is a better place to mix images than their pixels if what lies halfway is an image still. So for pairs of all
classes the distance from what lies halfway to the nearest image of the training set is measured.

In TensorBoard: Images, the slider of `interpolation`, codes above pixels; then `halfway`, between any two classes;
Custom scalars, the mse; Text, the distances.

    python -m tme3.interpolation
    python -m tme3.interpolation --between 3 8 --model 30 --code sigmoid --lr 0.02
    python -m tme3.interpolation --dataset mnist --data-root data --model 500-100-30 --batch-size 100
"""

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from amal.data import Images
from amal.functional import mse_loss, sigmoid
from amal.nn import Autoencoder
from amal.plots import image_rows
from amal.runs import Outcome, launch
from amal.training import Logbook, Row, require
from tme3._codes import Activation, CodeConfig, autoencoder, codes_of, learn_codes, require_models

LAMBDAS = torch.linspace(0, 1, 11)
OF_EACH = 5
"""Images of each class whose mixtures are measured."""


@dataclass(frozen=True)
class Config(CodeConfig):
    """Adam, its learning rate rising and falling once."""

    between: tuple[str, str] = ("2", "7")
    """The two classes."""
    model: str = "100-30"
    """Sizes of the encoder's layers; the last one is the code's."""
    code: Activation = "linear"
    """Non-linearity of the code."""
    evaluate_every: int = 3
    """Epochs from one look at the data, and one picture, to the next."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_models("--model", [self.model])


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train an autoencoder, draw what lies between images, and measure what lies halfway."""
    data = config.load(config.seed, config.device)
    for label in config.between:
        require(label in data.classes, f"--between {label}: expected two of {', '.join(data.classes)}")
    model = autoencoder(config.model, data, config)
    ends = torch.cat([of_class(data, data.classes.index(label), 1) for label in config.between])

    def look(row: Row) -> None:
        model.eval()
        title = f"{data.name}: from {' to '.join(config.between)}, after {row['step']:.0f} steps"
        rows = {"in code": between_codes(model, *ends), "in pixels": mixtures(*ends)}
        columns = [f"{share:.1f}" for share in LAMBDAS.tolist()]
        logbook.figure("interpolation", image_rows(rows, title, columns), int(row["step"]))

    done = learn_codes(model, data, config, logbook, "autoencoder", look)
    draw_halfway(model, data, logbook, done.step)

    first, second = pairs_of_classes(data)
    halfway = {"in code": halfway_in_code(model, first, second), "in pixels": (first + second) / 2}
    distances = {where: to_nearest(images, data.train.input) for where, images in halfway.items()}
    of_real = to_nearest(data.test.input[: len(first)], data.train.input)
    error = done.last_row["mse/test"]
    lines = [
        f"| {data.name}, mean squared distance to the nearest training image | reported | measured |",
        "|---|---|---|",
        f"| of an image of the test set | – | {of_real:.4f} |",
        *(f"| halfway between two classes, {where} | picture | {value:.4f} |" for where, value in distances.items()),
    ]
    print("\n".join(lines))
    logbook.text("halfway", "\n".join(lines))
    words = ", ".join(f"{where} {value:.4f}" for where, value in distances.items())
    measured = f"{data.name}: halfway images to the nearest real one: {words}; of real ones {of_real:.4f}"
    return Outcome(measured, {**distances, "of real ones": of_real, "mse_test": error})


def of_class(data: Images, number: int, count: int) -> Tensor:
    """Return the first images of a class in the test set."""
    return data.test.input[data.test.target == number][:count]


def mixtures(one: Tensor, other: Tensor) -> Tensor:
    """Return (1 − λ) one + λ other for each λ."""
    shares = LAMBDAS.to(one).reshape(-1, *[1] * one.dim())
    return torch.lerp(one.expand(len(shares), *one.shape), other.expand(len(shares), *one.shape), shares)


@torch.no_grad()
def between_codes(model: Autoencoder, one: Tensor, other: Tensor) -> Tensor:
    """Return the images that the mixtures of two images' codes stand for."""
    return sigmoid(model.decode(mixtures(*model.encode(torch.stack([one, other])))))


@torch.no_grad()
def halfway_in_code(model: Autoencoder, first: Tensor, second: Tensor) -> Tensor:
    """Return the images that the means of the codes of pairs of images stand for."""
    return sigmoid(model.decode((codes_of(model, first) + codes_of(model, second)) / 2))


def draw_halfway(model: Autoencoder, data: Images, logbook: Logbook, step: int) -> None:
    """Draw what lies halfway between the codes of images of any two classes."""
    ends = torch.cat([of_class(data, number, 1) for number in range(len(data.classes))])
    rows = {
        label: halfway_in_code(model, ends, end.expand_as(ends)) for label, end in zip(data.classes, ends, strict=True)
    }
    title = f"{data.name}: halfway between the codes of any two classes"
    logbook.figure("halfway", image_rows(rows, title, data.classes), step)


def pairs_of_classes(data: Images) -> tuple[Tensor, Tensor]:
    """Return images of the test set and as many partners of other classes: some of every pair of classes."""
    examples = [of_class(data, number, OF_EACH) for number in range(len(data.classes))]
    first, second = zip(*combinations(examples, 2), strict=True)
    return torch.cat(first), torch.cat(second)


@torch.no_grad()
def to_nearest(images: Tensor, real: Tensor) -> float:
    """Return the mean squared distance of a pixel from each image to the nearest of the real ones, on average."""
    distances = torch.cdist(images.flatten(1), real.flatten(1))
    nearest = real[distances.argmin(1)]
    return float(mse_loss(images, nearest))


if __name__ == "__main__":
    launch(run)
