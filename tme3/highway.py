"""Experiment 3.8: highway networks: layers that may let their input pass.

Reported: autoencoder with a code of 30: 0.0175 / 0.0173 on train / test, against 0.0236 / 0.0234 with one layer (MNIST,
MSE per pixel, R-a).

A highway layer takes y = H Z + x (1 − Z): where its gate Z is shut, x passes unchanged, and so does the gradient. First
an autoencoder with highway layers on both sides of its code, beside plain ones of the same depth: one as wide, and one
with as many parameters. Then classifiers, from 2 hidden layers to 50, which shows from which depth on the plain network
no longer learns. How far the gates are open is drawn, layer by layer. The network of one layer is trained for as many
epochs as the others here, which is not enough for it; 3.5 trains it until it is done.

In TensorBoard: Images, `classifier/depth`: from where on does the plain network answer at random?; then `gates`,
layer by layer; Histograms, `gradients` of the deepest plain network: which layers learn nothing?; Graphs, one
HighwayFunction for each layer; HParams, by network and depth.

    python -m tme3.highway
    python -m tme3.highway --parts classifier --depths 30 --initial he
    python -m tme3.highway --dataset mnist --data-root data --width 200 --depths 30 --batch-size 100 --lr 0.003
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from amal.data import Images
from amal.experiments import digits
from amal.functional import sigmoid
from amal.nn import Autoencoder, Highway, Linear, highway_network, mlp
from amal.plots import image_rows, shades, training_curves, values_over
from amal.runs import Outcome, launch
from amal.training import (
    Logbook,
    PrefixedLogbook,
    Progress,
    Row,
    is_milestone,
    log_weights,
    require,
    require_positive,
    require_some,
)
from tme3._codes import ACTIVATIONS, SHOWN, Activation, CodeConfig, autoencoder, learn_codes, pca_errors, reconstruction
from tme3._images import fit_classifier, seeded

REPORTED = {"highway": "0.0175 / 0.0173", "one layer": "0.0236 / 0.0234"}
NETWORKS = ("highway", "plain, as deep", "plain, as many parameters")


@dataclass(frozen=True)
class Config(CodeConfig):
    """Adam, its learning rate rising and falling once, for each network."""

    parts: tuple[Literal["autoencoder", "classifier"], ...] = ("autoencoder", "classifier")
    """What to train."""
    code: Activation = "linear"
    """Non-linearity of the code."""
    code_size: int = 30
    """Numbers in a code."""
    width: int = 50
    """Hidden units of a highway layer, and of the plain network that is as deep."""
    highways: int = 3
    """Highway layers of the autoencoder, before the code and again after it."""
    gate_bias: float = -2.0
    """Bias of the gates at first: negative, for most of the input to pass."""
    initial: Literal["torch", "he"] = "torch"
    """Law of the plain networks' initial weights: torch's, or He's, which keeps the size of what passes a ReLU."""
    depths: tuple[int, ...] = (2, 10, 30)
    """Hidden layers of the classifiers."""
    classifier_epochs: int = 6
    """Passes over the training set, of each classifier."""
    classifier_lr: float = 0.004
    """The greatest learning rate of a classifier."""
    evaluate_every: int = 3
    """Epochs from one look at the data to the next; milestones apart."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "code_size", "width", "highways", "classifier_epochs")
        require_positive(self, "classifier_lr")
        for depth in self.depths:
            require(2 <= depth <= 1000, f"--depths {depth}: expected from 2 to 1000 hidden layers")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train highway networks and plain ones, as autoencoders and as classifiers."""
    data = config.load(config.seed, config.device)
    outcomes = [part(config, data, logbook) for name, part in PARTS.items() if name in config.parts]
    metrics = {name: value for outcome in outcomes for name, value in outcome.metrics.items()}
    return Outcome(f"{data.name}, {'; '.join(outcome.measured for outcome in outcomes)}", metrics)


# ---------------------------------------------------------------------------------- autoencoders


