"""Experiment 3.14: what a code knows: classifiers that see an autoencoder's codes instead of images.

Reported: USPS, 32 hidden units: tanh 0.647 / 0.634, ReLU 0.489 / 0.515 on train / test (R-e 5.2.3).

A tied autoencoder learns to put each image into a code of a few numbers, without being told the classes. Then a
network with one hidden layer learns the classes from the codes alone: with tanh, with ReLU; and, to compare, from as
many principal components, and from the images themselves. What it is given is shifted and scaled to mean 0 and
deviation 1.

    python -m tme3.latent_classifier
    python -m tme3.latent_classifier --dataset usps --data-root data
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from amal.data import Images, Split, Splits
from amal.functional import mse_loss
from amal.nn import Autoencoder, ReLU, Tanh, mlp
from amal.optim import Adam
from amal.report import image_grid, training_curves
from amal.training import (
    Checkpoints,
    Logbook,
    Outcome,
    Progress,
    TrainingConfig,
    fit,
    launch,
    require,
    require_some,
    steps_per_epoch,
)
from tme3._images import ImageConfig, one_cycle, seeded, train_classifier

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"tanh": Tanh, "relu": ReLU}
REPORTED = {"codes, tanh": "0.647 / 0.634", "codes, relu": "0.489 / 0.515"}
Encode = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Config(TrainingConfig, ImageConfig):
    """Adam, its learning rate rising and falling once, for the autoencoder and for each classifier."""

    code: int = 30
    """Numbers in a code."""
    hidden: int = 32
    """Hidden units of a classifier."""
    epochs: int = 30
    """Passes over the training set, of each training."""
    batch_size: int | None = 50
    """Images per step; None for the whole training set at once."""
    lr: float = 0.005
    """The greatest learning rate (the sheet's ε)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "code", "hidden")
        require(self.hidden <= 10_000, f"--hidden {self.hidden}: expected a size from 1 to 10000")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the autoencoder, then a classifier on each kind of what it might be given."""
    data = config.load(config.seed, config.device)
    pixels = data.shape[0] * data.shape[1] * data.shape[2]
    fits = min(pixels, len(data.train)) >= config.code  # principal components there are no more of
    require(fits, f"--code {config.code}: expected at most {min(pixels, len(data.train))}, the pixels or the images")
    autoencoder = seeded(config.seed, lambda: Autoencoder(data.shape, (config.code,))).to(data.train.input.device)
    learn_codes(autoencoder, data, config, logbook.child("autoencoder"))
    given: dict[str, Encode] = {
        "codes": autoencoder.encode,
        "principal components": principal_components(data.train.input, config.code),
        "pixels": lambda input: input.flatten(1),
    }
    found: dict[str, Progress] = {}
    for what, encode in given.items():
        seen = encoded(data, encode)
        for activation, make in ACTIVATIONS.items():
            name = f"{what}, {activation}"
            model = seeded(config.seed, partial(mlp, seen.shape, len(data.classes), (config.hidden,), make))
            book = logbook.child(name)
            found[name] = train_classifier(
                model.to(data.train.input.device), seen, config, book, name, pictures=data.test.input
            )
            results = {f"accuracy_{part}": found[name].last_row[f"accuracy/{part}"] for part in ("train", "test")}
            book.settings({"given": what, "activation": activation, "dataset": config.dataset}, results)

    histories = {name: done.history for name, done in found.items()}
    title = f"{data.name}: {config.code} numbers instead of {pixels}"
    logbook.figure("accuracy", training_curves(histories, "accuracy", title), 0)
    lines = [f"| {title} | reported on USPS, train / test | train | test |", "|---|---|---|---|"]
    metrics = {}
    for name, done in found.items():
        train, test = done.last_row["accuracy/train"], done.last_row["accuracy/test"]
        lines.append(f"| {name} | {REPORTED.get(name, '–')} | {train:.3f} | {test:.3f} |")
        metrics |= {f"{name}_train": train, f"{name}_test": test}
    print("\n".join(lines))
    logbook.text("accuracies", "\n".join(lines))
    words = ", ".join(f"{name} {metrics[f'{name}_train']:.3f} / {metrics[f'{name}_test']:.3f}" for name in found)
    return Outcome(f"{title}, train / test: {words}", metrics)


def learn_codes(model: Autoencoder, data: Images, config: TrainingConfig, logbook: Logbook) -> None:
    """Train an autoencoder on the images, and draw some as their codes keep them."""
    logbook.chart("loss", [f"loss/{part}" for part in ("train", "validation", "test")])
    logbook.graph(model, data.train.input[:2])
    images = Splits(*(Split(part.input, part.input) for part in (data.train, data.validation, data.test)))
    optimizer = Adam(model.parameters(), config.lr)
    scheduler = one_cycle(optimizer, config.epochs * steps_per_epoch(images.train, config.batch_size))
    checkpoints = Checkpoints(logbook.folder / "checkpoints")
    done = fit(
        model, mse_loss, images, optimizer, config, logbook, checkpoints, scheduler=scheduler, name="autoencoder"
    )
    shown = data.test.input[:8]
    with torch.no_grad():
        kept = model(shown)
    captions = [data.classes[number] for number in data.test.target[:8]] + [""] * len(kept)
    title = f"{data.name}, test set: images, and below what their codes keep"
    logbook.figure("reconstructions", image_grid(torch.cat([shown, kept]), captions, title), done.step)


@torch.no_grad()
def encoded(data: Images, encode: Encode) -> Images:
    """Return the images with, in the place of each, its code as a row of pixels; the training set is the standard."""

    def codes(part: Split) -> Tensor:
        return torch.cat([encode(images) for images in part.input.split(1000)])  # type: ignore[no-untyped-call]

    learned = codes(data.train)
    mean, deviation = learned.mean(0), learned.std(0).clamp(min=1e-6)

    def of(part: Split) -> Split:
        return Split(((codes(part) - mean) / deviation)[:, None, None, :], part.target)

    return replace(data, train=of(data.train), validation=of(data.validation), test=of(data.test))


def principal_components(images: Tensor, count: int) -> Encode:
    """Return what projects images to the directions in which these vary most."""
    flat = images.flatten(1)
    mean = flat.mean(0)
    directions = torch.linalg.svd(flat - mean, full_matrices=False).Vh[:count]
    return lambda input: (input.flatten(1) - mean) @ directions.T


if __name__ == "__main__":
    launch(run)
