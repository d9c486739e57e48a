"""The settings of an experiment: a frozen dataclass that is its own command line."""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from amal.errors import UserError

from .device import choose_device


@dataclass(frozen=True)
class RunConfig:
    """The settings of every experiment."""

    run_dir: Path | None = None
    """Folder of this run; it must not hold one already. Default: runs/<lab>/<experiment>/<date and time>."""
    seed: int = 0
    """Of everything that is drawn at random: data, initial weights, order of the examples."""
    progress: bool = True
    """Show a progress bar (never shown in a pipe)."""

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"--seed {self.seed}: expected 0 or more, and below 2^63")


@dataclass(frozen=True)
class DescentConfig(RunConfig):
    """The settings of every experiment that descends a gradient."""

    epochs: int = 100
    """Passes over the training set."""
    lr: float = 0.1
    """Learning rate (the sheet's ε): how far a step goes against the gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "epochs")
        require_positive(self, "lr")


@dataclass(frozen=True)
class SweepConfig(RunConfig):
    """The settings of every experiment that trains models of its own settings."""

    device: str = "auto"
    """Where to compute: auto (CUDA if there is one, else the CPU), cpu, cuda, cuda:N or mps."""
    evaluate_every: int = 1
    """Epochs from one evaluation on all data to the next; milestones apart."""
    checkpoint_every: int = 1000
    """Steps from one checkpoint to the next; one is written at the end, and when a signal stops the run."""
    resume: bool = False
    """Resume the run in --run-dir from its newest good checkpoint; start it if there is none yet."""
    compile: bool = False
    """Let torch.compile fuse the operations of model and loss."""
    amp: Literal["off", "bf16"] = "off"
    """Automatic mixed precision: bf16 for matrix products in bfloat16."""

    def __post_init__(self) -> None:
        super().__post_init__()
        choose_device(self.device)
        require_some(self, "evaluate_every", "checkpoint_every")
        require(not self.resume or self.run_dir is not None, "--resume: say which run, with --run-dir")


@dataclass(frozen=True)
class TrainingConfig(SweepConfig, DescentConfig):
    """The settings of every experiment that trains a model."""

    batch_size: int | None = None
    """Examples per step; None for the whole training set at once."""
    patience: int | None = None
    """Stop early after so many evaluations without a better validation loss; None for never."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "batch_size", "patience")


HARMLESS = ("run_dir", "data_root", "resume", "epochs", "device", "progress", "checkpoint_every")
"""Settings that may differ when a run is resumed: where things lie, how long to train, what is shown.

All others decide the results. So does `evaluate_every`: when `patience` ends, and which points a
curve has.
"""


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say which settings of a run to be resumed differ, without those that may."""
    pairs = {name: (earlier.get(name), now.get(name)) for name in {**earlier, **now}}
    return [
        f"{_short(name)} was {_short(old)} and is now {_short(new)}"
        for name, (old, new) in pairs.items()
        if name not in HARMLESS and old != new
    ]


def _short(value: Any) -> str:
    """Write a setting on one line, whatever a damaged file holds: '0.1' in quotes is not 0.1."""
    if isinstance(value, str) and value.isidentifier():
        return value
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def require_positive(config: RunConfig, *names: str) -> None:
    """Raise UserError unless these numbers, or tuples of numbers, are positive and finite."""
    for name in names:
        value = getattr(config, name)
        for number in value if isinstance(value, tuple) else (value,):
            require(0 < number < math.inf, f"--{name.replace('_', '-')} {number}: expected a positive number")


def require_some(config: RunConfig, *names: str) -> None:
    """Raise UserError unless these whole numbers of a config are at least 1, or None."""
    for name in names:
        value = getattr(config, name)
        require(value is None or value >= 1, f"--{name.replace('_', '-')} {value}: expected at least 1")


def require(holds: bool, complaint: str) -> None:
    """Raise UserError with the complaint unless the condition holds."""
    if not holds:
        raise UserError(complaint)
