"""What the pooling operations have in common: the check of their options, before any computation."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ._public import check_tensors
from ._window import Sizes, check_image, count_windows, per_axis


@dataclass
class Windows:
    """The options of a pooling, one number per axis each. No tuple: torch.func would take it apart."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Let the options be unpacked."""
        return iter((self.kernel_size, self.stride, self.padding, self.dilation))


def check_windows(
    op: str,
    input: Tensor,
    axes: int,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Windows:
    """Return the options of a pooling, or raise in words unless every window fits on the input.

    Raises:
        TypeError: input is no floating-point tensor, an option is no integer, ceil_mode is no bool.
        ValueError: a wrong number of dimensions, an empty one, an option out of range, a window that does not fit.
    """
    check_tensors(op, input=input)
    check_image(op, input, axes)
    shape = tuple(input.shape)
    if 0 in shape[-axes - 1 :]:
        raise ValueError(f"{op}: input is {shape}, expected at least one entry on every axis but the batch")
    kernel = per_axis(op, "kernel_size", kernel_size, axes, 1)
    steps = kernel if stride is None or stride == () or stride == [] else per_axis(op, "stride", stride, axes, 1)
    pads = per_axis(op, "padding", padding, axes, 0)
    gaps = (1,) * axes if dilation == 1 else per_axis(op, "dilation", dilation, axes, 1)
    check_flag(op, "ceil_mode", ceil_mode)
    for size, k, s, p, d in zip(shape[-axes:], kernel, steps, pads, gaps, strict=True):
        if p > k // 2:
            raise ValueError(f"{op}: padding is {padding} but kernel_size {kernel_size} allows at most half of it")
        window = d * (k - 1) + 1
        if count_windows(size, window, s, p, ceil_mode) < 1:
            raise ValueError(f"{op}: input is {shape} with padding {padding}, expected room for a window of {window}")
    return Windows(kernel, steps, pads, gaps)


def check_cover(op: str, input: Tensor, windows: Windows) -> None:
    """Raise a ValueError where dilation steps over all of the input, so that a window has padding alone.

    There is no entry then to take the gradient of its maximum. Torch gives −∞ there, with an index outside of the
    input, and its backward writes to that.
    """
    for size, k, s, p, d in zip(input.shape[-len(windows.stride) :], *windows, strict=True):
        for start in range(-p, 0, s) if d > 1 else ():
            if not any(0 <= start + d * entry < size for entry in range(k)):
                shape = tuple(input.shape)
                raise ValueError(f"{op}: input is {shape}, expected an entry of it in each window, not padding alone")


def image_windows(windows: Windows) -> Windows:
    """The windows of a signal as those of an image of height 1."""
    kernel_size, stride, padding, dilation = windows
    return Windows((1, *kernel_size), (1, *stride), (0, *padding), (1, *dilation))


def check_flag(op: str, name: str, value: bool) -> None:
    """Raise a TypeError unless an option is True or False."""
    if type(value) is not bool:
        raise TypeError(f"{op}: {name} is {value!r}, expected True or False")
