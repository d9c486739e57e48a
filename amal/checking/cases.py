"""A case: one way to call one operation, beside torch's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from amal import functional

Tensors = tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Case:
    """One row: an operation, the torch function that it must equal, and the shapes of its arguments."""

    name: str
    operation: Callable[..., Tensor]
    reference: Callable[..., Tensor]
    shapes: tuple[tuple[int, ...] | None, ...]
    """One shape per argument; None is an argument left out."""
    interval: tuple[float, float] | None = None
    """What the entries are drawn from, evenly; None: [0.5, 1.5] with a random sign."""

    def inputs(
        self,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
        requires_grad: bool = True,
        contiguous: bool = True,
        seed: int = 0,
    ) -> Tensors:
        """Draw the arguments: the same numbers for the same seed, whatever the dtype, device and layout.

        Unless the case says otherwise they are away from zero, where relative errors mean something.
        """
        generator = torch.Generator().manual_seed(seed)

        def draw(shape: tuple[int, ...]) -> Tensor:
            number = torch.rand(shape, generator=generator, dtype=torch.float64)
            if self.interval is None:
                sign = torch.randint(0, 2, shape, generator=generator) * 2 - 1
                number = (number + 0.5) * sign
            else:
                low, high = self.interval
                number = low + (high - low) * number
            tensor = number.to(device, dtype)
            return (tensor if contiguous else strided(tensor)).requires_grad_(requires_grad)

        return tuple(None if shape is None else draw(shape) for shape in self.shapes)


def strided(tensor: Tensor) -> Tensor:
    """Return equal values in another memory layout: every second element of a buffer, dimensions reversed."""
    reverse = tuple(range(tensor.dim()))[::-1]
    buffer = tensor.new_zeros(*(tensor.permute(reverse).shape), 2)
    view = buffer[..., 0].permute(reverse)
    view.copy_(tensor)
    return view


def given(inputs: Tensors) -> tuple[Tensor, ...]:
    """Return the arguments that are tensors, not left out."""
    return tuple(tensor for tensor in inputs if tensor is not None)


def random_like(tensor: Tensor, seed: int) -> Tensor:
    """Return normal random numbers of a tensor's shape, dtype and device, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)


def case(
    name: str, *shapes: tuple[int, ...] | None, interval: tuple[float, float] | None = None, **options: Any
) -> Case:
    """Make the row of the operation that `name` starts with, beside the torch function of that name.

    `options` are the arguments that are no variables: numbers, words, and constant tensors (indices, masks), which
    follow the variables to their device.
    """
    operation = name.split(",")[0]
    ours, theirs = getattr(functional, operation), COMPOSED.get(operation) or getattr(torch.nn.functional, operation)

    def with_options(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*inputs: Tensor | None, **more: Tensor) -> Tensor:
            device = given(inputs)[0].device
            there = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in options.items()}
            return function(*inputs, **there, **more)

        return call

    return Case(name, with_options(ours), with_options(theirs), shapes, interval)


def weighted(name: str, *shapes: tuple[int, ...], **options: Any) -> Case:
    """Make the row of a loss with a weight on each entry, its third argument (squared: no mean divides by 0)."""

    def with_weight(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda input, target, weight: loss(input, target, weight=weight.square())

    row = case(name, *shapes, **options)
    return Case(name, with_weight(row.operation), with_weight(row.reference), shapes)


# What torch has no function for, composed of those that it has.
COMPOSED: dict[str, Callable[..., Tensor]] = {}


def entrywise(name: str, **options: Any) -> list[Case]:
    """Make the rows of an operation that treats every entry alike."""
    shapes = {name: (5, 3), f"{name}, one number": (), f"{name}, empty batch": (0, 4), f"{name}, 3-D input": (2, 3, 4)}
    return [case(row, shape, **options) for row, shape in shapes.items()]
