"""The checkerboard and its networks, as experiments 2.5 to 2.7 train them: many at once, each on several seeds.

The sheet's convention: one thousand training points, the binary cross-entropy *summed* over a batch, and plain descent.
The width of the hidden layers is not reported; 48 has the best validation accuracy of 32, 40, 48 and 64.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

from torch import nn

from amal.data import Splits, checkerboard
from amal.functional import binary_cross_entropy_with_logits
from amal.nn import Linear, ReLU, Sequential, Tanh
from amal.training import (
    Checkpoints,
    Logbook,
    Member,
    Row,
    SweepConfig,
    choose_device,
    fit_together,
    require,
    require_some,
)
from tme2._classes import accuracy, seeded, watch, zero_one

POINTS = 1667
"""Drawn in all: 60 % of them, one thousand, are for training."""


@dataclass(frozen=True)
class BoardConfig(SweepConfig):
    """What a sweep on the checkerboard can be told."""

    evaluate_every: int = 50
    """Epochs from one look at the whole training, validation and test sets to the next; milestones apart."""
    width: int = 48
    """Neurons of each hidden layer."""
    seeds: int = 5
    """How many trainings of each setting, the first with --seed; their mean is reported."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.width <= 10_000, f"--width {self.width}: expected a size from 1 to 10000")
        require_some(self, "seeds")


@dataclass(frozen=True)
class Setting:
    """One way to train: what the members of a sweep differ in, seeds apart."""

    epochs: int = 1500
    batches: int = 10
    lr: float = 0.01
    layers: int = 4
    activation: Literal["tanh", "relu"] = "tanh"
    shuffle: bool = True
    looks: tuple[int, ...] = ()
    """Epochs after which to look, besides every so many."""


def network(layers: int, width: int, activation: Literal["tanh", "relu"]) -> nn.Module:
    """Return Linear, activation, Linear, ..., Linear: (n, 2) → (n, 1), the logit of class +1."""
    sizes = [2, *[width] * (layers - 1), 1]
    between = {"tanh": Tanh, "relu": ReLU}[activation]
    parts = [part for size in pairwise(sizes) for part in (Linear(*size), between())]
    return Sequential(*parts[:-1])


def train(
    settings: Sequence[Setting], config: BoardConfig, logbook: Logbook, draw: Sequence[tuple[Setting, Logbook]]
) -> dict[Setting, list[Member]]:
    """Train every setting on every seed.

    Args:
        settings: what to train.
        config: of the sweep.
        logbook: of the experiment; its folder holds the checkpoints.
        draw: settings to watch while they are trained, each with the logbook of its run: frontier, weights, graph.
    """
    device = choose_device(config.device)
    seeds = range(config.seed, config.seed + config.seeds)
    boards = {seed: board(seed).to(device) for seed in seeds}
    sweep = {
        setting: [
            Member(
                seeded(seed, network, setting.layers, config.width, setting.activation).to(device),
                boards[seed],
                setting.epochs,
                setting.lr,
                math.ceil(len(boards[seed].train) / setting.batches),
                seed,
                setting.shuffle,
                setting.looks,
            )
            for seed in seeds
        ]
        for setting in settings
    }
    watched = {sweep[setting][0]: book for setting, book in draw}
    for member, book in watched.items():
        book.graph(member.model, boards[config.seed].train.input[:2])

    def look(member: Member, row: Row) -> None:
        if member in watched:
            watch(watched[member], member.model, boards[config.seed], row, member.epochs)

    fit_together(
        [member for members in sweep.values() for member in members],
        partial(binary_cross_entropy_with_logits, reduction="none"),
        config,
        Checkpoints(logbook.folder / "checkpoints"),
        logbook,
        reduction="sum",
        metrics={"accuracy": accuracy},
        observe=look,
        name="checkerboard",
    )
    return sweep


def board(seed: int) -> Splits:
    """Return the points of a seed, their labels 0 and 1."""
    return zero_one(checkerboard(POINTS, seed=seed))
