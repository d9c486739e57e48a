"""Time two functions in turn, so that what the machine does besides falls on both."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from amal.training.device import keep_freed_memory, synchronize


class Ratio(NamedTuple):
    """What a comparison measured."""

    ratio: float
    """Median over the rounds of our time over theirs."""
    low: float
    """First quartile of the ratios: half of the rounds lie between it and `high`."""
    high: float
    ours: float
    """Median seconds of one call."""
    theirs: float


def devices() -> tuple[str, ...]:
    """Return where to measure: the CPU, and CUDA if there is one."""
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], seconds: float = 1.0, at_least: int = 15
) -> Ratio:
    """Call ours and theirs in turn for about `seconds`, after a warm-up; short calls in blocks of a millisecond."""
    keep_freed_memory()
    calls = max(1, int(1e-3 / max(min(_time(ours, 3), _time(theirs, 3)), 1e-7)))
    pairs: list[tuple[float, float]] = []
    until = time.perf_counter() + seconds
    while len(pairs) < at_least or time.perf_counter() < until:
        pairs.append(_in_turn(partial(_time, ours, calls), partial(_time, theirs, calls), len(pairs)))
    return _ratio(pairs)


def compare_told(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> Ratio:
    """Call ours and theirs in turn, which tell their seconds themselves; a first round is not counted."""
    keep_freed_memory()
    return _ratio([_in_turn(ours, theirs, number) for number in range(rounds + 1)][1:])


def _in_turn(ours: Callable[[], float], theirs: Callable[[], float], number: int) -> tuple[float, float]:
    if number % 2:
        return ours(), theirs()
    other = theirs()
    return ours(), other


def _ratio(pairs: list[tuple[float, float]]) -> Ratio:
    ratios, median = [a / b for a, b in pairs], statistics.median
    low, middle, high = statistics.quantiles(ratios * 2 if len(pairs) == 1 else ratios, n=4, method="inclusive")
    return Ratio(middle, low, high, median(a for a, _ in pairs), median(b for _, b in pairs))


def _time(call: Callable[[], object], calls: int) -> float:
    synchronize()
    started = time.perf_counter()
    for _ in range(calls):
        call()
    synchronize()
    return (time.perf_counter() - started) / calls
