"""What the experiments on codes share: an autoencoder by its name, how it learns, and what is looked at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from amal.data import Images, Split, Splits, generator
from amal.functional import binary_cross_entropy_with_logits, mse_loss, sigmoid
from amal.nn import Autoencoder, Denoising, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from amal.optim import Adam
from amal.plots import image_rows
from amal.training import (
    Checkpoints,
    Logbook,
    Progress,
    Row,
    TrainingConfig,
    fit,
    is_milestone,
    log_weights,
    require,
    require_positive,
    steps_per_epoch,
)
from tme3._images import ImageConfig, one_cycle, seeded, to_grey

ACTIVATIONS: dict[str, Callable[[], nn.Module] | None] = {
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky-relu": partial(LeakyReLU, 0.1),
    "silu": SiLU,
    "linear": None,
}
Activation = Literal["sigmoid", "tanh", "relu", "leaky-relu", "silu", "linear"]
SHOWN = 12
"""Images whose reconstructions are drawn."""


def mse(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of the images whose pixels are the sigmoids of logits."""
    return mse_loss(sigmoid(logits), target)


LOSSES = {"mse": mse, "bce": binary_cross_entropy_with_logits}
"""Of the logits of pixels, so that one network is trained on either. The sigmoid belongs to the loss: a pixel that is
wrong and saturated has a gradient then, where a cross-entropy of sigmoids that round to 0 or 1 has none."""


@dataclass(frozen=True)
class CodeConfig(TrainingConfig, ImageConfig):
    """Adam, its learning rate rising and falling once."""

    code: Activation = "sigmoid"
    """Non-linearity of the code."""
    hidden: Literal["sigmoid", "tanh", "relu", "leaky-relu", "silu"] = "relu"
    """Non-linearity of the other hidden layers."""
    loss: Literal["mse", "bce"] = "mse"
    """What is minimised: the mean squared error of a pixel, or its binary cross-entropy."""
    noise: Literal["none", "gaussian"] = "none"
    """What is added to the images that the autoencoder is given in training, afresh at each step."""
    sigma: float = 0.3
    """Standard deviation of the gaussian noise."""
    binarize: bool = False
    """Set pixels to 0 or 1, whichever is nearer."""
    epochs: int = 30
    """Passes over the training set, of each training."""
    batch_size: int | None = 50
    """Images per step; None for the whole training set at once."""
    lr: float = 0.005
    """The greatest learning rate (the sheet's ε)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "sigma")

    def load(self, seed: int, device: str) -> Images:
        """Return the images, decoded once, on a device; of 0 and 1 if so asked."""
        images = super().load(seed, device)
        return binarized(images) if self.binarize else images


def binarized(images: Images) -> Images:
    """Return the images with each pixel 0 or 1, whichever is nearer."""

    def nearer(part: Split) -> Split:
        return Split((part.input > 0.5).to(part.input.dtype), part.target)

    return replace(images, train=nearer(images.train), validation=nearer(images.validation), test=nearer(images.test))


def require_models(option: str, names: Iterable[str]) -> None:
    """Raise UserError unless these are names of autoencoders."""
    for name in names:
        sizes = name.removesuffix(" untied").split("-")
        fits = all(size.isdecimal() and 1 <= int(size) <= 10_000 for size in sizes)
        require(fits, f"{option} {name!r}: expected sizes from 1 to 10000, such as 30, 500-100-30 or '30 untied'")


def sizes_of(name: str) -> tuple[int, ...]:
    """Return the sizes of an encoder's layers, which the name of an autoencoder lists; the last one is the code's."""
    return tuple(map(int, name.split()[0].split("-")))


def autoencoder(name: str, data: Images, config: CodeConfig) -> Autoencoder:
    """Return the autoencoder of a name such as 500-100-30, or '30 untied'; it gives the logits of pixels."""
    code, hidden = ACTIVATIONS[config.code], ACTIVATIONS[config.hidden] or ReLU
    tied = not name.endswith(" untied")
    make = partial(Autoencoder, data.shape, sizes_of(name), code, None, hidden, tied)
    return seeded(config.seed, make).to(data.train.input.device)  # type: ignore[return-value]


def learn_codes(
    model: Autoencoder,
    data: Images,
    config: CodeConfig,
    logbook: Logbook,
    name: str,
    observe: Callable[[Row], None] | None = None,
) -> Progress:
    """Train an autoencoder whose output are logits, and draw what it makes of images.

    Args:
        model: changed in place, on the device of the data.
        data: images; their classes are not looked at.
        config: what is minimised, and what noise is added; `lr` is the greatest learning rate.
        logbook: of this training alone.
        name: of the progress bar.
        observe: called after each look at the data, besides.
    """
    logbook.graph(model, data.train.input[:2])
    images = Splits(*(Split(part.input, part.input) for part in (data.train, data.validation, data.test)))
    optimizer = Adam(model.parameters(), config.lr)

    def look(row: Row) -> None:
        if is_milestone(row["epoch"], config.epochs):
            log_weights(logbook, model, int(row["step"]))
            draw(model, data, config, logbook, int(row["step"]))
        if observe:
            observe(row)

    return fit(
        Denoising(model, config.sigma) if config.noise == "gaussian" else model,
        LOSSES[config.loss],
        images,
        optimizer,
        config,
        logbook,
        Checkpoints(logbook.folder / "checkpoints"),
        metrics=LOSSES,
        scheduler=one_cycle(optimizer, config.epochs * steps_per_epoch(data.train, config.batch_size)),
        observe=look,
        name=name,
    )


@torch.no_grad()
def draw(model: Autoencoder, data: Images, config: CodeConfig, logbook: Logbook, step: int) -> None:
    """Draw images above their reconstructions, and the first layer's weights; write how the codes are distributed."""
    shown = data.test.input[:SHOWN]
    rows = {"image": shown}
    if config.noise == "gaussian":
        rows["with noise"] = shown = spoiled(shown, config)
    rows["from its code"] = reconstruction(model, shown)
    logbook.figure("reconstructions", image_rows(rows, f"{data.name}, test set, after {step} steps"), step)
    first = next(parameter for name, parameter in model.named_parameters() if name.endswith("weight"))
    weights = to_grey(first[: 4 * SHOWN].reshape(-1, *data.shape))
    lines = {f"{SHOWN * place + 1}": line for place, line in enumerate(weights.split(SHOWN))}
    title = f"Weights of the first layer after {step} steps"
    logbook.figure("weights", image_rows(lines, title), step)
    logbook.histogram("code", model.encode(data.test.input[:1000]), step)


