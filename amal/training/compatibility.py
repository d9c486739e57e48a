"""Whether a checkpoint is one of the training at hand: all is checked before any is used.

A checksum says that a file is as it was written, not that this training wrote it: another version,
another script, or a person with an editor may have. So each value is held against what the training
at hand would have written: the same fields, kinds and shapes, and numbers that agree with each
other. What differs is a CheckpointError, whose text is the rest of a sentence that begins
"checkpoint X".
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer

from .evaluation import PARTS
from .fields import (
    CheckpointError,
    Saved,
    keeps_its_fields,
    model_difference,
    require_fields,
    require_kind,
    require_optimizer,
)
from .random_states import require_random_states
from .state import Progress, State, class_names


def read_state(
    content: Saved,
    models: Sequence[nn.Module],
    steps: Sequence[int],
    metrics: Iterable[str],
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
) -> State:
    """Return the state that a checkpoint holds.

    Args:
        content: of the file, in today's format.
        models: of the training at hand; left as they are, like optimizer and scheduler.
        steps: of an epoch of each model.
        metrics: names of what each evaluation measures, the loss among them.
        optimizer, scheduler: of `fit`; None in `fit_together`.

    Raises:
        CheckpointError: it is none of this training.
    """
    require_fields(content, (field.name for field in fields(State)), "", optional=("format",))
    kinds = class_names(optimizer, scheduler)
    require_kind(content["kinds"], kinds, "kinds")
    if content["kinds"] != kinds:
        theirs, ours = (", ".join(each) for each in (content["kinds"], kinds))
        raise CheckpointError(f"is of another training ({theirs} there, {ours} here)")
    require_kind(content["config"], {}, "config", deeply=False)
    for name in ("models", "progress"):
        require_kind(content[name], [], name, deeply=False)
        if (number := len(content[name])) != len(models):
            raise CheckpointError(f"is of another training ({number} {name} there, {len(models)} here)")
    columns = ["epoch", "step", "seconds", *(["learning rate"] if optimizer else [])]
    columns += [f"{name}/{part}" for name in metrics for part in PARTS]
    progress = []
    for number, model in enumerate(models):
        # one member of many may diverge; one that trains alone stops before it is saved
        _require_model(content["models"][number], model, f"models.{number}", finite=optimizer is not None)
        entry, place = content["progress"][number], f"progress.{number}"
        progress.append(_progress(entry, model, place, columns, steps[number]))
    if optimizer is None:
        require_kind(content["optimizer"], None, "optimizer")
        require_kind(content["updated"], [], "updated")
        require_kind(content["random"], [], "random")
    else:
        require_optimizer(content["optimizer"], optimizer, content["updated"])
        require_random_states(content["random"])
    state = scheduler and scheduler.state_dict()
    require_kind(content["scheduler"], state, "scheduler", deeply=keeps_its_fields(scheduler))
    values = {field.name: content[field.name] for field in fields(State)}
    return State(**{**values, "progress": progress})


def _require_model(state: Any, model: nn.Module, place: str, finite: bool = False) -> None:
    """Refuse what is not the state_dict of a model; if `finite`, also one with infinite weights."""
    require_kind(state, {}, place, deeply=False)
    if difference := model_difference(model, state):
        raise CheckpointError(difference)
    expected = model.state_dict()
    has_extra_state = not all(isinstance(value, Tensor) for value in expected.values())
    require_kind(state, expected, place, deeply=not has_extra_state)
    for name, _ in model.named_parameters() if finite else ():
        if not bool(state[name].isfinite().all()):
            raise CheckpointError(f"is odd: its {place}.{name} is infinite or NaN")


def _progress(saved: Any, model: nn.Module, place: str, columns: Sequence[str], steps: int) -> Progress:
    """Return how far a training came, its numbers checked against each other."""
    require_fields(saved, (field.name for field in fields(Progress)), place)
    history, best, seconds = saved["history"], saved["best"], saved["seconds"]
    for name, value in (("step", 0), ("best", 0), ("seconds", 0.0)):
        require_kind(saved[name], value, f"{place}.{name}")
    require_kind(history, [], f"{place}.history", deeply=False)
    for number, row in enumerate(history):
        _require_row(row, f"{place}.history.{number}", columns, steps)
    if not history and saved["step"] == 0 and saved["best_model"] == {}:
        return Progress()  # a member of a sweep whose turn has not come
    rows = [row["step"] for row in history]
    if not rows or rows != sorted(set(rows)) or rows[0] != 0 or rows[-1] > saved["step"]:
        raise CheckpointError(
            f"is odd: its {place}.history has the steps {rows[:3]}…, and {place}.step is {saved['step']}"
        )
    losses = [row["loss/validation"] for row in history]
    if best != min(range(len(losses)), key=losses.__getitem__):  # as `Progress.note`, with NaN too
        raise CheckpointError(f"is odd: its {place}.best is {best}, where the validation loss was not least")
    if not 0 <= seconds < math.inf:
        raise CheckpointError(f"is odd: its {place}.seconds is {seconds}")
    _require_model(saved["best_model"], model, f"{place}.best_model")
    return Progress(**{**saved, "history": [dict(row) for row in history]})


def _require_row(row: Any, place: str, columns: Sequence[str], steps: int) -> None:
    """Refuse what is no row of a history, or one of epochs of another length."""
    require_fields(row, columns, place, optional=("gradient/norm",))
    for name, value in row.items():
        require_kind(value, 0 if name in ("epoch", "step") else 0.0, f"{place}.{name}")
    if row["step"] != row["epoch"] * steps:
        raise CheckpointError(
            f"is of another training (epoch {row['epoch']} ended with step {row['step']} there; "
            f"here an epoch has {steps} steps)"
        )
