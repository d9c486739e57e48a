"""Progress bars, silent when nobody wants them or standard error is not a terminal."""

from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

from . import distributed

_T = TypeVar("_T")


def progress_bar(steps: Iterable[_T], show: bool, name: str) -> Iterable[_T]:
    """Return the steps behind a progress bar."""
    bar: Iterable[_T] = tqdm(steps, desc=name, disable=None if show else True, leave=False)
    return bar


def step_bar(name: str, total: int, initial: int, show: bool) -> Any:
    """Return the bar of a training; the first of several processes shows it."""
    show = show and distributed.rank() == 0
    return tqdm(desc=name, total=total, initial=initial, disable=None if show else True, leave=False)