@torch.no_grad()
def reconstruction(model: nn.Module, images: Tensor) -> Tensor:
    """Return images as an autoencoder keeps them, in [0, 1]."""
    return torch.cat([sigmoid(model(part)) for part in images.split(1000)])  # type: ignore[no-untyped-call]


@torch.no_grad()
def codes_of(model: Autoencoder, images: Tensor) -> Tensor:
    """Return the codes (n, size) of images."""
    return torch.cat([model.encode(part) for part in images.split(1000)])  # type: ignore[no-untyped-call]


def spoiled(images: Tensor, config: CodeConfig) -> Tensor:
    """Return images with gaussian noise, the same at every call."""
    noise = torch.randn(images.shape, generator=generator(config.seed, "noise"))
    return images + config.sigma * noise.to(images)


def pca_errors(data: Images, counts: Iterable[int]) -> dict[int, float]:
    """Return number of principal components of the training set -> mean squared error that they leave on the test set.

    The best that a linear autoencoder can do, on the training set: Baldi and Hornik, Neural Networks and Principal
    Component Analysis, 1989.
    """
    from sklearn.decomposition import PCA

    train, test = (part.input.flatten(1).cpu().numpy() for part in (data.train, data.test))
    counts = sorted({min(count, *train.shape) for count in counts})
    fitted = PCA(counts[-1], svd_solver="full" if counts[-1] == min(train.shape) else "auto", random_state=0).fit(train)
    components = fitted.transform(test)
    total = ((test - fitted.mean_) ** 2).sum()
    return {count: float(total - (components[:, :count] ** 2).sum()) / test.size for count in counts}
