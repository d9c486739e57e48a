"""Experiment 3.21: 99 % of MNIST in seconds: what each step on the way is worth.

Reported: a well-known recipe of one epoch reaches about 99.1 %, in 0.76 s on a GTX 1660 Ti, as published; none in the
course documents.

It starts as one usually does: batches of 64 by a DataLoader, Adam with its default learning rate, three epochs. Each
step keeps what the ones before it changed. Images lie in memory; softmax, logarithm and loss are one operation instead
of two; batches are larger; the learning rate rises and falls once, which makes one epoch enough; the network is
smaller; and once the learning rate has risen, each batch is looked at without a graph, and only the quarter with the
greatest losses is learnt from (Jiang et al., Accelerating Deep Learning by Focusing on the Biggest Losers, 2019): a
look costs a third of a step, and most digits are easy.

Three more are tried on top, each alone: channels last, which is how convolutions like to have their images in memory;
bfloat16, half of the bits; and torch.compile, whose time to compile stands apart (on CUDA it replays CUDA graphs).

In TensorBoard: Images, `steps`: how long, how good; Scalars, the loss of a batch, step by step; HParams, what each step
changed.

Alone: it measures time.

    python -m tme3.fast
    python -m tme3.fast --dataset mnist --data-root data
    python -m tme3.fast --dataset mnist --data-root data --steps "what is hard" --seeds 10
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from amal.data import ImageDataset, Images, Split
from amal.errors import did_you_mean
from amal.functional import cross_entropy, log_softmax, nll_loss
from amal.nn import fast_network
from amal.optim import Adam
from amal.plots import new_figure
from amal.runs import Outcome, launch
from amal.seeds import generator
from amal.training import Logbook, RunConfig, epoch_batches, evaluate, require, require_some
from amal.training.device import synchronize
from amal.training.evaluation import Model
from tme3._images import ImageConfig, accuracy, one_cycle, seeded

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Recipe:
    """How to train: what a step may change."""

    in_memory: bool = False
    fused: bool = False
    """Whether the loss is one operation, cross_entropy, rather than log_softmax and nll_loss."""
    batch_size: int = 64
    epochs: float = 3.0
    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    cycle: bool = False
    """Whether the learning rate rises to `lr`, then falls to 0."""
    small: bool = False
    """Whether the first convolution takes every second place only, in two thirds of the channels."""
    hard: float | None = None
    """The share of each batch, that with the greatest losses, that is learnt from."""
    channels_last: bool = False
    bfloat16: bool = False
    compile: bool = False


STEPS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "images in memory": {"in_memory": True},
    "fused loss": {"fused": True},
    "larger batches": {"batch_size": 256, "lr": 0.002},
    "one cycle": {"cycle": True, "lr": 0.01, "betas": (0.7, 0.9), "epochs": 1.0},
    "smaller network": {"small": True},
    "what is hard": {"hard": 0.25, "epochs": 1.3, "lr": 0.015},
}
"""Name -> what it changes, on top of those before."""
EXTRAS: dict[str, dict[str, Any]] = {
    "channels last": {"channels_last": True},
    "bfloat16": {"bfloat16": True},
    "compiled": {"compile": True},
}
"""Name -> what it changes, on top of all steps."""
CHANGES = STEPS | EXTRAS
RISE = 0.2
"""Share of the steps after which only what is hard is learnt from: that in which the learning rate rises."""


@dataclass(frozen=True)
class Config(RunConfig, ImageConfig):
    """Which steps, how often."""

    steps: tuple[str, ...] = (*STEPS, "channels last", "bfloat16")
    """Some of "as usual", "images in memory", "fused loss", "larger batches", "one cycle", "smaller network", "what is
    hard", and of "channels last", "bfloat16", "compiled"."""
    times: int | None = None
    """Factor of the epochs of every recipe; default: 1, and 5 for digits, of which there are few."""
    seeds: int = 1
    """Trainings of each step, with the seeds from --seed on; accuracies are means, seconds medians."""
    device: str = "auto"
    """Where to compute: auto (CUDA if there is one, else the CPU), cpu, cuda, cuda:N or mps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "seeds")
        if self.times is not None:
            require_some(self, "times")
        for name in self.steps:
            hint = did_you_mean(name, CHANGES)
            require(name in CHANGES, f"--steps {name}{hint}: expected some of {'; '.join(CHANGES)}")


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    model: nn.Module
    seconds: float
    """Of training alone: neither start-up, nor compilation, nor the look at the test set."""
    start_up: float
    """Of building the model and, if it is compiled, of its first step."""
    losses: list[Tensor]
    """After each step, on the device."""


def recipes() -> dict[str, Recipe]:
    """Return name -> recipe: steps build on one another, extras on all of them."""
    recipe, recipes_by_name = Recipe(), {}
    for name, change in STEPS.items():
        recipe = recipes_by_name[name] = replace(recipe, **change)
    return recipes_by_name | {name: replace(recipe, **change) for name, change in EXTRAS.items()}


def train(data: Images, recipe: Recipe, seed: int) -> Trained:
    """Train a network as a recipe says, on images that lie on the device; shift and scale of pixels are left alone."""
    synchronize()
    started = time.perf_counter()
    model = seeded(seed, lambda: fast_network(data.shape, len(data.classes), recipe.small)).to(data.train.input.device)
    part = data.train
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
        part = Split(part.input.to(memory_format=torch.channels_last), part.target)
    forward = compiled(model, part, recipe) if recipe.compile else model
    optimizer = Adam(model.parameters(), recipe.lr, recipe.betas)
    total = round(recipe.epochs * len(part.input) / recipe.batch_size)
    schedule = one_cycle(optimizer, total) if recipe.cycle else None
    losses = []
    synchronize()
    begun = time.perf_counter()
    for step, (input, target) in enumerate(islice(batches(part, recipe, seed), total)):
        if recipe.hard and step > RISE * total:
            input, target = hardest(forward, input, target, recipe)
        optimizer.zero_grad()
        loss = loss_of(forward, input, target, recipe)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if schedule:
            schedule.step()
        losses.append(loss.detach())
    synchronize()
    return Trained(model, time.perf_counter() - begun, begun - started, losses)


def loss_of(model: Model, input: Tensor, target: Tensor, recipe: Recipe, reduction: str = "mean") -> Tensor:
    """Return the cross-entropy, computed in bfloat16 where the recipe says so and autocast thinks it safe."""
    low = torch.autocast(input.device.type, torch.bfloat16) if recipe.bfloat16 else nullcontext()
    with low:
        logits = model(input)
        if recipe.fused:
            return cross_entropy(logits, target, reduction=reduction)
        return nll_loss(log_softmax(logits, 1), target, reduction=reduction)


@torch.no_grad()
def hardest(model: Model, input: Tensor, target: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return the examples of a batch whose losses are the greatest."""
    assert recipe.hard is not None
    losses = loss_of(model, input, target, recipe, reduction="none")
    rows = losses.topk(max(1, round(recipe.hard * len(losses))), sorted=False).indices
    return input[rows], target[rows]


