"""Experiment 3.15: convolutions on images: on the flattened one, on the image itself, and a LeNet.

Reported: Conv1d 94 % of 100 images on train (R-c ch. 7); 0.574 / 0.548 of 1100 / 500 images of USPS (R-e 6.2.1);
Conv2d 0.58 / 0.505 of 1000 / 200 images (R-e 6.2.2).

The course's two small convolutional networks and a LeNet, with maximum and with average pooling, on all images or, with
--examples, on as few as the documents used; with --table, the settings that R-e tried on Conv2d. The filters of the
first layer are drawn, and what each makes of a vertical and of a horizontal stroke.

Also 3.16: convolutions on the image itself (--models Conv2d). Reported: best 0.58 / 0.505 on train / test of 1000 / 200
images of USPS (R-e 6.2.2).

Also 3.16: the settings that R-e tried: batches, epochs, learning rate (--table). Reported: best 0.58 / 0.505 on train /
test of 1000 / 200 images of USPS (R-e 6.2.2).

Also 3.17: average pooling instead of the maximum (--models "*average*"). Reported: left open, with faster convolutions
and filters that see strokes (R-c ch. 7).

Also 3.18: a LeNet (--models LeNet). Reported: no figures (R-d ex. 2).

In TensorBoard: Custom scalars, the accuracy of the networks; Images, `filters/weights`, then what each filter makes
of a stroke; `errors/worst`; PR curves, by class; Graphs, Conv2dFunction and its pooling; HParams, the networks.

    python -m tme3.convolution
    python -m tme3.convolution --dataset usps --data-root data --examples 1100
    python -m tme3.convolution --dataset usps --data-root data --table
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from amal.data import Images, Split, generator
from amal.errors import did_you_mean
from amal.experiments import digits
from amal.functional import conv2d
from amal.nn import AvgPool2d, Conv2d, RandomShift, Sequential, conv1d_network, conv2d_network, lenet
from amal.optim import SGD
from amal.plots import image_grid, training_curves
from amal.runs import Outcome, launch
from amal.training import Logbook, Progress, TrainingConfig, require, require_some
from tme3._images import PAIR, ImageConfig, accuracies, seeded, to_grey, train_classifier

MODELS: dict[str, Callable[..., nn.Module]] = {
    "Conv1d": conv1d_network,
    "Conv2d": conv2d_network,
    "Conv2d, average pooling": partial(conv2d_network, pooling=AvgPool2d),
    "LeNet": lenet,
    "LeNet, average pooling": partial(lenet, pooling=AvgPool2d),
}
TABLE = ((1, 150, 1e-2, "0.54 / 0.475"), (1, 160, 1e-1, "0.571 / 0.5"), (50, 160, 1e-1, "0.571 / 0.5"))
TABLE += ((100, 165, 1e-1, "0.58 / 0.505"),)
"""Batches, epochs, learning rate, and the accuracies on train and test that R-e reports (6.2.2, table 6.1)."""


@dataclass(frozen=True)
class Config(TrainingConfig, ImageConfig):
    """Adam, its learning rate rising and falling once, for each model."""

    epochs: int = 10
    """Passes over the training set."""
    batch_size: int | None = 50
    """Images per step; None for the whole training set at once."""
    lr: float = 0.003
    """The greatest learning rate (the sheet's ε)."""
    examples: int | None = None
    """Images to train on, drawn at random; None for all."""
    shift: int = 0
    """Pixels by which images are moved at random in training, at most."""
    table: bool = False
    """Instead, try the settings of R-e's table on Conv2d: 1000 images, plain gradient descent (experiment 3.16)."""
    models: tuple[str, ...] = tuple(MODELS)
    """Some of Conv1d, Conv2d, "Conv2d, average pooling", LeNet, "LeNet, average pooling"."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "examples")
        require(self.shift >= 0, f"--shift {self.shift}: expected 0 pixels or more")
        for name in self.models:
            hint = did_you_mean(name, MODELS)
            require(name in MODELS, f"--models {name}{hint}: expected some of {'; '.join(MODELS)}")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train each network, draw its filters, and set the networks side by side."""
    data = config.load(config.seed, config.device)
    if config.table:
        return try_settings(config, few(data, config.examples or 1000, config.seed), logbook)
    if config.examples:
        data = few(data, config.examples, config.seed)
    found: dict[str, Progress] = {}
    for name in config.models:
        make = partial(MODELS[name], data.shape, len(data.classes))
        model = seeded(config.seed, lambda: Sequential(RandomShift(config.shift), *make()))  # noqa: B023 (made at once)
        model.to(data.train.input.device)
        book = logbook.child({"model": name})
        settings = {"model": name, "examples": len(data.train)}
        found[name] = train_classifier(model, data, config, book, name, settings=settings)
        draw_filters(book, model, found[name].step)

    title = f"{data.name}, {len(data.train)} images to learn from"
    histories = {name: done.history for name, done in found.items()}
    logbook.figure("accuracy", training_curves(histories, "accuracy", title), 0)
    metrics, words = accuracies(found)
    lines = [f"| {title} | train | test | s |", "|---|---|---|---|"]
    for name, done in found.items():
        lines.append(
            f"| {name} | {metrics[f'{name}_train']:.3f} | {metrics[f'{name}_test']:.3f} | {done.seconds:.1f} |"
        )
    print("\n".join(lines))
    logbook.text("accuracies", "\n".join(lines))
    return Outcome(f"{title}, train / test: {words}", metrics)


def try_settings(config: Config, data: Images, logbook: Logbook) -> Outcome:
    """Train Conv2d with each of R-e's settings, by plain gradient descent with a learning rate that stays."""
    titles = "| batches | epochs | learning rate | reported, train / test | train | test |"
    lines = [titles, "|---|---|---|---|---|---|"]
    found: dict[str, Progress] = {}
    for batches, epochs, lr, reported in TABLE:
        model = seeded(config.seed, partial(conv2d_network, data.shape, len(data.classes))).to(data.train.input.device)
        setting = replace(config, epochs=epochs, lr=lr, batch_size=-(-len(data.train) // batches))
        name = f"{batches} batches, lr {lr:g}"
        settings = {"batches": batches, "epochs": epochs, "lr": lr}
        optimizer = SGD(model.parameters(), lr)
        found[name] = train_classifier(
            model,
            data,
            setting,
            logbook.child({"batches": digits(batches, (row[0] for row in TABLE)), "lr": lr}),
            name,
            settings=settings,
            optimizer=optimizer,
        )
        shown = " | ".join(f"{found[name].last_row[f'accuracy/{part}']:.3f}" for part in PAIR)
        lines.append(f"| {batches} | {epochs} | {lr:g} | {reported} | {shown} |")
    print("\n".join(lines))
    logbook.text("accuracies", "\n".join(lines))
    metrics, words = accuracies(found)
    return Outcome(f"{data.name}, {len(data.train)} images, Conv2d with R-e's settings, train / test: {words}", metrics)


def few(data: Images, examples: int, seed: int) -> Images:
    """Return the images with only some, drawn at random, to learn from."""
    chosen = torch.randperm(len(data.train), generator=generator(seed, "examples"))[:examples]
    return replace(data, train=Split(data.train.input[chosen], data.train.target[chosen]))


@torch.no_grad()
def draw_filters(logbook: Logbook, model: nn.Module, step: int) -> None:
    """Draw the filters of a first layer that convolves images, and their answers to two strokes."""
    first = next((layer for layer in model.modules() if isinstance(layer, Conv2d)), None)
    if first is None or first.in_channels != 1:
        return
    weight = first.weight.cpu()
    logbook.figure("filters/weights", image_grid(to_grey(weight), numbers(weight), "Filters of the first layer"), step)
    for name, stroke in strokes().items():
        answers = conv2d(stroke, weight, padding="same")[0].unsqueeze(1)
        picture = image_grid(to_grey(answers), numbers(answers), f"What each filter makes of a {name} stroke")
        logbook.figure(f"filters/{name} stroke", picture, step)


def strokes() -> dict[str, Tensor]:
    """Return images (1, 1, 15, 15) of a vertical and of a horizontal stroke, three pixels wide."""
    vertical = torch.zeros(1, 1, 15, 15)
    vertical[..., 2:13, 6:9] = 1
    return {"vertical": vertical, "horizontal": vertical.mT.contiguous()}


def numbers(images: Tensor) -> list[str]:
    """Return a caption for each image."""
    return [str(number) for number in range(len(images))]


if __name__ == "__main__":
    launch(run)
