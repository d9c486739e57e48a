"""The content of a checkpoint: its fields, the number of their format, upgrades from older ones.

Whoever adds, removes or renames a field raises FORMAT, and adds a function to UPGRADES that makes
the new fields of the old ones. So every checkpoint that amal ever wrote can be resumed from.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer

from .evaluation import Row
from .fields import CheckpointError, Saved

FORMAT = 2


@dataclass
class Progress:
    """How far one training has come."""

    step: int = 0
    """Steps taken in all."""
    seconds: float = 0.0
    """Spent in training until the last evaluation or checkpoint, interruptions left out."""
    history: list[Row] = field(default_factory=list)
    """One row for each evaluation."""
    best: int = 0
    """The row with the least validation loss."""
    best_model: dict[str, Tensor] = field(default_factory=dict)
    """The model's state_dict at that row."""

    @property
    def last_row(self) -> Row:
        """The row of the last evaluation."""
        return self.history[-1]

    @property
    def best_row(self) -> Row:
        """The row with the least validation loss."""
        return self.history[self.best]

    def note(self, row: Row, model: nn.Module) -> None:
        """Add the row of an evaluation; keep the model if its validation loss is the least."""
        self.history.append(row)
        if len(self.history) == 1 or row["loss/validation"] < self.best_row["loss/validation"]:
            self.best = len(self.history) - 1
            state = model.state_dict()
            self.best_model = {name: value.detach().clone() for name, value in state.items()}


@dataclass(frozen=True)
class State:
    """All that decides how a training goes on: that of `fit`, or those of `fit_together`."""

    models: list[dict[str, Tensor]]
    """The state_dict of each model: of one in `fit`, of each member in `fit_together`."""
    progress: list[Progress]
    """How far the training of each model has come."""
    kinds: list[str]
    """The classes of optimizer and scheduler, NoneType for None."""
    optimizer: Saved | None = None
    """The optimizer's state_dict. `fit_together` has none: its gradient descent keeps nothing."""
    updated: list[int] = field(default_factory=list)
    """The parameters of which the optimizer keeps something: those that ever had a gradient."""
    scheduler: Saved | None = None
    """The scheduler's state_dict."""
    random: list[Saved] = field(default_factory=list)
    """`random_states()`, of every process. `fit_together` has none."""
    config: Saved = field(default_factory=dict)
    """The settings, for whoever opens the file; nothing reads them."""

    def content(self) -> Saved:
        """Return it as plain data, with the number of its format."""
        progress = [vars(each) for each in self.progress]
        return {"format": FORMAT, **vars(self), "progress": progress}


def class_names(optimizer: Optimizer | None, scheduler: LRScheduler | None) -> list[str]:
    """Return the names of the classes of optimizer and scheduler."""
    return [type(part).__name__ for part in (optimizer, scheduler)]


def upgrade(content: Any) -> Saved:
    """Return the content of a checkpoint of any format in today's.

    Raises:
        CheckpointError: the format is unknown, or what is there is none of that format.
    """
    if not isinstance(content, dict) or "format" not in content:
        raise CheckpointError("is not one of amal's")
    number = content["format"]
    if type(number) is not int or not 1 <= number <= FORMAT:
        raise CheckpointError(f"is of format {number}, and this version of amal reads formats 1 to {FORMAT}")
    upgraded: Saved = content
    for older in range(number, FORMAT):
        upgraded = {**_next_format(upgraded, older), "format": older + 1}
    return upgraded


def _next_format(content: Saved, number: int) -> Saved:
    try:
        return UPGRADES[number](content)
    except Exception as error:  # a file may be wrong in any way
        reason = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"is odd, and none of format {number} ({reason})") from None


def _from_format_1(content: Saved) -> Saved:
    """Format 1 had other fields in `fit` (model, progress, ...) than in `fit_together` (models, progress).

    Progress also held the epoch and the batch, which follow from the step. The first files have no
    `updated`, and no learning rate in their rows.
    """
    content = dict(content)
    if "models" in content:
        content = {**vars(State([], [], class_names(None, None))), **content}
        rows: dict[str, Any] = {}
    else:
        content["models"], content["progress"] = [content.pop("model")], [content["progress"]]
        content.setdefault("updated", list(content["optimizer"]["state"]))
        rows = {"learning rate": math.nan}
    content["progress"] = [
        {name: value for name, value in progress.items() if name not in ("epoch", "batch")}
        | {"history": [rows | row for row in progress["history"]]}
        for progress in content["progress"]
    ]
    return content


UPGRADES: dict[int, Callable[[Saved], Saved]] = {1: _from_format_1}
"""Format -> the function that leads a checkpoint of it to the next format."""
