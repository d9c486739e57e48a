"""What every data set is here: three splits of tensors, cut and scaled without a look at the test set."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from amal.seeds import generator


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