def batches(part: Split, recipe: Recipe, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches without end, each epoch in another order."""
    if recipe.in_memory:
        for epoch in count(1):
            yield from epoch_batches(part, recipe.batch_size, seed, epoch)
    dataset = ImageDataset(Split(part.input.cpu(), part.target.cpu()))
    loader = DataLoader(dataset, recipe.batch_size, shuffle=True, generator=generator(seed, "loader"))
    for input, target in chain.from_iterable(loader for _ in count()):
        yield input.reshape(-1, *part.input.shape[1:]).to(part.input.device), target.to(part.input.device)


def compiled(model: nn.Module, part: Split, recipe: Recipe) -> Any:
    """Return the model compiled, after a first step of each kind: compilation is not training."""
    mode = "reduce-overhead" if part.input.is_cuda else "default"
    forward = torch.compile(model, mode=mode)
    input, target = part.input[: recipe.batch_size], part.target[: recipe.batch_size]
    for _ in range(3):  # CUDA graphs are recorded at the second and third
        for size in {recipe.batch_size, round((recipe.hard or 1) * recipe.batch_size)}:
            loss_of(forward, input[:size], target[:size], recipe).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            loss_of(forward, input, target, recipe, reduction="none")
    model.zero_grad()
    return forward


def test_accuracy(model: nn.Module, part: Split) -> float:
    """Return the share of images whose class is found."""
    return evaluate(model, {"accuracy": accuracy}, part, 1000)["accuracy"]


def run(config: Config, logbook: Logbook) -> Outcome:
    """Train with each recipe, and say how long it took and how good it is."""
    data = config.load(config.seed, config.device)
    times = config.times or (5 if config.dataset == "digits" else 1)
    chosen = {
        name: replace(recipe, epochs=times * recipe.epochs)
        for name, recipe in recipes().items()
        if name in config.steps
    }
    seconds, accuracies, start_up = {}, {}, {}
    for name, recipe in chosen.items():
        trained = [train(data, recipe, seed) for seed in range(config.seed, config.seed + config.seeds)]
        seconds[name] = sorted(one.seconds for one in trained)[len(trained) // 2]
        start_up[name] = max(one.start_up for one in trained)
        accuracies[name] = sum(test_accuracy(one.model, data.test) for one in trained) / len(trained)
        book = logbook.child(name)
        for step, loss in enumerate(torch.stack(trained[0].losses).tolist()):
            book.scalar("loss of a batch", loss, step)
        book.text("changed", ", ".join(f"{key} = {value}" for key, value in CHANGES[name].items()) or "nothing yet")
        results = {"accuracy_test": accuracies[name], "seconds": seconds[name]}
        book.settings({"step": name, "dataset": config.dataset, **settings_of(recipe)}, results)
    first = next(iter(seconds))
    lines = [
        f"| {data.name} | changed | s | faster than {first} | accuracy, test | start-up, s |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name in chosen:
        what = ", ".join(f"{key} {value}" for key, value in CHANGES[name].items())
        faster = seconds[first] / seconds[name]
        lines.append(
            f"| {name} | {what} | {seconds[name]:.2f} | {faster:.1f}x | {accuracies[name]:.4f} | {start_up[name]:.2f} |"
        )
    print("\n".join(lines))
    logbook.text("steps", "\n".join(lines))
    logbook.figure("steps", drawn(seconds, accuracies, f"{data.name}: training, step by step"), 0)
    sentence = ", ".join(f"{name} {seconds[name]:.2f} s / {accuracies[name]:.4f}" for name in chosen)
    metrics = {
        f"{name}_{what}": values[name]
        for name in chosen
        for what, values in (("seconds", seconds), ("test", accuracies))
    }
    return Outcome(f"{data.name}, training / accuracy on test: {sentence}", metrics)


def drawn(seconds: Mapping[str, float], accuracies: Mapping[str, float], title: str) -> "Figure":
    """Draw the steps as points: how long, how good; the way leads to the left."""
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = new_figure(7.0, 4.0)
    axes = figure.add_subplot(title=title, xlabel="seconds of training", ylabel="accuracy on test", xscale="log")
    way = [name for name in STEPS if name in seconds]
    axes.plot([seconds[name] for name in way], [accuracies[name] for name in way], color="0.8", zorder=0)
    for name in seconds:
        axes.plot(seconds[name], accuracies[name], "o" if name in STEPS else "s", label=name)
    figure.legend(loc="outside right center", fontsize=8)  # beside the points, names would cover each other
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    return figure


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe as hyper-parameters."""
    return {
        name: str(value) if isinstance(value, tuple) else value
        for name, value in vars(recipe).items()
        if value is not None
    }


if __name__ == "__main__":
    launch(run)
