"""What is examined, with which arguments; what is found of it, before it is put in sentences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from .definitions import Definition, Draw, Operation
from .evidence import Tolerance
from .function_under_test import Arguments, FunctionUnderTest, dense_of
from .limits import Limits

DTYPES: Final = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Options:
    """How closely something is examined, and by what."""

    outputs: tuple[int, ...] | None = None
    """Places of the outputs to examine; None for all that have a derivative."""
    atol: float | None = None
    rtol: float | None = None
    dtypes: tuple[torch.dtype, ...] = DTYPES
    seed: int = 0
    effort: Limits = field(default_factory=Limits)
    lines: set[int] = field(default_factory=set)
    """Those that ran of the Function, with whatever inputs."""


@dataclass(frozen=True)
class Subject:
    """A Function, what it is meant to be, and the arguments that it is examined with."""

    function: FunctionUnderTest
    operation: Operation
    definition: Definition | None
    arguments: Arguments
    variables: tuple[int, ...]
    """Positions of the arguments that have a gradient."""
    dtype: torch.dtype = torch.float64
    fixed_inputs: bool = False
    """Whether the arguments were given by the user, so that no others can be drawn."""
    trial_inputs: bool = False
    """Whether they were found by trying, so that numbers among them may be others."""
    constants: tuple[int, ...] = ()
    """Positions of arguments that are no inputs of the operation, and that forward may change: running statistics."""
    surrogate: Callable[..., Any] | None = None
    """A function of the same arguments whose derivative backward is meant to give; None for forward's own."""

    options: Options = field(default_factory=Options)
    inaccuracy: float = 0.0
    """Share of itself that the gradient may be off, of an iteration that stops when it is near enough."""

    @property
    def tolerance(self) -> Tolerance:
        """How far a gradient may be from the slope."""
        usual = max(self.inaccuracy, 1e-6) if self.dtype == torch.float64 else 3e-3
        return Tolerance(usual if self.options.rtol is None else self.options.rtol, self.options.atol)

    def for_output(self, place: int) -> "Subject":
        """Return the same, examined by another of its outputs; so is what it is compared with."""
        definition, surrogate = self.definition, self.surrogate
        if definition is not None:
            definition = replace(definition, reference=partial(_output, definition.reference, place))
        if surrogate is not None:
            surrogate = partial(_output, surrogate, place)
        return replace(self, function=self.function.for_output(place), definition=definition, surrogate=surrogate)

    def differentiable(self, arguments: Sequence[Any]) -> Tensor:
        """Return the value of what backward is the derivative of: the output, or that of the surrogate."""
        if self.surrogate is None:
            return self.function.value(arguments, self.variables)
        with torch.no_grad():
            return self.surrogate(*arguments)  # type: ignore[no-any-return]

    def pull(self, grad_output: Tensor) -> tuple[Any, ...]:
        """Return what backward returns for a grad_output, in a new graph: some can only run once."""
        return self.function(self.arguments, self.variables).backward(grad_output)

    def name(self, position: int) -> str:
        """Return what forward calls an argument."""
        return self.function.name(position)

    def draw(self, seed: int, n: int = 10, square: bool = False) -> Arguments:
        """Return other arguments of the definition's."""
        assert self.definition is not None
        return cast(self.definition.draw(Draw(seed, n, square)), self.dtype)

    def with_first(self, first: Sequence[Any]) -> Arguments | None:
        """Return arguments that begin with some, the rest drawn; None where the definition does not take them."""
        if self.definition is None:
            return None
        arguments = list(self.draw(0))
        if len(first) > len(arguments) - len(self.constants):
            return None
        for number, value in enumerate(first):
            arguments[self.definition.place(number)] = value
        try:
            self.definition.reference(*arguments)
        except Exception:
            return None
        return cast(arguments, self.dtype)


def _output(function: Callable[..., Any], place: int, *arguments: Any) -> Tensor:
    """Return one of the outputs of a function that has several."""
    returned = function(*arguments)
    return returned[place] if isinstance(returned, tuple | list) else returned  # type: ignore[no-any-return]


def variables_of(arguments: Sequence[Any], constants: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the positions of arguments that can have a gradient, the constants apart."""
    floating = (place for place, of in enumerate(arguments) if isinstance(of, Tensor) and of.is_floating_point())
    return tuple(place for place in floating if place not in constants)


def cast(arguments: Sequence[Any], dtype: torch.dtype) -> Arguments:
    """Return the arguments with floating-point tensors in another dtype."""
    return tuple(
        value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value for value in arguments
    )


@dataclass(frozen=True)
class Observation:
    """A code, words, and the input that they are about: a finding before it is put in a sentence."""

    code: str
    words: str
    position: int | None = None
    worst: str = ""
    """The entry that is most wrong, in a sentence."""
    note: bool = False
    method: str | None = None
    """The method of the class that it is about, where `findings.METHODS` has another for the code."""


def gradients(subject: Subject, arguments: Arguments, seed: int = 1, contiguous: bool = True) -> tuple[Any, ...]:
    """Return what backward returns for some arguments and a random grad_output."""
    call = subject.function(arguments, subject.variables, contiguous)
    return call.backward(random_like(call.output, seed, contiguous))


def random_like(tensor: Tensor, seed: int, contiguous: bool = True) -> Tensor:
    """Return random numbers of a tensor's shape and dtype, none of them near 0."""
    drawn = Draw(seed)(*tensor.shape).to(tensor.dtype)
    return drawn if contiguous or not tensor.dim() else drawn.mT.contiguous().mT if tensor.dim() > 1 else drawn


def with_leaves(arguments: Sequence[Any], places: Sequence[int]) -> tuple[dict[int, Tensor], Arguments]:
    """Return leaves of a graph at some places, and the arguments with copies of them, which may be changed in place."""
    leaves = {place: arguments[place].detach().clone().requires_grad_() for place in places}
    return leaves, tuple(leaves[place].clone() if place in leaves else of for place, of in enumerate(arguments))


def pulled_back(
    output: Tensor,
    inputs: Sequence[Tensor],
    grad_output: Tensor,
    create_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return what autograd gives for a grad_output, None where the output does not depend on an input.

    By a number of which it is the gradient: given one of its own, torch.autograd.grad imports sympy, which takes as
    long as the examination of a Function.
    """
    total = (output * grad_output).sum()
    found = torch.autograd.grad(total, list(inputs), create_graph=create_graph, allow_unused=True)
    return tuple(map(dense_of, found))


def differentiate(
    definition: Definition, arguments: Arguments, variables: Sequence[int], grad_output: Tensor
) -> tuple[Tensor, tuple[Any, ...]]:
    """Return the value of a definition, and its gradients as torch has them, one for each argument or None."""
    copies = tuple(
        of.detach().clone().double().requires_grad_(place in variables)
        if isinstance(of, Tensor) and of.is_floating_point()
        else of
        for place, of in enumerate(arguments)
    )
    output = definition.reference(*copies)
    if not output.requires_grad or output.shape != grad_output.shape:
        return output, ()
    asked = [copies[place] for place in variables]
    found = pulled_back(output, asked, grad_output.double())
    by_place = dict(zip(variables, found, strict=True))
    return output, tuple(by_place.get(place) for place in range(len(copies)))
