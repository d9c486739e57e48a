"""What a definition of an operation is, and what draws the arguments that it is tried on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Arguments = tuple[Any, ...]


_offset: ContextVar[int] = ContextVar("offset", default=0)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw other numbers inside: those of another seed."""
    token = _offset.set(seed)
    try:
        yield
    finally:
        _offset.reset(token)


class Draw:
    """Draws arguments: the same numbers for the same seed, float64."""

    def __init__(self, seed: int, n: int = 10, square: bool = False) -> None:
        self.generator = torch.Generator().manual_seed(seed + 1000 * _offset.get())
        self.n = n
        """The batch size."""
        self.square = square
        """Whether all sizes are alike, so that what is transposed still fits."""

    def size(self, size: int) -> int:
        """Return the size, or the batch size where all are alike."""
        return self.n if self.square else size

    def __call__(self, *shape: int) -> Tensor:
        """Draw numbers of either sign whose absolute values lie in [0.5, 1.5]: away from zero, and from its kinks."""
        sign = torch.randint(0, 2, shape, generator=self.generator) * 2 - 1
        return (self.between(0.5, 1.5, *shape)) * sign

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw numbers between two."""
        return low + (high - low) * torch.rand(shape, generator=self.generator, dtype=torch.float64)

    def distinct(self, *shape: int) -> Tensor:
        """Draw numbers of which no two lie close together, so that the largest of some stays the largest."""
        count = torch.Size(shape).numel()
        ranks = torch.randperm(count, generator=self.generator, dtype=torch.float64)
        return ((ranks - (count - 1) / 2) * (4 / max(count, 1))).reshape(shape)

    def classes(self, n: int, count: int) -> Tensor:
        """Draw the number of a class for each of n examples."""
        return torch.randint(0, count, (n,), generator=self.generator)

    def one_hot(self, n: int, count: int) -> Tensor:
        """Draw a class for each of n examples, as rows of zeros with a one."""
        return torch.nn.functional.one_hot(self.classes(n, count), count).double()


@dataclass(frozen=True)
class Definition:
    """One way to define an operation and to pass its arguments."""

    name: str
    """What `amal check NAME=operation:name` says to ask for it."""
    says: str
    """It in words."""
    reference: Callable[..., Tensor]
    draw: Callable[[Draw], Arguments]
    optional: tuple[int, ...] = ()
    """Arguments that are data, such as targets: a gradient for them is welcome, and not asked for."""
    asked: bool = False
    """Whether values cannot tell it from another one: the shapes of gradients do, or else what the code says."""
    roles: tuple[str, ...] = ()
    """What each argument is, by which the parameters of forward are told apart; none: it takes them as they come."""
    of_batch: bool = False
    """Whether it normalises or sums over the batch: of an empty one, or of one example, it means nothing."""
    order: tuple[int, ...] = ()
    """The place of each argument among those of forward; none: as they come."""
    constants: tuple[int, ...] = ()
    """Places of what forward takes besides, such as running statistics: without a gradient, and free to change."""

    @property
    def inputs(self) -> int:
        """How many of the arguments are tensors."""
        return sum(isinstance(of, Tensor) for of in self.draw(Draw(0)))

    def place(self, argument: int) -> int:
        """Return the place of an argument among those of forward."""
        return self.order[argument] if self.order else argument


@dataclass(frozen=True)
class Kink:
    """Arguments at which an operation has no derivative, and the gradient that is agreed on."""

    arguments: Arguments
    expected: Tensor | None
    """Of the first argument, for a grad_output of ones; None for what the definition says by a condition.

    Never what torch takes for its own operation at a kink: of clamp it went from 1 to 0 with torch 2.14.
    """
    says: str
    lowest: Tensor | None = None
    """The least gradient that can be defended, entry by entry; None for the smaller of the slopes on both sides."""
    highest: Tensor | None = None
    total: bool = False
    """Whether, in a choice that can be defended, the gradients add up to the same sum."""


@dataclass(frozen=True)
class Operation:
    """An operation that the doctor knows."""

    name: str
    aliases: tuple[str, ...]
    """Names of classes that mean it, in lower case, without underscores."""
    definitions: tuple[Definition, ...]
    extremes: tuple[Arguments, ...] = ()
    """Arguments for which careless formulas overflow or divide by 0, where forward and backward must give numbers."""
    extremes_are: str = "large inputs"
    """What they are, in words."""
    exact_extremes: bool = True
    """Whether at the extremes the definition's value is asked for, not only that it is finite."""
    kinks: tuple[Kink, ...] = ()
    of_output: Callable[[Tensor, Tensor], Tensor] | None = None
    """The gradient of the first argument as (output, grad_output) give it, for operations that are often written so."""
