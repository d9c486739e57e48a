"""The table of operations: each row is one way to call one operation, beside torch's own."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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

    def inputs(
        self,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
        requires_grad: bool = True,
        contiguous: bool = True,
        seed: int = 0,
    ) -> Tensors:
        """Draw the arguments: the same numbers for the same seed, whatever the dtype, device and layout.

        Entries are uniform in [0.5, 1.5] with a random sign: away from zero, where relative errors mean something.
        """
        generator = torch.Generator().manual_seed(seed)

        def draw(shape: tuple[int, ...]) -> Tensor:
            size = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
            sign = torch.randint(0, 2, shape, generator=generator) * 2 - 1
            tensor = (size * sign).to(device, dtype)
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


def case(name: str, *shapes: tuple[int, ...] | None, **options: Any) -> Case:
    """Make the row of the operation that `name` starts with, beside the torch function of that name."""
    operation = name.split(",")[0]
    ours, theirs = getattr(functional, operation), getattr(torch.nn.functional, operation)
    return Case(name, partial(ours, **options), partial(theirs, **options), shapes)


def weighted(name: str, *shapes: tuple[int, ...], **options: Any) -> Case:
    """Make the row of a loss with a weight on each entry, its third argument (squared: no mean divides by 0)."""

    def with_weight(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda input, target, weight: loss(input, target, weight=weight.square(), **options)

    row = case(name, *shapes)
    return Case(name, with_weight(row.operation), with_weight(row.reference), shapes)


CASES = (
    case("linear", (5, 3), (4, 3), (4,)),
    case("linear, no bias", (5, 3), (4, 3), None),
    case("linear, one vector", (3,), (4, 3), (4,)),
    case("linear, 3-D input", (2, 5, 3), (4, 3), (4,)),
    case("linear, batch of one", (1, 3), (4, 3), (4,)),
    case("linear, empty batch", (0, 3), (4, 3), (4,)),
    case("linear, weight a vector", (5, 3), (3,), None),
    case("mse_loss", (5, 4), (5, 4)),
    case("mse_loss, sum", (5, 4), (5, 4), reduction="sum"),
    case("mse_loss, none", (5, 4), (5, 4), reduction="none"),
    case("mse_loss, 3-D input", (2, 5, 4), (2, 5, 4)),
    case("mse_loss, one number", (), ()),
    case("mse_loss, empty batch", (0, 4), (0, 4), reduction="sum"),
    weighted("mse_loss, weighted", (5, 4), (5, 4), (5, 4)),
    weighted("mse_loss, weighted sum", (5, 4), (5, 4), (5, 4), reduction="sum"),
    weighted("mse_loss, weighted none", (5, 4), (5, 4), (5, 4), reduction="none"),
)
