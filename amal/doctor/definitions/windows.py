"""Convolution and pooling, in every definition that the doctor knows."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .definition import Arguments, Definition, Draw, Kink, Operation, append
from .layers import AFFINE

# ---------------------------------------------------------------------------------- convolution


def signals_and_filters(draw: Draw) -> Arguments:
    """Draw signals (n, channels, length), filters (out, in, size) and a bias (out)."""
    return draw(min(draw.n, 4), 3, 6), draw(2, 3, 2), draw(2)


def images_and_filters(draw: Draw) -> Arguments:
    """Draw images (n, channels, height, width), filters (out, in, height, width) and a bias (out)."""
    return draw(min(draw.n, 3), 2, 4, 5), draw(3, 2, 3, 2), draw(3)


def length_first_signals_and_filters(draw: Draw) -> Arguments:
    """Draw signals (n, length, channels), filters (size, in, out) and a bias (out)."""
    return draw(min(draw.n, 4), 3, 6).mT.contiguous(), draw(2, 3, 4), draw(4)


def length_first_conv1d(input: Tensor, weight: Tensor, bias: Tensor | None, *options: int) -> Tensor:
    """Convolve signals (n, length, channels) with filters (size, in, out)."""
    return functional.conv1d(input.mT, weight.permute(2, 1, 0), bias, *options).mT


def convolutions(
    function: Callable[..., Tensor], draw: Callable[[Draw], Arguments], name: str, says: str
) -> tuple[Definition, ...]:
    """Return the definitions with and without a bias, with and without options."""

    def without_bias(input: Tensor, weight: Tensor, *options: int) -> Tensor:
        return function(input, weight, None, *options)

    def draw_without_bias(drawing: Draw) -> Arguments:
        return draw(drawing)[:2]

    return tuple(
        Definition(
            f"{name}{kind}{ending}",
            f"{says}{no_bias}{words}",
            reference,
            append(arguments, *options),
            (*roles, *("stride", "padding")[: len(options)]),
        )
        for kind, no_bias, reference, arguments, roles in (
            ("", "", function, draw, AFFINE),
            ("-no-bias", ", no bias", without_bias, draw_without_bias, AFFINE[:2]),
        )
        for ending, words, options in (
            ("", "", ()),
            ("-stride", ", stride given", (2,)),
            ("-padding", ", stride and padding given", (2, 1)),
        )
    )


# ---------------------------------------------------------------------------------- pooling


def distinct(*shape: int) -> Callable[[Draw], Arguments]:
    """Return what draws numbers of which no two lie close together, (n, *shape)."""
    return lambda draw: (draw.distinct(min(draw.n, 3), *shape),)


def length_first(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the pooling of signals (n, length, channels)."""
    return lambda input, *options: function(input.mT, *options).mT


def pooling(
    function: Callable[..., Tensor], draw: Callable[[Draw], Arguments], name: str, says: str
) -> tuple[Definition, ...]:
    """Return the definitions with window, stride and padding given or left out."""

    def pool(input: Tensor, size: int = 2, *stride: int) -> Tensor:
        return function(input, size, *stride)

    return tuple(
        Definition(
            f"{name}{ending}",
            f"{says}, {words}",
            pool,
            append(draw, *options),
            ("input", "kernel_size", "stride")[: 1 + len(options)],
        )
        for ending, words, options in (
            ("", "windows of 2, side by side", ()),
            ("-size", "size of the window given", (2,)),
            ("-stride", "size and stride given", (2, 1)),
        )
    )


def signal_pooling(function: Callable[..., Tensor]) -> tuple[Definition, ...]:
    """Return the definitions of a pooling of signals."""
    return (
        *pooling(function, distinct(3, 6), "signals", "signals (n, channels, length)"),
        *pooling(length_first(function), distinct(6, 3), "length-first", "signals (n, length, channels)"),
    )


IMAGES = distinct(2, 4, 5), "images", "images (n, channels, height, width)"
MAX1D, MAX2D = signal_pooling(functional.max_pool1d), pooling(functional.max_pool2d, *IMAGES)
AVG1D, AVG2D = signal_pooling(functional.avg_pool1d), pooling(functional.avg_pool2d, *IMAGES)


def tie(*shape: int) -> Kink:
    """Agree that the first of equal entries gets the gradient; others may share it."""
    ones = torch.ones(shape, dtype=torch.float64)
    first = torch.zeros_like(ones)
    first.view(-1)[0] = 1
    return Kink((ones,), first, "of equal entries, the first gets the gradient", 0 * ones, ones, total=True)


TIES = (tie(1, 1, 2, 2), tie(1, 1, 2))

OPERATIONS = (
    Operation(
        "conv1d",
        ("conv1d", "convolution1d"),
        (
            *convolutions(functional.conv1d, signals_and_filters, "torch", "signals (n, channels, length)"),
            *convolutions(
                length_first_conv1d, length_first_signals_and_filters, "length-first", "signals (n, length, channels)"
            ),
        ),
    ),
    Operation(
        "conv2d",
        ("conv2d", "convolution2d", "conv", "convolution"),
        convolutions(functional.conv2d, images_and_filters, "torch", "images (n, channels, height, width)"),
    ),
    Operation("max_pool1d", ("maxpool1d", "maxpooling1d"), MAX1D, kinks=TIES),
    Operation("max_pool2d", ("maxpool2d", "maxpooling2d"), MAX2D, kinks=TIES),
    Operation("max_pool", ("maxpool", "maxpooling"), (*MAX2D, *MAX1D), kinks=TIES),
    Operation("avg_pool1d", ("avgpool1d", "averagepool1d", "avgpooling1d"), AVG1D),
    Operation("avg_pool2d", ("avgpool2d", "averagepool2d", "avgpooling2d"), AVG2D),
    Operation("avg_pool", ("avgpool", "averagepool", "meanpool"), (*AVG2D, *AVG1D)),
)
