"""Experiment 3.20: plausible bugs of a network, wrong and right side by side.

Reported: seen in student solutions, without figures: tied weights initialised at zero, the carry path of a highway
written as a second Linear.

Three of these networks are put together wrongly from right parts; the fourth is right, and looked at wrongly. Each is
run beside its right version, from the same seed, on the same images.

In TensorBoard: Time series, one group of charts for each bug, without smoothing: the runs `wrong` and `right`;
Images, what the two made; Text, symptom, cause, and what sees it.

    python -m tme3.bugs
    python -m tme3.bugs --bugs "softmax twice" --epochs 100
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import Flatten, Sequential

from amal.course.bugs import Comparison, Version, run_bugs
from amal.data import Split
from amal.functional import cross_entropy, mse_loss
from amal.nn import BatchNorm1d, Linear, ReLU, Softmax, highway_network, mlp
from amal.optim import Adam
from amal.plots import image_rows, learning_curves
from amal.runs import Outcome, launch
from amal.training import DescentConfig, Logbook, epoch_batches, evaluate, require_positive, require_some, train_step
from tme3._images import ImageConfig, accuracy, seeded
from tme3._mistakes import DrawnTied, LinearCarry, ZeroTied, mean_in_training_mode

Name = Literal["softmax twice", "tied weights at zero", "carry path as a Linear", "evaluated in training mode"]
Metric = Callable[[Tensor, Tensor], Tensor]
Looks = Mapping[str, Callable[[nn.Module], float]]
"""Name -> what is measured of a model, before the first epoch and after each."""
GATE_BIAS = -2.0
"""What the gates' biases are at first: most of the input should pass."""
TOGETHER = 30
"""Images of a batch that is looked at in training mode."""


@dataclass(frozen=True)
class Config(DescentConfig, ImageConfig):
    """Adam and mini-batches for every network."""

    bugs: tuple[Name, ...] = (
        "softmax twice",
        "tied weights at zero",
        "carry path as a Linear",
        "evaluated in training mode",
    )
    """Which bugs to show."""
    epochs: int = 12
    """Passes over the training set."""
    lr: float = 0.005
    """Learning rate (the sheet's ε)."""
    code_lr: float = 0.02
    """Learning rate of the autoencoders."""
    highway_epochs: int = 3
    """Passes over the training set, of the highway networks."""
    batch_size: int = 32
    """Images per update."""
    hidden: int = 64
    """Units of a hidden layer."""
    code_size: int = 30
    """Numbers in the code of an autoencoder."""
    depth: int = 30
    """Hidden layers of the highway networks."""
    width: int = 30
    """Units in each of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "code_lr")
        require_some(self, "highway_epochs", "batch_size", "hidden", "code_size", "depth", "width")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Show every bug beside its right version."""
    return run_bugs({name: BUGS[name] for name in config.bugs}, config, logbook)


def softmax_twice(config: Config) -> Comparison:
    """Symptom: the loss begins where it should, at ln K, falls slowly, and never below ln(1 + (K - 1)/e): 1.4612 for 10
    classes, however long one waits. The accuracy may be nearly as good, so the model passes.
    Cause: the model ends in a softmax, and cross_entropy, which takes logits, has one of its own. What it is given
    lies between 0 and 1, so the greatest probability that it can find is e/(e + K - 1).
    Seen by: trained on ten images alone, the loss must go to 0; and `assert not logits.sum(1).allclose(torch.ones(1))`,
    since logits do not add up to 1. Not by `amal check`: both functions are right.
    """
    data = config.load(config.seed, "cpu")
    classes = len(data.classes)
    looks = {"loss on train": look(cross_entropy, data.train), "accuracy on test": look(accuracy, data.test)}
    floor = math.log(1 + (classes - 1) / math.e)

    def logits() -> Sequential:
        return mlp(data.shape, classes, [config.hidden])

    versions = []
    for make, least in ((lambda: Sequential(logits(), Softmax(1)), floor), (logits, 0.0)):
        curves = learn(seeded(config.seed, make), cross_entropy, data.train, config, looks)
        versions.append(Version(ends(curves) | {"least loss possible": least}, curves))
    names = ("wrong: of probabilities", "right: of logits")
    picture = partial(
        learning_curves,
        {name: [*version.curves["loss on train"]][1:] for name, version in zip(names, versions, strict=True)},
        {f"ln(1 + ({classes} - 1)/e) = {floor:.4f}": floor},
        f"{data.name}: cross-entropy",
        "loss on train",
    )
    return Comparison(*versions, {"loss": picture})