def train_autoencoders(config: Config, data: Images, logbook: Logbook) -> Outcome:
    """Train an autoencoder with highway layers and those to compare it with."""
    models: dict[str, tuple[nn.Module, Progress]] = {}
    for name, make in autoencoders(config, data).items():
        model, book = make(), PrefixedLogbook(logbook.child({"part": "autoencoder", "network": name}), "autoencoder")
        done = learn_codes(model, data, config, book, name, partial(draw_gates, model, data, config, book))
        models[name] = model, done
        results = {f"mse_{part}": done.last_row[f"mse/{part}"] for part in ("train", "test")}
        book.settings({"part": "autoencoder", "network": name}, results)

    title = f"{data.name}, code of {config.code_size}"
    histories = {name: done.history for name, (_, done) in models.items()}
    logbook.figure("autoencoder/errors", training_curves(histories, "mse", f"{title}: error of a pixel", log=True), 0)
    shown = data.test.input[:SHOWN]
    rows = {"image": shown, **{name: reconstruction(model, shown) for name, (model, _) in models.items()}}
    logbook.figure("autoencoder/reconstructions", image_rows(rows, f"{title}, test set"), 0)

    heads = "reported on MNIST, train / test | train | test | parameters | s"
    lines = [f"| {title}, MSE per pixel | {heads} |", "|---|---|---|---|---|---|"]
    metrics = {}
    for name, (model, done) in models.items():
        train, test = done.last_row["mse/train"], done.last_row["mse/test"]
        cells = f"{train:.4f} | {test:.4f} | {parameters(model)} | {done.seconds:.1f}"
        lines.append(f"| {name} | {REPORTED.get(name, '–')} | {cells} |")
        metrics |= {f"{name}_train": train, f"{name}_test": test}
    [of_pca] = pca_errors(data, [config.code_size]).values()
    lines.append(f"| principal components | – | | {of_pca:.4f} | | |")
    print("\n".join(lines))
    logbook.text("autoencoders", "\n".join(lines))
    words = ", ".join(f"{name} {metrics[f'{name}_train']:.4f} / {metrics[f'{name}_test']:.4f}" for name in models)
    return Outcome(f"MSE per pixel, train / test: {words}", metrics)


def autoencoders(config: Config, data: Images) -> dict[str, Callable[[], Autoencoder]]:
    """Return what makes each autoencoder; its output are logits."""
    code, hidden = ACTIVATIONS[config.code], ACTIVATIONS[config.hidden]
    make = partial(Autoencoder, data.shape, code=code, output=None, hidden=hidden, tied=False)

    def plain(width: int) -> nn.Module:
        return drawn(make(sizes=[width] * (config.highways + 1) + [config.code_size]), config.initial)

    highway = partial(
        make, sizes=(config.width, config.code_size), highways=config.highways, gate_bias=config.gate_bias
    )
    models = dict(zip(NETWORKS, networks(highway, plain, config.width), strict=True))

    def placed(make: Callable[[], nn.Module]) -> Autoencoder:
        return seeded(config.seed, make).to(data.train.input.device)  # type: ignore[return-value]

    one_layer = partial(autoencoder, str(config.code_size), data, replace(config, code="sigmoid"))
    return {**{name: partial(placed, make) for name, make in models.items()}, "one layer": one_layer}


# ---------------------------------------------------------------------------------- classifiers


def train_classifiers(config: Config, data: Images, logbook: Logbook) -> Outcome:
    """Train classifiers of every depth, highways and plain ones."""
    shape, classes, width = data.shape, len(data.classes), config.width
    histories: dict[str, dict[float, Progress]] = {name: {} for name in NETWORKS}
    for depth in config.depths:

        def plain(width: int, depth: int = depth) -> nn.Module:
            return drawn(mlp(shape, classes, [width] * depth), config.initial)

        highway = partial(highway_network, shape, classes, width, depth, gate_bias=config.gate_bias)
        made = networks(highway, plain, width)
        for name, make in zip(NETWORKS, made, strict=True):
            model = seeded(config.seed, make).to(data.train.input.device)
            run = {"part": "classifier", "depth": digits(depth, config.depths), "network": name}
            book = PrefixedLogbook(logbook.child(run), "classifier")  # its loss is not the autoencoders'
            histories[name][depth] = learn_classes(model, data, config, book, name)
            last = histories[name][depth].last_row
            results = {f"accuracy_{part}": last[f"accuracy/{part}"] for part in ("train", "test")}
            book.settings({"part": "classifier", "network": name, "depth": depth}, results)

    curves = {
        what: {
            name: {depth: done.last_row[key] for depth, done in depths.items()} for name, depths in histories.items()
        }
        for what, key in (("accuracy on the test set", "accuracy/test"), ("loss on the training set", "loss/train"))
    }
    title = f"{data.name}: classifiers of more and more layers"
    logbook.figure("classifier/depth", values_over(curves, title, "hidden layers", ["loss on the training set"]), 0)
    lines = [f"| {data.name}, accuracy train / test | {' | '.join(NETWORKS)} |", "|---|---|---|---|"]
    metrics = {}
    for depth in config.depths:
        rows = {name: histories[name][depth].last_row for name in NETWORKS}
        cells = (f"{row['accuracy/train']:.3f} / {row['accuracy/test']:.3f}" for row in rows.values())
        lines.append(f"| {depth} layers | {' | '.join(cells)} |")
        metrics |= {f"{name}, {depth} layers_test": row["accuracy/test"] for name, row in rows.items()}
    print("\n".join(lines))
    logbook.text("classifiers", "\n".join(lines))
    deepest = max(config.depths)
    words = ", ".join(f"{name} {metrics[f'{name}, {deepest} layers_test']:.3f}" for name in NETWORKS)
    return Outcome(f"accuracy on test of {deepest} layers: {words}", metrics)


