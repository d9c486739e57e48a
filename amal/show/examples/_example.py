"""The parts of a worked example."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from amal import functional
from amal.proofs.cases import Case
from amal.show.quantity import Entries, Paper
from amal.tensors import make_strided


@dataclass(frozen=True)
class Variable:
    """One variable: the letter of the derivation, the argument that it is, and its numbers."""

    letter: str
    argument: str
    numbers: Any


@dataclass(frozen=True)
class Example:
    """An operation called on numbers small enough to follow on paper.

    The chain is the derivation with these numbers. It takes a Paper to write on, then the entries of
    each variable, then those of grad_output.
    """

    variables: tuple[Variable, ...]
    grad_output: Any
    chain: Callable[..., None]
    constants: dict[str, Any] = field(default_factory=dict)
    """The other arguments, by name."""
    operation: Callable[..., Tensor] | None = None
    """The function to call; None for the operation of that name."""
    output: str = "y"
    """The letter of the output: y, or L for a loss."""
    note: str = ""

    def tensors(self, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
        """Return the variables."""
        return tuple(torch.tensor(variable.numbers, dtype=dtype, requires_grad=True) for variable in self.variables)

    def gradient(self) -> Tensor:
        """Return grad_output."""
        return torch.tensor(self.grad_output, dtype=torch.float64)

    def call(self, op: str) -> Callable[..., Tensor]:
        """Return the operation as a function of the variables alone."""
        operation: Callable[..., Tensor] = self.operation or getattr(functional, op)
        names = [variable.argument for variable in self.variables]
        return lambda *tensors: operation(**dict(zip(names, tensors, strict=True)), **self.constants)

    def on_paper(self) -> Paper:
        """Write the calculation."""
        paper = Paper()
        letters = (variable.letter for variable in self.variables)
        entries = map(Entries.from_tensor, letters, self.tensors())
        self.chain(paper, *entries, Entries.from_tensor("g", self.gradient()))
        return paper


@dataclass(frozen=True)
class FixedCase(Case):
    """A row like those of the table of operations, with the numbers of an example."""

    example: Example | None = None

    def inputs(
        self,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
        requires_grad: bool = True,
        contiguous: bool = True,
        seed: int = 0,
    ) -> tuple[Tensor | None, ...]:
        """Return the numbers of the example, whatever the seed."""
        del seed
        assert self.example is not None
        tensors = (tensor.detach().to(device) for tensor in self.example.tensors(dtype))
        return tuple(
            (tensor if contiguous else make_strided(tensor)).requires_grad_(requires_grad) for tensor in tensors
        )
