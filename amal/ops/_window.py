"""Windows that slide over a signal or an image: how their options are given, and in how many places they fit."""

from collections.abc import Sequence
from operator import index

from torch import Tensor

Sizes = int | Sequence[int]
AXES = {1: "length", 2: "height, width"}


def per_axis(op: str, name: str, value: Sizes, axes: int, least: int) -> tuple[int, ...]:
    """Return an option as one number per axis; a number alone, or in a tuple of one, is meant for every axis.

    Raises:
        TypeError: not integers.
        ValueError: another count of numbers, or one below `least`.
    """
    if type(value) is int and value >= least:  # what nearly every call has
        return (value,) * axes
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if any(isinstance(number, bool) for number in numbers):
        raise TypeError(f"{op}: {name} is {value!r}, expected integers")
    try:
        numbers = tuple(index(number) for number in numbers)
    except TypeError:
        raise TypeError(f"{op}: {name} is {value!r}, expected integers") from None
    if len(numbers) not in (1, axes):
        raise ValueError(f"{op}: {name} is {value!r}, expected one number or {axes}, one per axis")
    if min(numbers) < least:
        raise ValueError(f"{op}: {name} is {value!r}, expected at least {least}")
    return numbers if len(numbers) == axes else numbers * axes


def check_image(op: str, input: Tensor, axes: int) -> None:
    """Raise a ValueError unless `input` is (channels, axes) or (batch, channels, axes)."""
    if input.dim() not in (axes + 1, axes + 2):
        expected = f"(channels, {AXES[axes]}) or (batch, channels, {AXES[axes]})"
        raise ValueError(f"{op}: input is {tuple(input.shape)}, expected {expected}")


def count_windows(size: int, window: int, stride: int, padding: int, ceil_mode: bool = False) -> int:
    """Count the places of a window on an axis; it starts every `stride` entries, `padding` before the first.

    With ceil_mode the last window may reach over the padding's end, but must start inside the axis or its left padding.
    """
    room = size + 2 * padding - window
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count
