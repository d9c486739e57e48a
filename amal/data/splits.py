"""What every data set is here: three splits of tensors, cut and scaled without a look at the test set."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Examples and what should be predicted of them: input (n, *), target (n, *)."""

    input: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.input)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Split":
        """Return the split on a device, in a dtype (None: as it is)."""
        return Split(self.input.to(device, dtype), self.target.to(device, dtype))


@dataclass(frozen=True)
class Splits:
    """A split to learn from, one to choose with, and one to measure on at the end."""

    train: Split
    validation: Split
    test: Split

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Splits":
        """Return the three splits on a device, in a dtype (None: as they are)."""
        return Splits(self.train.to(device, dtype), self.validation.to(device, dtype), self.test.to(device, dtype))


def generator(seed: int, purpose: str, number: int = 0) -> torch.Generator:
    """Return a random generator on the CPU that depends on the three arguments and on nothing else.

    The purpose keeps apart the draws that one seed serves: points, cut, order of an epoch (whose number it is).
    """
    [state] = np.random.SeedSequence((seed, number, *purpose.encode())).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state))


def cut(input: Tensor, target: Tensor, seed: int) -> Splits:
    """Deal the examples out at random: 60 % train, 20 % validation, 20 % test."""
    order = torch.randperm(len(input), generator=generator(seed, "cut"))
    train, validation = round(0.6 * len(order)), round(0.2 * len(order))
    parts = order.tensor_split([train, train + validation])
    return Splits(*(Split(input[part], target[part]) for part in parts))


def standardize(splits: Splits) -> Splits:
    """Give each input column mean 0 and standard deviation 1 on the training split.

    The validation and test splits are scaled by the training split's mean and deviation, not by their own: a test set
    scaled by itself has been looked at. A column that is constant in the training split is only centred.
    """
    mean = splits.train.input.mean(0)
    deviation = splits.train.input.std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)

    def scale(split: Split) -> Split:
        return replace(split, input=(split.input - mean) / deviation)

    return Splits(scale(splits.train), scale(splits.validation), scale(splits.test))


@dataclass(frozen=True)
class Batches:
    """The mini-batches of a split, cut from tensors that stay on their device.

    The order of an epoch is a pure function of (seed, epoch): there is no state to save or to lose.
    """

    split: Split
    batch_size: int | None
    """Examples per batch, the last one of an epoch may hold fewer; None for the whole split as one batch."""
    seed: int

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (input, target) for every example once, in this epoch's order."""
        if self.batch_size is None:
            yield self.split.input, self.split.target
            return
        order = torch.randperm(len(self.split), generator=generator(self.seed, "epoch", epoch))
        for rows in order.to(self.split.input.device).split(min(self.batch_size, len(order))):  # type: ignore[no-untyped-call]
            yield self.split.input[rows], self.split.target[rows]
