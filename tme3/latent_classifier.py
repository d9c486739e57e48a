"""Experiment 3.14: what a code knows: classifiers that see an autoencoder's codes instead of images.

Reported: USPS, 32 hidden units: tanh 0.647 / 0.634, ReLU 0.489 / 0.515 on train / test (R-e 5.2.3).

A tied autoencoder learns to put each image into a code of a few numbers, without being told the classes. Then a
network with one hidden layer learns the classes from the codes alone: with tanh, with ReLU; and, to compare, from as
many principal components, and from the images themselves. What it is given is shifted and scaled to mean 0 and
deviation 1.

In TensorBoard: Custom scalars, the accuracy: codes, principal components, pixels; Images, `errors/confusion`: what
codes confuse; Projector, the hidden layer; HParams, what each was given.

    python -m tme3.latent_classifier
    python -m tme3.latent_classifier --dataset usps --data-root data
    python -m tme3.latent_classifier --dataset usps --data-root data --model 200-30 --code linear
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from amal.data import Images, Split
from amal.nn import mlp
from amal.plots import training_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, PrefixedLogbook, Progress, require
from tme3._codes import ACTIVATIONS, CodeConfig, autoencoder, codes_of, learn_codes, require_models, sizes_of
from tme3._images import PAIR, accuracies, seeded, train_classifier

REPORTED = {"codes, tanh": "0.647 / 0.634", "codes, relu": "0.489 / 0.515"}
Encode = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Config(CodeConfig):
    """Adam, its learning rate rising and falling once, for the autoencoder and for each classifier."""

    model: str = "30"
    """Sizes of the encoder's layers; the last one is the code's."""
    units: int = 32
    """Hidden units of a classifier."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_models("--model", [self.model])
        require(1 <= self.units <= 10_000, f"--units {self.units}: expected a size from 1 to 10000")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train the autoencoder, then a classifier on each kind of what it might be given."""
    data = config.load(config.seed, config.device)
    pixels = data.shape[0] * data.shape[1] * data.shape[2]
    size, most = sizes_of(config.model)[-1], min(pixels, len(data.train))
    require(size <= most, f"--model {config.model}: expected a code of at most {most}, the pixels or the images")
    coder = autoencoder(config.model, data, config)
    learn_codes(coder, data, config, PrefixedLogbook(logbook.child("autoencoder"), "autoencoder"), "autoencoder")
    encodings: dict[str, Encode] = {
        "codes": partial(codes_of, coder),
        "principal components": principal_components(data.train.input, size),
        "pixels": lambda input: input.flatten(1),
    }
    models: dict[str, Progress] = {}
    for what, encode in encodings.items():
        codes = encoded(data, encode)
        for activation in ("tanh", "relu"):
            name = f"{what}, {activation}"
            model = seeded(
                config.seed, partial(mlp, codes.shape, len(data.classes), (config.units,), ACTIVATIONS[activation])
            )
            book = logbook.child({"given": what, "activation": activation})
            model.to(data.train.input.device)
            settings = {"given": what, "activation": activation}
            models[name] = train_classifier(
                model, codes, config, book, name, settings=settings, pictures=data.test.input
            )

    histories = {name: done.history for name, done in models.items()}
    title = f"{data.name}: {size} numbers instead of {pixels}"
    logbook.figure("accuracy", training_curves(histories, "accuracy", title), 0)
    lines = [f"| {title} | reported on USPS, train / test | train | test |", "|---|---|---|---|"]
    metrics, words = accuracies(models)
    for name in models:
        shown = " | ".join(f"{metrics[f'{name}_{part}']:.3f}" for part in PAIR)
        lines.append(f"| {name} | {REPORTED.get(name, '–')} | {shown} |")
    print("\n".join(lines))
    logbook.text("accuracies", "\n".join(lines))
    return Outcome(f"{title}, train / test: {words}", metrics)


@torch.no_grad()
def encoded(data: Images, encode: Encode) -> Images:
    """Return the images with, in the place of each, its code as a row of pixels; the training set is the standard."""
    parts = data.train, data.validation, data.test
    codes = [encode(part.input) for part in parts]
    mean, deviation = codes[0].mean(0), codes[0].std(0).clamp(min=1e-6)
    scaled = (((code - mean) / deviation)[:, None, None, :] for code in codes)
    train, validation, test = (Split(code, part.target) for code, part in zip(scaled, parts, strict=True))
    return replace(data, train=train, validation=validation, test=test)


def principal_components(images: Tensor, count: int) -> Encode:
    """Return what projects images to the directions in which these vary most."""
    flat = images.flatten(1)
    mean = flat.mean(0)
    directions = torch.linalg.svd(flat - mean, full_matrices=False).Vh[:count]
    return lambda input: (input.flatten(1) - mean) @ directions.T


if __name__ == "__main__":
    launch(run)