def tied_weights_at_zero(config: Config) -> Comparison:
    """Symptom: the loss falls to that of one image, the mean of all, and stays there: that image comes out, whatever
    goes in. At the end the weight is exactly 0 still.
    Cause: W is used twice, and each use needs the other to be something. The decoder's part of its gradient is a
    product with the code, relu(0) = 0; the encoder's part comes back through W, 0 too. Only the output's bias learns.
    Seen by: after the first backward, `assert all(p.grad.any() for p in model.parameters())`. Not by `amal check`: the
    derivatives are right, and they are 0.
    """
    data = config.load(config.seed, "cpu")
    train, test = (Split(part.input, part.input) for part in (data.train, data.test))
    of_mean = float(mse_loss(train.input.mean(0).expand_as(test.input), test.input))
    shown = test.input[:12]
    versions, rows = [], {"image": shown}
    for name, make in (("wrong: W = 0 at first", ZeroTied), ("right", DrawnTied)):
        model = seeded(config.seed, partial(make, train.input[0].numel(), config.code_size))
        curves = learn(
            model, mse_loss, train, replace(config, lr=config.code_lr), {"loss on test": look(mse_loss, test)}
        )
        with torch.no_grad():
            rows[name] = model(shown)
            greatest = float(model.weight.abs().max())
        measures = ends(curves) | {"loss of the mean image": of_mean, "greatest entry of W": greatest}
        versions.append(Version(measures, curves))
    title = f"{data.name}, test set, from a code of {config.code_size}"
    return Comparison(*versions, {"reconstructions": partial(image_rows, rows, title)})


def carry_path_as_a_linear(config: Config) -> Comparison:
    """Symptom: ten layers learn, if slowly; thirty answer at random, and their loss stays at ln K, as in a plain
    network of that depth. There are half as many parameters again as there should be.
    Cause: where the gate is shut, the layer gives C(x), a Linear of its own, in the place of x. So in every layer the
    gradient is multiplied by a small matrix, gate open or shut, and little of it reaches the first.
    Seen by: with a gate bias of -100, `assert layer(x).allclose(x)`. Not by `amal check`: every Function in it is
    right, and only their composition is not a highway.
    """
    data = config.load(config.seed, "cpu")
    pixels, classes, width = data.train.input[0].numel(), len(data.classes), config.width
    looks = {"loss on train": look(cross_entropy, data.train), "accuracy on test": look(accuracy, data.test)}

    def linear_carries() -> Sequential:
        layers = (LinearCarry(width, GATE_BIAS) for _ in range(config.depth - 1))
        return Sequential(Flatten(), Linear(pixels, width), ReLU(), *layers, Linear(width, classes))

    def highways() -> Sequential:
        return highway_network(data.shape, classes, width, config.depth, gate_bias=GATE_BIAS)

    versions = []
    for make in (linear_carries, highways):
        model = seeded(config.seed, make)
        curves = learn(model, cross_entropy, data.train, replace(config, epochs=config.highway_epochs), looks)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        versions.append(Version(ends(curves) | {"parameters": parameters}, curves))
    return Comparison(*versions)


def evaluated_in_training_mode(config: Config) -> Comparison:
    """Symptom: a model is much worse on a test set sorted by class than on the same one shuffled. What it says of an
    image depends on those beside it, and of one image alone it says nothing: batch_norm raises an error.
    Cause: `model.eval()` is missing. Batch normalisation takes mean and variance of the batch at hand, which in a batch
    of one class are not those it was trained with; and each look moves its running statistics towards the test set.
    Seen by: `assert not model.training` where it is evaluated. Not by `amal check`: each Function does as it is told.
    """
    data = config.load(config.seed, "cpu")
    pixels, classes, hidden = data.train.input[0].numel(), len(data.classes), config.hidden
    order = data.test.target.argsort()
    by_class = Split(data.test.input[order], data.test.target[order])

    def network() -> Sequential:
        return Sequential(Flatten(), Linear(pixels, hidden), BatchNorm1d(hidden), ReLU(), Linear(hidden, classes))

    def look_in_training_mode(metric: Metric, split: Split) -> Callable[[nn.Module], float]:
        return lambda model: mean_in_training_mode(model, metric, split, TOGETHER)

    versions = []
    for of in (look_in_training_mode, look):
        looks = {
            "accuracy on test sorted by class": of(accuracy, by_class),
            "accuracy on test shuffled": of(accuracy, data.test),
        }
        curves = learn(seeded(config.seed, network), cross_entropy, data.train, config, looks)
        versions.append(Version(ends(curves), curves))
    return Comparison(*versions)


def learn(model: nn.Module, loss: Metric, train: Split, config: Config, looks: Looks) -> dict[str, list[float]]:
    """Train the model; return what each look found before the first epoch and after each."""
    optimizer = Adam(model.parameters(), config.lr)
    curves = {name: [measure(model)] for name, measure in looks.items()}
    for epoch in range(1, config.epochs + 1):
        for input, target in epoch_batches(train, config.batch_size, config.seed, epoch):
            train_step(model, loss, input, target, optimizer)
        for name, measure in looks.items():
            curves[name].append(measure(model))
    return curves


def look(metric: Metric, split: Split) -> Callable[[nn.Module], float]:
    """Return what measures the mean of a metric over a split."""
    return lambda model: evaluate(model, {"it": metric}, split)["it"]


def ends(curves: Mapping[str, list[float]]) -> dict[str, float]:
    """Return where curves end."""
    return {name: values[-1] for name, values in curves.items()}


BUGS: dict[Name, Callable[[Config], Comparison]] = {
    "softmax twice": softmax_twice,
    "tied weights at zero": tied_weights_at_zero,
    "carry path as a Linear": carry_path_as_a_linear,
    "evaluated in training mode": evaluated_in_training_mode,
}


if __name__ == "__main__":
    launch(run)
