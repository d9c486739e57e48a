"""The fields, kinds and shapes of a checkpoint, held against those of the training at hand."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer

Saved = dict[str, Any]
PACKAGES = ("torch.", "amal.")
"""Packages whose optimizers and schedulers have the same fields from first step to last."""


class CheckpointError(Exception):
    """Why a checkpoint cannot be used, as the rest of a sentence that begins with its name."""


def model_difference(model: nn.Module, state: Mapping[str, Any]) -> str | None:
    """Say in what a state_dict is of another model; None if it is of this one."""
    for property in (_shape, _dtype):
        expected, saved = (
            {name: property(value) for name, value in each.items()} for each in (model.state_dict(), state)
        )
        for name in {**expected, **saved}:
            ours, theirs = (each.get(name, "absent") for each in (expected, saved))
            if ours != theirs:
                return f"is of another model ({name} is {theirs} there, {ours} here)"
    return None


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else f"no tensor but {_kind(value)}"


def _dtype(value: Any) -> Any:
    return value.dtype if isinstance(value, Tensor) else type(value)


def _kind(value: Any) -> str:
    """Name the kind of a value."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}"
    return "None" if value is None else f"of type {type(value).__name__}"


def keeps_its_fields(part: object) -> bool:
    """Whether an optimizer or scheduler is torch's or amal's; others may add fields later."""
    return f"{type(part).__module__}.".startswith(PACKAGES)


def require_fields(value: Any, names: Iterable[Any], place: str, optional: Iterable[Any] = ()) -> None:
    """Refuse anything but a mapping with these fields, and perhaps the optional ones."""
    require_kind(value, {}, place, deeply=False)
    names = dict.fromkeys(names)
    suffix = f" in its {place}" if place else ""
    for name in names:
        if name not in value:
            raise CheckpointError(f"lacks the field {name!r}{suffix}")
    for name in value:
        if name not in names and name not in (*optional,):
            raise CheckpointError(f"holds the field {name!r}{suffix}, which is none of this training")


def require_kind(value: Any, expected: Any, place: str, deeply: bool = True) -> None:
    """Refuse a value of another type, shape, length or other fields than expected.

    If `deeply`, also in everything that it holds. A learning rate may be a fraction where it began as a whole number.
    """
    is_list = isinstance(expected, (list, tuple))
    if isinstance(expected, Mapping):
        fits = isinstance(value, Mapping)
    elif is_list:
        fits = isinstance(value, (list, tuple))
    elif isinstance(expected, Tensor):
        fits = isinstance(value, Tensor) and value.layout is expected.layout and not value.is_meta
        fits = fits and (_shape(value), _dtype(value)) == (_shape(expected), _dtype(expected))
    elif type(expected) is float or (type(expected) is int and "lr" in place):
        fits = type(value) in (int, float)
    else:
        fits = type(value) is type(expected)
    if not fits:
        raise CheckpointError(f"is odd: its {place} is {_kind(value)}, and not {_kind(expected)}")
    if not deeply:
        return
    if isinstance(expected, Mapping):
        require_fields(value, expected, place)
        for name, entry in expected.items():
            require_kind(value[name], entry, f"{place}.{name}")
    elif is_list:
        if len(value) != len(expected):
            raise CheckpointError(f"is odd: its {place} has {len(value)} entries, and not {len(expected)}")
        for number, entry in enumerate(expected):
            require_kind(value[number], entry, f"{place}.{number}")


def require_optimizer(saved: Any, optimizer: Optimizer, updated: Any) -> None:
    """Refuse a state_dict that is not made as this optimizer's.

    Args:
        saved: the state_dict.
        optimizer: left as it is.
        updated: the parameters of which the saved one keeps something.
    """
    require_fields(saved, ("state", "param_groups"), "optimizer")
    state, groups = saved["state"], saved["param_groups"]
    require_kind(state, {}, "optimizer.state", deeply=False)
    ours = [group["params"] for group in optimizer.state_dict()["param_groups"]]
    try:
        theirs = [group["params"] for group in groups]
    except Exception:  # it may be wrong in any way
        theirs = None
    if str(theirs) != str(ours):  # as text: there may be anything
        raise CheckpointError("is of another training (other groups of parameters in its optimizer)")
    require_kind(updated, list(state), "updated")
    if updated != list(state):
        raise CheckpointError("is odd: its optimizer.state is not of the parameters that were updated")
    trial = copy.deepcopy(optimizer)
    expected = _state_after_a_step(trial) if keeps_its_fields(optimizer) else None
    try:
        trial.load_state_dict(saved)
    except Exception as error:  # a state may be wrong in any way
        raise CheckpointError(f"is odd: its optimizer cannot be put back ({type(error).__name__})") from None
    if expected is None:
        return
    # What an older torch did not save yet, `load_state_dict` has added.
    groups = trial.state_dict()["param_groups"]
    require_kind(groups, expected["param_groups"], "optimizer.param_groups")
    require_fields(state, (), "optimizer.state", optional=expected["state"])
    for number, entry in state.items():
        require_kind(entry, expected["state"][number], f"optimizer.state.{number}")


def _state_after_a_step(optimizer: Optimizer) -> Saved:
    """Return the state_dict of an optimizer after a step without gradient: with all its fields."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            zero = torch.zeros_like(parameter)
            sparse = isinstance(optimizer, torch.optim.SparseAdam)
            parameter.grad = zero.to_sparse() if sparse else zero
    optimizer.step()
    return copy.deepcopy(optimizer.state_dict())
