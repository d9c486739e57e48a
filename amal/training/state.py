"""What a checkpoint holds, as types: the one place where a saved training is taken apart, and every part is checked.

A checksum says that a file is as it was written, not that it was written by this training: another version, another
script, or a person with an editor may have made it. So each value is held against what the training at hand would
have written: the same fields, the same kinds, the same shapes, and numbers that agree with each other. What does not is
an `Unfit`, whose text is the rest of a sentence that begins "checkpoint X".
"""

import copy
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer

from .looks import PARTS, Progress, Row

Saved = dict[str, Any]
OURS = ("torch.", "amal.")
"""Modules whose optimizers and schedulers keep the same fields from their first step to their last."""
TRAINING = ("model", "optimizer", "scheduler", "kinds", "progress", "random", "config")
"""Fields of a checkpoint of `fit`. `updated` besides, which early files lack, tells which parameters the optimizer
keeps something of: those that ever had a gradient."""
SWEEP_ROW = ("epoch", "step", "seconds")
TRAINING_ROW = (*SWEEP_ROW, "learning rate")
"""What stands in every row of a history, the metrics apart."""


class Unfit(Exception):
    """A checkpoint cannot be gone on from; why, as the rest of a sentence that begins with its name."""


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
    _need(saved, TRAINING, "", optional=("format", "updated"))
    kinds = kinds_of(optimizer, scheduler)
    _kind(saved["kinds"], kinds, "kinds")
    if saved["kinds"] != kinds:
        raise Unfit(f"is of another training ({', '.join(saved['kinds'])} there, {', '.join(kinds)} here)")
    _kind(saved["config"], {}, "config", deeply=False)
    weights = _model(saved["model"], model, "model")
    progress = _progress(saved["progress"], model, "progress", (*TRAINING_ROW, *_measures(metrics)), steps)
    at = (progress.epoch - 1) * steps + progress.batch
    if progress.epoch < 1 or not 0 <= progress.batch < steps or progress.step != at:
        raise Unfit(
            f"is of another training (step {progress.step} there is step {progress.batch} of epoch {progress.epoch}; "
            f"here an epoch has {steps} steps)"
        )
    _optimizer(saved["optimizer"], optimizer, saved.get("updated"))
    if scheduler is None:
        _kind(saved["scheduler"], None, "scheduler")
    else:
        _kind(saved["scheduler"], scheduler.state_dict(), "scheduler", deeply=_is_ours(scheduler))
    return TrainingState(weights, progress, saved["optimizer"], saved["scheduler"], _random_states(saved["random"]))


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
    _need(saved, ("models", "progress"), "", optional=("format",))
    for name in ("models", "progress"):
        _kind(saved[name], [], name, deeply=False)
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


def differing_model(model: nn.Module, state: Mapping[str, Any]) -> str | None:
    """Say in what a state_dict is of another model; None if it is of this one."""
    for kind in (_shape, _dtype):
        ours, theirs = ({name: kind(value) for name, value in each.items()} for each in (model.state_dict(), state))
        for name in {**ours, **theirs}:
            here, there = ours.get(name, "absent"), theirs.get(name, "absent")
            if here != there:
                return f"is of another model ({name} is {there} there, {here} here)"
    return None


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else f"no tensor but {_name(value)}"


def _dtype(value: Any) -> Any:
    return value.dtype if isinstance(value, Tensor) else type(value)


