"""Real tables: scikit-learn's embedded diabetes data, and Boston housing from its file."""

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from amal.errors import UserError

from . import checksums
from .files import read
from .root import require_root
from .splits import Splits, cut, standardize

HOUSING_BYTES = 49_082


def diabetes(seed: int = 0) -> Splits:
    """Progression of diabetes after a year, from ten measurements of 442 patients; embedded in scikit-learn.

    Returns:
        Splits with input (n, 10), standardised on the training split, and target (n, 1), float32.

    Source: Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression, Annals of Statistics, 2004.
    """
    from sklearn.datasets import load_diabetes

    input, target = load_diabetes(return_X_y=True, scaled=False)
    return _table(input, target, seed)


def boston_housing(root: Path, seed: int = 0) -> Splits:
    """Median price of homes, in $1000, in 506 districts of Boston, from 13 measurements of the district.

    Column B of this table is built on race; it is here for the comparison with the course documents, and nothing
    uses it by default.

    Args:
        root: the folder that holds housing/housing.data.
        seed: of the cut into splits.

    Returns:
        Splits with input (n, 13), standardised on the training split, and target (n, 1), float32.

    Raises:
        UserError: the file is missing, unreadable, or not the original one.

    Source: Harrison and Rubinfeld, Hedonic Housing Prices and the Demand for Clean Air, 1978.
    """
    path = root / "housing" / "housing.data"
    content = read(path, 2 * HOUSING_BYTES, "use --dataset diabetes")
    if content is None:
        require_root(root, "--dataset diabetes")
        raise UserError(
            f"the boston data set needs the file {path}, which is not there: put the original housing.data "
            "(506 rows of 14 columns) in place, or name its folder with --data-root; --dataset diabetes needs no file"
        )
    if hashlib.sha256(content).hexdigest() != checksums.SHA256["housing/housing.data"]:
        raise UserError(
            f"{path} is not the original housing.data or is damaged ({len(content)} bytes, expected {HOUSING_BYTES}, "
            "and the checksum differs): copy it again, or use --dataset diabetes"
        )
    table = np.loadtxt(io.BytesIO(content))
    return _table(table[:, :-1], table[:, -1], seed)


def _table(input: npt.NDArray[np.float64], target: npt.NDArray[np.float64], seed: int) -> Splits:
    rows = torch.from_numpy(input).float()
    return standardize(cut(rows, torch.from_numpy(target).float().unsqueeze(1), seed))
