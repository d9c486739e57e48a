"""The knobs of an experiment: a frozen dataclass that is its own command line."""

import math
from dataclasses import dataclass
from pathlib import Path

from amal.errors import UserError

from .device import choose_device


@dataclass(frozen=True)
class RunConfig:
    """What every experiment can be told."""

    run_dir: Path | None = None
    """Folder to write this run to; it must not hold a run already. Default: runs/<lab>/<experiment>/<date and time>."""
    seed: int = 0
    """Of everything that is drawn at random: data, initial weights, order of the examples."""
    progress: bool = True
    """Show a progress bar (never shown in a pipe)."""

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"--seed {self.seed}: expected 0 or more, and below 2^63")


@dataclass(frozen=True)
class DescentConfig(RunConfig):
    """What every experiment that descends a gradient can be told."""

    epochs: int = 100
    """Passes over the training set."""
    lr: float = 0.1
    """Learning rate (the sheet's ε): how far a step goes against the gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs >= 1, f"--epochs {self.epochs}: expected at least 1")
        require(0 < self.lr < math.inf, f"--lr {self.lr}: expected a positive number")


@dataclass(frozen=True)
class TrainingConfig(DescentConfig):
    """What every experiment that trains a model can be told."""

    device: str = "auto"
    """Where to compute: auto (CUDA if there is one, else the CPU), cpu, cuda, cuda:N or mps."""
    batch_size: int | None = None
    """Examples per step; None for the whole training set at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        choose_device(self.device)
        require(self.batch_size is None or self.batch_size >= 1, f"--batch-size {self.batch_size}: expected at least 1")


def require(holds: bool, complaint: str) -> None:
    """Raise UserError with the complaint unless the condition holds."""
    if not holds:
        raise UserError(complaint)