def _name(value: Any) -> str:
    """Name the kind of a value."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}"
    return "None" if value is None else f"of type {type(value).__name__}"


def _is_ours(part: object) -> bool:
    return f"{type(part).__module__}.".startswith(OURS)


def _need(found: Any, names: Iterable[Any], place: str, optional: Iterable[Any] = ()) -> None:
    """Refuse anything but a mapping with these fields, and perhaps the optional ones."""
    _kind(found, {}, place, deeply=False)
    names = dict.fromkeys(names)
    where = f" in its {place}" if place else ""
    for name in names:
        if name not in found:
            raise Unfit(f"lacks the field {name!r}{where}")
    for name in found:
        if name not in names and name not in (*optional,):
            raise Unfit(f"holds the field {name!r}{where}, which is none of this training")


def _kind(found: Any, ours: Any, place: str, deeply: bool = True) -> None:
    """Refuse a value that is not made as ours is, all through if `deeply`: fields, lengths, types, shapes.

    A learning rate may be a fraction where it began as a whole number.
    """
    ours_is_list = isinstance(ours, (list, tuple))
    if isinstance(ours, Mapping):
        fits = isinstance(found, Mapping)
    elif ours_is_list:
        fits = isinstance(found, (list, tuple))
    elif isinstance(ours, Tensor):
        fits = isinstance(found, Tensor) and (_shape(found), _dtype(found)) == (_shape(ours), _dtype(ours))
        fits = fits and found.layout is ours.layout and not found.is_meta
    elif type(ours) in (int, float):
        fits = type(found) in (int, float) if type(ours) is float or "lr" in place else type(found) is int
    else:
        fits = type(found) is type(ours)
    if not fits:
        raise Unfit(f"is odd: its {place} is {_name(found)}, and not {_name(ours)}")
    if not deeply:
        return
    if isinstance(ours, Mapping):
        _need(found, ours, place)
        for name, value in ours.items():
            _kind(found[name], value, f"{place}.{name}")
    elif ours_is_list:
        if len(found) != len(ours):
            raise Unfit(f"is odd: its {place} has {len(found)} entries, and not {len(ours)}")
        for number, value in enumerate(ours):
            _kind(found[number], value, f"{place}.{number}")


def _model(state: Any, model: nn.Module, place: str, finite: bool = True) -> dict[str, Tensor]:
    """Return the state_dict of a model."""
    _kind(state, {}, place, deeply=False)
    if wrong := differing_model(model, state):
        raise Unfit(wrong)
    _kind(state, model.state_dict(), place, deeply=_is_plain(model))
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
    _need(saved, (field.name for field in fields(Progress)), place)
    plain = {name: value for name, value in vars(Progress()).items() if name not in ("history", "best_model")}
    _kind({name: saved[name] for name in plain}, plain, place)
    history, best, seconds = saved["history"], saved["best"], saved["seconds"]
    _kind(history, [], f"{place}.history", deeply=False)
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
    _need(entry, names, place, optional=("gradient/norm",))
    for name, value in entry.items():
        _kind(value, 0 if name in ("epoch", "step") else 0.0, f"{place}.{name}")
    if entry["step"] != entry["epoch"] * steps:
        raise Unfit(
            f"is of another training (epoch {entry['epoch']} ended with step {entry['step']} there; "
            f"here an epoch has {steps} steps)"
        )
    return dict(entry)


def _optimizer(saved: Any, optimizer: Optimizer, updated: Any) -> None:
    """Refuse the state_dict of an optimizer that is not made as this one's."""
    _need(saved, ("state", "param_groups"), "optimizer")
    state, groups = saved["state"], saved["param_groups"]
    _kind(state, {}, "optimizer.state", deeply=False)
    _kind(groups, [], "optimizer.param_groups", deeply=False)
    for number, group in enumerate(groups):
        _kind(group, {}, f"optimizer.param_groups.{number}", deeply=False)
        if not isinstance(group.get("params"), list):
            raise Unfit(f"is odd: its optimizer.param_groups.{number} names no parameters")
    ours = [group["params"] for group in optimizer.state_dict()["param_groups"]]
    theirs = [group["params"] for group in groups]
    if [len(params) for params in theirs] != [len(params) for params in ours]:
        lengths = [[len(params) for params in each] for each in (theirs, ours)]
        raise Unfit(f"is of another training (parameters in groups of {lengths[0]} there, {lengths[1]} here)")
    _kind(theirs, ours, "optimizer.param_groups.params")
    if theirs != ours:
        raise Unfit("is odd: its optimizer.param_groups name the parameters in another order")
    if updated is not None:
        _kind(updated, list(state), "updated")
        if updated != list(state):
            raise Unfit("is odd: its optimizer.state is not of the parameters that were updated")
    trial = copy.deepcopy(optimizer)
    after_a_step = _after_a_step(trial) if _is_ours(optimizer) else None
    try:
        trial.load_state_dict(saved)
    except Exception as error:  # a state may be wrong in any way
        raise Unfit(f"is odd: its optimizer cannot be put back ({type(error).__name__})") from None
    if after_a_step is None:
        return
    # What an older torch did not save yet, `load_state_dict` has added.
    _kind(trial.state_dict()["param_groups"], after_a_step["param_groups"], "optimizer.param_groups")
    for number, entry in state.items():
        _need(after_a_step["state"], (), "optimizer.state", optional=after_a_step["state"])
        if number not in after_a_step["state"]:
            raise Unfit(f"is odd: its optimizer.state holds {number!r}, which is no parameter of this training")
        _kind(entry, after_a_step["state"][number], f"optimizer.state.{number}")


def _after_a_step(optimizer: Optimizer) -> Saved:
    """Return the state_dict of an optimizer, and thereby what fields it keeps, after a step against no gradient."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            zero = torch.zeros_like(parameter)
            parameter.grad = zero.to_sparse() if isinstance(optimizer, torch.optim.SparseAdam) else zero
    optimizer.step()
    return copy.deepcopy(optimizer.state_dict())


def _random_states(saved: Any) -> list[Saved]:
    """Return the random states of every process, each tried on a generator that nobody uses."""
    _kind(saved, [], "random", deeply=False)
    if not saved:
        raise Unfit("is odd: its random has no entries")
    for number, state in enumerate(saved):
        _need(state, ("torch", "cuda", "python", "numpy"), f"random.{number}")
        try:
            torch.Generator().set_state(state["torch"])
            _, _, gauss = state["python"]
            random.Random().setstate(state["python"])
            name, keys, position, has_gauss, cached = state["numpy"]
            np.random.RandomState().set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
            sound = gauss is None or type(gauss) is float
            sound = sound and 0 <= position <= len(keys) and keys.dtype is torch.int64
            if state["cuda"] is not None:
                sound = sound and state["cuda"].dtype is torch.uint8
                if torch.cuda.is_available():
                    torch.Generator("cuda").set_state(state["cuda"])
        except Exception:  # a state may be wrong in any way
            sound = False
        if not sound:
            raise Unfit(f"is odd: its random.{number} is no state of the generators of random numbers")
    return list(saved)
