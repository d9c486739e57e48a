"""The random states of every process: torch's (CPU and CUDA), Python's and NumPy's."""

import random
from typing import Any

import numpy as np
import torch

from amal.seeds import generator

from . import distributed
from .fields import CheckpointError, Saved, require_fields, require_kind


def random_states() -> list[Saved]:
    """Return the random states of every process, in their order, as plain data."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 (a data set may draw from it)
    states = {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
    }
    return distributed.gather(states)


def restore_random_states(states: list[Saved], seed: int, step: int) -> None:
    """Put this process's random states back; one that has none in the list gets others."""
    rank = distributed.rank()
    if rank >= len(states):
        torch.manual_seed(generator(seed, f"process {rank}", step).initial_seed())
        return
    state = states[rank]
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002


def require_random_states(value: Any) -> None:
    """Refuse what are no random states of every process; each is tried on an unused generator."""
    require_kind(value, [], "random", deeply=False)
    if not value:
        raise CheckpointError("is odd: its random has no entries")
    for number, state in enumerate(value):
        require_fields(state, ("torch", "cuda", "python", "numpy"), f"random.{number}")
        if not _is_sound(state):
            raise CheckpointError(f"is odd: its random.{number} is no state of the generators of random numbers")


def _is_sound(state: Saved) -> bool:
    try:
        torch.Generator().set_state(state["torch"])
        _, _, gauss = state["python"]
        random.Random().setstate(state["python"])
        name, keys, position, has_gauss, cached = state["numpy"]
        numpy = name, keys.numpy().astype(np.uint32), position, has_gauss, cached
        np.random.RandomState().set_state(numpy)
        sound = gauss is None or type(gauss) is float
        sound = sound and 0 <= position <= len(keys) and keys.dtype is torch.int64
        if state["cuda"] is not None:
            sound = sound and state["cuda"].dtype is torch.uint8
            if torch.cuda.is_available():
                torch.Generator("cuda").set_state(state["cuda"])
    except Exception:  # a state may be wrong in any way
        return False
    return sound
