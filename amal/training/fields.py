"""The parts of a checkpoint, held against those of the training at hand: the same fields, kinds and shapes."""

import copy
import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer

Saved = dict[str, Any]
OURS = ("torch.", "amal.")
"""Modules whose optimizers and schedulers keep the same fields from their first step to their last."""


class Unfit(Exception):
    """A checkpoint cannot be gone on from; why, as the rest of a sentence that begins with its name."""


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
    return tuple(value.shape) if isinstance(value, Tensor) else f"no tensor but {_described(value)}"


def _dtype(value: Any) -> Any:
    return value.dtype if isinstance(value, Tensor) else type(value)


def _described(value: Any) -> str:
    """Name the kind of a value."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}"
    return "None" if value is None else f"of type {type(value).__name__}"


def is_ours(part: object) -> bool:
    """Whether an optimizer or a scheduler is torch's or amal's: that of another may keep more fields as it goes on."""
    return f"{type(part).__module__}.".startswith(OURS)


def require_fields(found: Any, names: Iterable[Any], place: str, optional: Iterable[Any] = ()) -> None:
    """Refuse anything but a mapping with these fields, and perhaps the optional ones."""
    require_kind(found, {}, place, deeply=False)
    names = dict.fromkeys(names)
    where = f" in its {place}" if place else ""
    for name in names:
        if name not in found:
            raise Unfit(f"lacks the field {name!r}{where}")
    for name in found:
        if name not in names and name not in (*optional,):
            raise Unfit(f"holds the field {name!r}{where}, which is none of this training")


def require_kind(found: Any, ours: Any, place: str, deeply: bool = True) -> None:
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
        raise Unfit(f"is odd: its {place} is {_described(found)}, and not {_described(ours)}")
    if not deeply:
        return
    if isinstance(ours, Mapping):
        require_fields(found, ours, place)
        for name, value in ours.items():
            require_kind(found[name], value, f"{place}.{name}")
    elif ours_is_list:
        if len(found) != len(ours):
            raise Unfit(f"is odd: its {place} has {len(found)} entries, and not {len(ours)}")
        for number, value in enumerate(ours):
            require_kind(found[number], value, f"{place}.{number}")


def require_optimizer(saved: Any, optimizer: Optimizer, updated: Any) -> None:
    """Refuse the state_dict of an optimizer that is not made as this one's; `updated` are the parameters it is of."""
    require_fields(saved, ("state", "param_groups"), "optimizer")
    state, groups = saved["state"], saved["param_groups"]
    require_kind(state, {}, "optimizer.state", deeply=False)
    require_kind(groups, [], "optimizer.param_groups", deeply=False)
    for number, group in enumerate(groups):
        require_kind(group, {}, f"optimizer.param_groups.{number}", deeply=False)
        if not isinstance(group.get("params"), list):
            raise Unfit(f"is odd: its optimizer.param_groups.{number} names no parameters")
    ours = [group["params"] for group in optimizer.state_dict()["param_groups"]]
    theirs = [group["params"] for group in groups]
    if [len(params) for params in theirs] != [len(params) for params in ours]:
        lengths = [[len(params) for params in each] for each in (theirs, ours)]
        raise Unfit(f"is of another training (parameters in groups of {lengths[0]} there, {lengths[1]} here)")
    require_kind(theirs, ours, "optimizer.param_groups.params")
    if theirs != ours:
        raise Unfit("is odd: its optimizer.param_groups name the parameters in another order")
    if updated is not None:
        require_kind(updated, list(state), "updated")
        if updated != list(state):
            raise Unfit("is odd: its optimizer.state is not of the parameters that were updated")
    trial = copy.deepcopy(optimizer)
    after_a_step = _after_a_step(trial) if is_ours(optimizer) else None
    try:
        trial.load_state_dict(saved)
    except Exception as error:  # a state may be wrong in any way
        raise Unfit(f"is odd: its optimizer cannot be put back ({type(error).__name__})") from None
    if after_a_step is None:
        return
    # What an older torch did not save yet, `load_state_dict` has added.
    require_kind(trial.state_dict()["param_groups"], after_a_step["param_groups"], "optimizer.param_groups")
    for number, entry in state.items():
        require_fields(after_a_step["state"], (), "optimizer.state", optional=after_a_step["state"])
        if number not in after_a_step["state"]:
            raise Unfit(f"is odd: its optimizer.state holds {number!r}, which is no parameter of this training")
        require_kind(entry, after_a_step["state"][number], f"optimizer.state.{number}")


def _after_a_step(optimizer: Optimizer) -> Saved:
    """Return the state_dict of an optimizer, and thereby what fields it keeps, after a step against no gradient."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            zero = torch.zeros_like(parameter)
            parameter.grad = zero.to_sparse() if isinstance(optimizer, torch.optim.SparseAdam) else zero
    optimizer.step()
    return copy.deepcopy(optimizer.state_dict())


def require_random_states(saved: Any) -> None:
    """Refuse what are no random states of every process; each is tried on a generator that nobody uses."""
    require_kind(saved, [], "random", deeply=False)
    if not saved:
        raise Unfit("is odd: its random has no entries")
    for number, state in enumerate(saved):
        require_fields(state, ("torch", "cuda", "python", "numpy"), f"random.{number}")
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
