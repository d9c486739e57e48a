"""The options of a convolution, and what it asks of its arguments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ._public import check_tensors
from ._window import AXES, Sizes, check_image, per_axis


@dataclass(frozen=True)
class Steps:
    """The options of a convolution, one number per axis each. No tuple: torch.func would take it apart."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def __iter__(self) -> Iterator[Any]:
        """Let the options be unpacked."""
        return iter((self.stride, self.padding, self.dilation, self.groups))


def check_convolution(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: str | Sizes,
    dilation: Sizes,
    groups: int,
) -> tuple[Steps, tuple[int, ...]]:
    """Return the options, and what padding='same' adds at the end of each axis besides; or raise in words.

    Raises:
        TypeError: not floating-point tensors of one dtype, or options that are no integers.
        ValueError: shapes that do not fit together, different devices, or options out of range.
    """
    op = f"conv{axes}d"
    check_tensors(op, optional=("bias",), input=input, weight=weight, bias=bias)
    check_image(op, input, axes)
    _check_channels(op, input, weight, bias, groups, axes)
    steps = per_axis(op, "stride", stride, axes, 1)
    gaps = per_axis(op, "dilation", dilation, axes, 1)
    windows = [d * (k - 1) + 1 for d, k in zip(gaps, weight.shape[2:], strict=True)]
    pads, more = _paddings(op, padding, windows, steps)
    for size, window, p, extra in zip(input.shape[-axes:], windows, pads, more, strict=True):
        if size == 0 or size + extra + 2 * p < window:
            shapes = f"input is {tuple(input.shape)} with padding {padding!r} but weight {tuple(weight.shape)}"
            raise ValueError(f"{op}: {shapes} with dilation {dilation} expects at least {window} entries")
    return Steps(steps, pads, gaps, groups), more


def _check_channels(op: str, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, axes: int) -> None:
    if isinstance(groups, bool) or not isinstance(groups, int):
        raise TypeError(f"{op}: groups is {groups!r}, expected an integer")
    if groups < 1:
        raise ValueError(f"{op}: groups is {groups}, expected at least 1")
    shape = tuple(weight.shape)
    if len(shape) != axes + 2 or 0 in shape:
        raise ValueError(f"{op}: weight is {shape}, expected (out, in / groups, {AXES[axes]}), none empty")
    if shape[0] % groups:
        raise ValueError(f"{op}: weight is {shape}, expected out to be a multiple of groups, {groups}")
    channels = input.shape[-axes - 1]
    if channels != shape[1] * groups:
        groups_text = "" if groups == 1 else f" with groups={groups}"
        shapes = f"input is {tuple(input.shape)} but weight {shape}{groups_text}"
        raise ValueError(f"{op}: {shapes} expects {shape[1] * groups} channels")
    if bias is not None and bias.shape != shape[:1]:
        raise ValueError(f"{op}: bias is {tuple(bias.shape)} but weight {shape} expects a bias {shape[:1]}")


def _paddings(
    op: str, padding: str | Sizes, windows: list[int], stride: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The padding of both sides, and the entry more at the end that 'same' needs for a window of even length."""
    none = (0,) * len(windows)
    if not isinstance(padding, str):
        return per_axis(op, "padding", padding, len(windows), 0), none
    if padding == "valid":
        return none, none
    if padding != "same":
        raise ValueError(f"{op}: padding is {padding!r}, expected 'same', 'valid' or numbers")
    if max(stride) > 1:
        raise ValueError(f"{op}: padding is 'same' but stride {stride}, expected a stride of 1")
    return tuple((window - 1) // 2 for window in windows), tuple((window - 1) % 2 for window in windows)