def learn_classes(model: nn.Module, data: Images, config: Config, logbook: Logbook, name: str) -> Progress:
    """Train a classifier; draw its gates, and after an epoch the gradient of each layer: which of them learn at all?"""
    setting = replace(config, epochs=config.classifier_epochs, lr=config.classifier_lr)
    logbook.graph(model, data.train.input[:2])

    def look(row: Row) -> None:
        draw_gates(model, data, setting, logbook, row)
        if row["epoch"] == 1:  # once: there are up to a hundred of them
            log_weights(logbook, model, int(row["step"]))

    return fit_classifier(model, data, setting, logbook, name, look)


# ---------------------------------------------------------------------------------- both


def networks(
    highway: Callable[[], nn.Module], plain: Callable[[int], nn.Module], width: int
) -> tuple[Callable[[], nn.Module], ...]:
    """Return what makes the three networks to compare, in the order of NETWORKS.

    Args:
        highway: makes the network with highway layers.
        plain: makes one without, of a width.
        width: of the highway layers.
    """
    with torch.device("meta"):
        wanted = parameters(highway())
        wider = min(widths(plain, width, wanted), key=lambda width: abs(parameters(plain(width)) - wanted))
    return highway, partial(plain, width), partial(plain, wider)


def widths(plain: Callable[[int], nn.Module], width: int, wanted: int) -> Iterator[int]:
    """Yield widths from `width` on, until one gives more parameters than are wanted."""
    while True:
        yield width
        if parameters(plain(width)) > wanted:
            return
        width += 1


def drawn(model: nn.Module, law: str) -> nn.Module:
    """Return a plain network, its initial weights drawn anew if the law is He's.

    Source: He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015.
    """
    if law == "he":
        for layer in model.modules():
            if isinstance(layer, Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model


def parameters(model: nn.Module) -> int:
    """Return how many parameters a model has."""
    return sum(parameter.numel() for parameter in model.parameters())


def draw_gates(model: nn.Module, data: Images, config: Config, logbook: Logbook, row: Row) -> None:
    """Draw how far the gates of a network are open, if it has gates."""
    if is_milestone(row["epoch"], config.epochs) and any(isinstance(layer, Highway) for layer in model.modules()):
        opened, step = gates(model, data.test.input[:1000]), int(row["step"])
        title = f"{data.name}, mean over the test set, after {step} steps"
        logbook.figure("gates", shades(opened, title, "unit", "highway layer", "gate Z: 0 shut, 1 open"), step)
        logbook.histogram("gate values", opened, step)


@torch.no_grad()
def gates(model: nn.Module, images: Tensor) -> Tensor:
    """Return how far each gate of each highway layer is open (layers, units): its mean over the images."""
    opened: list[Tensor] = []

    def note(layer: Highway, inputs: tuple[Tensor]) -> None:
        opened.append(sigmoid(layer.gate(inputs[0])).mean(0))

    handles = [layer.register_forward_pre_hook(note) for layer in model.modules() if isinstance(layer, Highway)]
    model.eval()
    model(images)
    for handle in handles:
        handle.remove()
    return torch.stack(opened)


PARTS: Mapping[str, Callable[[Config, Images, Logbook], Outcome]] = {
    "autoencoder": train_autoencoders,
    "classifier": train_classifiers,
}


if __name__ == "__main__":
    launch(run)
