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
def use_seed(seed: int) -> Iterator[None]:
    """Draw the numbers of another seed inside of a `with`."""
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
        return self.uniform(0.5, 1.5, *shape) * sign

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw numbers between two bounds."""
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


def append(draw: Callable[[Draw], Arguments], *values: Any) -> Callable[[Draw], Arguments]:
    """Return what draws the same arguments, and some values after them."""
    return lambda drawing: (*draw(drawing), *values)


@dataclass(frozen=True)
class Definition:
    """One way to define an operation and to pass its arguments."""

    name: str
    """By which `amal check NAME=operation:name` selects it."""
    says: str
    """The definition in words."""
    reference: Callable[..., Tensor]
    draw: Callable[[Draw], Arguments]
    roles: tuple[str, ...] = ()
    """What each argument is, which tells the parameters of forward apart; none: it takes them as they come."""
    optional: tuple[int, ...] = ()
    """Arguments that are data, such as targets: a gradient for them is welcome, and not required."""
    hint: str = ""
    """A regular expression, for what values cannot tell from another definition: where the shapes of gradients do not
    tell either, the text of a class that means this one matches it."""
    needs_batch: bool = False
    """Whether it normalises or sums over the batch: for an empty one, or for one example, it means nothing."""
    order: tuple[int, ...] = ()
    """The place of each argument among those of forward; none: as they come."""
    constants: tuple[int, ...] = ()
    """Places of what forward takes besides, such as running statistics: without a gradient, and free to change."""

    @property
    def inputs(self) -> int:
        """How many of the arguments are tensors."""
        return sum(isinstance(argument, Tensor) for argument in self.draw(Draw(0)))

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
    """These arguments in words."""
    exact_extremes: bool = True
    """Whether forward must give the definition's value at the extremes, and not only a finite one."""
    kinks: tuple[Kink, ...] = ()
    gradient_by_output: Callable[[Tensor, Tensor], Tensor] | None = None
    """(output, grad_output) -> the gradient of the first argument, for operations that are often written so."""
