"""What a checkpoint holds, as types: the one place where a saved training is taken apart, and every part is checked.

A checksum says that a file is as it was written, not that it was written by this training: another version, another
script, or a person with an editor may have made it. So each value is held against what the training at hand would
have written: the same fields, the same kinds, the same shapes, and numbers that agree with each other. What does not is
an `Unfit`, whose text is the rest of a sentence that begins "checkpoint X".
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer

from .evaluation import PARTS, Progress, Row
from .fields import (
    Saved,
    Unfit,
    differing_model,
    is_ours,
    require_fields,
    require_kind,
    require_optimizer,
    require_random_states,
)

TRAINING = ("model", "optimizer", "scheduler", "kinds", "progress", "random", "config")
"""Fields of a checkpoint of `fit`. `updated` besides, which early files lack, tells which parameters the optimizer
keeps something of: those that ever had a gradient."""
SWEEP_ROW = ("epoch", "step", "seconds")
TRAINING_ROW = (*SWEEP_ROW, "learning rate")
"""What stands in every row of a history, the metrics apart."""


@dataclass(frozen=True)
class State:
    """Of one training, whether alone or in a sweep: the model's state_dict, and how far it came."""

    model: dict[str, Tensor]
    progress: Progress


@dataclass(frozen=True)
class TrainingState(State):
    """Of a training by `fit`: what decides its next step besides."""

    optimizer: Saved
    scheduler: Saved | None
    random: list[Saved]
    """The random states of every process."""


def read_training(
    saved: Saved,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    metrics: Iterable[str],
    steps: int,
) -> TrainingState:
    """Return what a checkpoint of `fit` holds.

    Args:
        saved: the content of the file.
        model, optimizer, scheduler: of the training at hand; left as they are.
        metrics: names of what each look measures, the loss among them.
        steps: of an epoch.

    Raises:
        Unfit: it is none of this training.
    """
    require_fields(saved, TRAINING, "", optional=("format", "updated"))
    kinds = kinds_of(optimizer, scheduler)
    require_kind(saved["kinds"], kinds, "kinds")
    if saved["kinds"] != kinds:
        raise Unfit(f"is of another training ({', '.join(saved['kinds'])} there, {', '.join(kinds)} here)")
    require_kind(saved["config"], {}, "config", deeply=False)
    weights = _model(saved["model"], model, "model")
    progress = _progress(saved["progress"], model, "progress", (*TRAINING_ROW, *_measures(metrics)), steps)
    at = (progress.epoch - 1) * steps + progress.batch
    if progress.epoch < 1 or not 0 <= progress.batch < steps or progress.step != at:
        raise Unfit(
            f"is of another training (step {progress.step} there is step {progress.batch} of epoch {progress.epoch}; "
            f"here an epoch has {steps} steps)"
        )
    require_optimizer(saved["optimizer"], optimizer, saved.get("updated"))
    if scheduler is None:
        require_kind(saved["scheduler"], None, "scheduler")
    else:
        require_kind(saved["scheduler"], scheduler.state_dict(), "scheduler", deeply=is_ours(scheduler))
    require_random_states(saved["random"])
    return TrainingState(weights, progress, saved["optimizer"], saved["scheduler"], saved["random"])


def read_sweep(saved: Saved, models: Sequence[nn.Module], metrics: Iterable[str], steps: Sequence[int]) -> list[State]:
    """Return what a checkpoint of `fit_together` holds of each member.

    Args:
        saved: the content of the file.
        models: of the members at hand; left as they are.
        metrics: names of what each look measures, the loss among them.
        steps: of an epoch of each member.

    Raises:
        Unfit: it is none of this sweep.
    """
    if not {"models", "progress"} <= saved.keys():
        raise Unfit("is of no sweep")
    require_fields(saved, ("models", "progress"), "", optional=("format",))
    for name in ("models", "progress"):
        require_kind(saved[name], [], name, deeply=False)
        if len(saved[name]) != len(models):
            raise Unfit(f"is of another sweep ({len(saved[name])} {name} there, {len(models)} here)")
    row = (*SWEEP_ROW, *_measures(metrics))
    members = zip(models, saved["models"], saved["progress"], steps, strict=True)
    return [
        State(
            _model(state, model, f"models.{place}", finite=False),
            _progress(progress, model, f"progress.{place}", row, epoch),
        )
        for place, (model, state, progress, epoch) in enumerate(members)
    ]


