"""Random generators that depend on what they are asked for, and on nothing that happened before."""

import numpy as np
import torch


def generator(seed: int, purpose: str, number: int = 0) -> torch.Generator:
    """Return a random generator on the CPU that depends on the three arguments and on nothing else.

    The purpose keeps apart the draws that one seed serves: points, cut, order of an epoch (whose number it is).
    """
    [state] = np.random.SeedSequence((seed, number, *purpose.encode())).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state))
