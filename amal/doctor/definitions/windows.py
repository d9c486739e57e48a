"""Convolution and pooling, in every definition that the doctor knows."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .definition import Arguments, Definition, Draw, Kink, Operation


def signals(draw: Draw) -> Tensor:
    """Draw signals (n, channels, length)."""
    return draw(min(draw.n, 4), 3, 6)


def images(draw: Draw) -> Tensor:
    """Draw images (n, channels, height, width)."""
    return draw(min(draw.n, 3), 2, 4, 5)


def distinct(draw: Draw, *shape: int) -> Tensor:
    """Draw numbers of which no two lie close together, (n, ...)."""
    return draw.distinct(min(draw.n, 3), *shape)


# ---------------------------------------------------------------------------------- convolution


def signal_filters(draw: Draw, bias: bool, *options: int) -> Arguments:
    """Draw signals, filters (out, in, size) and a bias (out)."""
    return signals(draw), draw(2, 3, 2), *([draw(2)] if bias else []), *options


def image_filters(draw: Draw, bias: bool, *options: int) -> Arguments:
    """Draw images, filters (out, in, height, width) and a bias (out)."""
    return images(draw), draw(3, 2, 3, 2), *([draw(3)] if bias else []), *options


def length_first(input: Tensor, weight: Tensor, *rest: Tensor | int | None) -> Tensor:
    """Convolve signals (n, length, channels) with filters (size, in, out)."""
    bias = next((of for of in rest if isinstance(of, Tensor)), None)
    options = [of for of in rest if isinstance(of, int)]
    return functional.conv1d(input.mT, weight.permute(2, 1, 0), bias, *options).mT


def length_first_arguments(draw: Draw, bias: bool, *options: int) -> Arguments:
    """Draw signals (n, length, channels), filters (size, in, out) and a bias (out)."""
    return signals(draw).mT.contiguous(), draw(2, 3, 4), *([draw(4)] if bias else []), *options


def convolutions(
    function: Callable[..., Tensor], draw: Callable[..., Arguments], name: str, says: str
) -> tuple[Definition, ...]:
    """Return the definitions with and without a bias, with and without options."""

    def no_bias(input: Tensor, weight: Tensor, *options: int) -> Tensor:
        return function(input, weight, None, *options)

    def definition(kind: str, bias: bool, *options: int) -> Definition:
        words = ("", ", stride given", ", stride and padding given")[len(options)]
        return Definition(
            f"{name}{kind}",
            f"{says}{'' if bias else ', no bias'}{words}",
            function if bias else no_bias,
            lambda drawing: draw(drawing, bias, *options),
            roles=("input", "weight", *(["bias"] if bias else []), *("stride", "padding")[: len(options)]),
        )

    return (
        definition("", True),
        definition("-stride", True, 2),
        definition("-padding", True, 2, 1),
        definition("-no-bias", False),
        definition("-no-bias-stride", False, 2),
        definition("-no-bias-padding", False, 2, 1),
    )


# ---------------------------------------------------------------------------------- pooling


def pooling(
    function: Callable[..., Tensor], draw: Callable[[Draw], Tensor], name: str, says: str
) -> tuple[Definition, ...]:
    """Return the definitions with window, stride and padding given or left out."""
    sizes: tuple[tuple[str, str, tuple[int, ...]], ...] = (
        ("", "windows of 2, side by side", ()),
        ("-size", "size of the window given", (2,)),
        ("-stride", "size and stride given", (2, 1)),
    )

    def definition(kind: str, words: str, options: tuple[int, ...]) -> Definition:
        return Definition(
            f"{name}{kind}",
            f"{says}, {words}",
            lambda input, *given: function(input, *(given or (2,))),
            lambda drawing: (draw(drawing), *options),
            roles=("input", "kernel_size", "stride")[: 1 + len(options)],
        )

    return tuple(definition(*size) for size in sizes)


def over_length_first(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the pooling of signals (n, length, channels)."""
    return lambda input, *options: function(input.mT, *options).mT


def pool_definitions(one: Callable[..., Tensor], two: Callable[..., Tensor]) -> dict[str, tuple[Definition, ...]]:
    """Return the definitions of a pooling of signals and of images."""
    return {
        "2d": pooling(two, lambda draw: distinct(draw, 2, 4, 5), "images", "images (n, channels, height, width)"),
        "1d": (
            *pooling(one, lambda draw: distinct(draw, 3, 6), "signals", "signals (n, channels, length)"),
            *pooling(
                over_length_first(one),
                lambda draw: distinct(draw, 6, 3),
                "length-first",
                "signals (n, length, channels)",
            ),
        ),
    }


MAX = pool_definitions(functional.max_pool1d, functional.max_pool2d)
AVG = pool_definitions(functional.avg_pool1d, functional.avg_pool2d)


def tie(*shape: int) -> Kink:
    """Agree that the first of equal entries gets it all; others may share it."""
    ones = torch.ones(shape, dtype=torch.float64)
    first = torch.zeros_like(ones)
    first.view(-1)[0] = 1
    return Kink((ones,), first, "of equal entries, the first gets the gradient", 0 * ones, ones, total=True)


ONE_WINDOW = (tie(1, 1, 2, 2), tie(1, 1, 2))

OPERATIONS = (
    Operation(
        "conv1d",
        ("conv1d", "convolution1d"),
        (
            *convolutions(functional.conv1d, signal_filters, "torch", "signals (n, channels, length)"),
            *convolutions(length_first, length_first_arguments, "length-first", "signals (n, length, channels)"),
        ),
    ),
    Operation(
        "conv2d",
        ("conv2d", "convolution2d", "conv", "convolution"),
        convolutions(functional.conv2d, image_filters, "torch", "images (n, channels, height, width)"),
    ),
    Operation("max_pool1d", ("maxpool1d", "maxpooling1d"), MAX["1d"], kinks=ONE_WINDOW),
    Operation("max_pool2d", ("maxpool2d", "maxpooling2d"), MAX["2d"], kinks=ONE_WINDOW),
    Operation("max_pool", ("maxpool", "maxpooling"), (*MAX["2d"], *MAX["1d"]), kinks=ONE_WINDOW),
    Operation("avg_pool1d", ("avgpool1d", "averagepool1d", "avgpooling1d"), AVG["1d"]),
    Operation("avg_pool2d", ("avgpool2d", "averagepool2d", "avgpooling2d"), AVG["2d"]),
    Operation("avg_pool", ("avgpool", "averagepool", "meanpool"), (*AVG["2d"], *AVG["1d"])),
)