def kinds_of(optimizer: Optimizer, scheduler: LRScheduler | None) -> list[str]:
    """Return the names of the classes of optimizer and scheduler."""
    return [type(part).__name__ for part in (optimizer, scheduler)]


def _model(state: Any, model: nn.Module, place: str, finite: bool = True) -> dict[str, Tensor]:
    """Return the state_dict of a model."""
    require_kind(state, {}, place, deeply=False)
    if wrong := differing_model(model, state):
        raise Unfit(wrong)
    require_kind(state, model.state_dict(), place, deeply=_is_plain(model))
    for name, _ in model.named_parameters() if finite else ():
        if not bool(state[name].isfinite().all()):
            raise Unfit(f"is odd: its {place}.{name} is infinite or NaN")
    return state  # type: ignore[no-any-return]


def _is_plain(model: nn.Module) -> bool:
    """Whether a model's state_dict holds tensors alone, and no extra state of a module."""
    return all(isinstance(value, Tensor) for value in model.state_dict().values())


def _measures(metrics: Iterable[str]) -> list[str]:
    return [f"{name}/{part}" for name in metrics for part in PARTS]


def _progress(saved: Any, model: nn.Module, place: str, row: Sequence[str], steps: int) -> Progress:
    """Return how far a training came, its numbers checked against each other."""
    require_fields(saved, (field.name for field in fields(Progress)), place)
    plain = {name: value for name, value in vars(Progress()).items() if name not in ("history", "best_model")}
    require_kind({name: saved[name] for name in plain}, plain, place)
    history, best, seconds = saved["history"], saved["best"], saved["seconds"]
    require_kind(history, [], f"{place}.history", deeply=False)
    for number, entry in enumerate(history):
        _row(entry, f"{place}.history.{number}", row, steps)
    if not history and saved["step"] == 0 and saved["best_model"] == {}:
        return Progress()  # a member of a sweep whose turn has not come
    looks = [entry["step"] for entry in history]
    if not looks or looks != sorted(set(looks)) or looks[0] != 0 or looks[-1] > saved["step"]:
        raise Unfit(f"is odd: its {place}.history has the steps {looks[:3]}…, and {place}.step is {saved['step']}")
    if best != least([entry["loss/validation"] for entry in history]):
        raise Unfit(f"is odd: its {place}.best is {best}, where the validation loss was not least")
    if not 0 <= seconds < math.inf:
        raise Unfit(f"is odd: its {place}.seconds is {seconds}")
    best_model = _model(saved["best_model"], model, f"{place}.best_model", finite=False)
    return Progress(**{**saved, "history": [dict(entry) for entry in history], "best_model": best_model})


def least(losses: Sequence[float]) -> int:
    """Return where a loss was least, as `Progress.note` finds it."""
    best = 0
    for number, value in enumerate(losses):
        if value < losses[best]:
            best = number
    return best


def _row(entry: Any, place: str, names: Sequence[str], steps: int) -> Row:
    require_fields(entry, names, place, optional=("gradient/norm",))
    for name, value in entry.items():
        require_kind(value, 0 if name in ("epoch", "step") else 0.0, f"{place}.{name}")
    if entry["step"] != entry["epoch"] * steps:
        raise Unfit(
            f"is of another training (epoch {entry['epoch']} ended with step {entry['step']} there; "
            f"here an epoch has {steps} steps)"
        )
    return dict(entry)
