"""Random numbers: the same at each call, so that slopes can be measured; put back at the end."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

SEED: Final = 0
"""The seed of the random numbers that a call may draw."""
SEEDS: Final = range(2, 8)
"""Other seeds."""


def same_random_numbers(seed: int) -> None:
    """Let what draws random numbers draw those of a seed."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)


@contextmanager
def preserve_random_state() -> Iterator[None]:
    """Put the states of the random numbers back at the end."""
    states = torch.get_rng_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
