"""The tables of numbers that the regressions of this session learn from."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from amal.data import Split, Splits, boston_housing, default_root, diabetes


@dataclass(frozen=True)
class TableConfig:
    """Which table, and where it lies."""

    dataset: Literal["diabetes", "boston"] = "diabetes"
    """diabetes (embedded in scikit-learn) or boston (housing prices, from their file)."""
    data_root: Path = field(default_factory=default_root)
    """Folder with the data files. Default: $AMAL_DATA if that is set, else data."""

    def load(self, seed: int) -> Splits:
        """Return the table, its target scaled as its inputs are: a mean squared error of 1 is that of the mean.

        So one learning rate does for dollars and for blood sugar, and the error is 1 - R².
        """
        splits = diabetes(seed) if self.dataset == "diabetes" else boston_housing(self.data_root, seed)
        target = splits.train.target
        mean, deviation = target.mean(0), target.std(0, correction=0)

        def scale(split: Split) -> Split:
            return replace(split, target=(split.target - mean) / deviation)

        return Splits(scale(splits.train), scale(splits.validation), scale(splits.test))
