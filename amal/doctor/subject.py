"""What is examined, with which arguments; what is seen of it, before it is put in sentences."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from .calls import Arguments, Call, clone, floating_places, nth, to_dense
from .definitions import Definition, Draw, Operation
from .evidence import Tolerance, same
from .function_under_test import FunctionUnderTest
from .limits import Limits

DTYPES: Final = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
LARGE: Final = 100_000
"""Entries of all variables above which each call takes long, so that fewer are made."""


@dataclass(frozen=True)
class Options:
    """How closely something is examined, and by what."""

    outputs: tuple[int, ...] | None = None
    """Places of the outputs to examine; None for all that have a derivative."""
    atol: float | None = None
    rtol: float | None = None
    dtypes: tuple[torch.dtype, ...] = DTYPES
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    lines: set[int] = field(default_factory=set)
    """Those that ran of the Function, with whatever inputs."""


class Baseline(NamedTuple):
    """One call with the arguments as they are, to compare others with."""

    call: Call
    grad_output: Tensor
    gradients: tuple[Any, ...]
    """What backward returns; nothing where the output is cut off from the inputs."""


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
    """Whether the arguments are the user's, so that no others can be drawn."""
    trial_inputs: bool = False
    """Whether they were found by trying, so that numbers among them may be others."""
    constants: tuple[int, ...] = ()
    """Positions of arguments that are no inputs and that forward may change: running statistics."""
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

    @cached_property
    def is_large(self) -> bool:
        """Whether each call takes long, so that fewer are made."""
        entries: int = sum(self.arguments[place].numel() for place in self.variables)
        return entries > LARGE

    @cached_property
    def baseline(self) -> Baseline:
        """Value and gradients with the arguments as they are.

        Raises:
            CallError: forward or backward does.
        """
        return self.respond(self.arguments)

    def respond(self, arguments: Arguments, contiguous: bool = True) -> Baseline:
        """Return value and gradients with some arguments, for a random grad_output."""
        call = self.function(arguments, self.variables, contiguous)
        grad_output = random_like(call.output, 1, contiguous)
        return Baseline(call, grad_output, call.backward(grad_output))

    def for_output(self, place: int) -> "Subject":
        """Return the same, examined by another of its outputs; so is what it is compared with."""
        definition, surrogate = self.definition, self.surrogate
        if definition is not None:
            definition = replace(definition, reference=partial(_output, definition.reference, place))
        if surrogate is not None:
            surrogate = partial(_output, surrogate, place)
        return replace(self, function=self.function.variant(place), definition=definition, surrogate=surrogate)

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

    def other_gradients(self, actual: Sequence[Any], expected: Sequence[Any]) -> Iterator[int]:
        """Yield the variables whose gradient is another than the expected one; None stands for 0."""
        for place in self.variables:
            grad, right = nth(actual, place), nth(expected, place)
            if not isinstance(right, Tensor):
                continue
            if not isinstance(grad, Tensor):
                if grad is None and right.any():
                    yield place
            elif not same(grad.nan_to_num(), right.nan_to_num(), self.tolerance.at_least(1e-6)):
                yield place

    def draw(self, seed: int, n: int = 10, square: bool = False) -> Arguments:
        """Return other arguments of the definition's."""
        assert self.definition is not None
        return cast(self.definition.draw(Draw(seed, n, square)), self.dtype)

    def with_first(self, first: Sequence[Any]) -> Arguments | None:
        """Return arguments that begin with some, the rest drawn; None where the definition takes others."""
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
        return cast(arguments, self.dtype) if _kinds(arguments) == _kinds(self.arguments) else None


def _kinds(arguments: Sequence[Any]) -> list[tuple[bool, int] | None]:
    """Return the kinds of arguments: classes by number, or in rows of zeros with a one."""
    return [(each.is_floating_point(), each.dim()) if isinstance(each, Tensor) else None for each in arguments]


def _output(function: Callable[..., Any], place: int, *arguments: Any) -> Tensor:
    """Return one of the outputs of a function that has several."""
    result = function(*arguments)
    return result[place] if isinstance(result, tuple | list) else result  # type: ignore[no-any-return]


def variables_of(arguments: Sequence[Any], constants: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the positions of arguments that can have a gradient, the constants apart."""
    return tuple(place for place in floating_places(arguments) if place not in constants)


def map_floating(function: Callable[[Tensor], Tensor], arguments: Sequence[Any]) -> Arguments:
    """Return the arguments with each floating-point tensor changed by a function."""
    floating = floating_places(arguments)
    return tuple(function(value) if place in floating else value for place, value in enumerate(arguments))


def cast(arguments: Sequence[Any], dtype: torch.dtype) -> Arguments:
    """Return the arguments with floating-point tensors in another dtype."""
    return map_floating(lambda value: value.to(dtype), arguments)


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


def random_like(tensor: Tensor, seed: int, contiguous: bool = True) -> Tensor:
    """Return random numbers of a tensor's shape and dtype, none of them near 0."""
    numbers = Draw(seed)(*tensor.shape).to(tensor.dtype)
    return numbers if contiguous or tensor.dim() < 2 else numbers.mT.contiguous().mT


def make_leaves(arguments: Sequence[Any], places: Sequence[int]) -> tuple[dict[int, Tensor], Arguments]:
    """Return leaves of a graph at some places, and arguments made of them, which may be changed in place."""
    copies = [clone(value) if isinstance(value, Tensor) else value for value in arguments]
    leaves = {place: copies[place].requires_grad_() for place in places}
    return leaves, tuple(leaves[place].clone() if place in leaves else value for place, value in enumerate(copies))


def pull_back(
    output: Tensor, inputs: Sequence[Tensor], grad_output: Tensor, create_graph: bool = False
) -> tuple[Tensor | None, ...]:
    """Return what autograd gives for a grad_output, None where the output does not depend on an input.

    It is the gradient of a number: with a grad_output, torch.autograd.grad imports sympy, which takes as long
    as the examination of a Function.
    """
    total = (output * grad_output).sum()
    results = torch.autograd.grad(total, list(inputs), create_graph=create_graph, allow_unused=True)
    return tuple(map(to_dense, results))


def differentiate(
    definition: Definition, arguments: Arguments, variables: Sequence[int], grad_output: Tensor
) -> tuple[Tensor, tuple[Any, ...]]:
    """Return the value of a definition, and its gradients as torch has them, one for each argument or None."""
    leaves, copies = make_leaves(cast(arguments, torch.float64), variables)
    output = definition.reference(*copies)
    if not output.requires_grad or output.shape != grad_output.shape:
        return output, ()
    results = pull_back(output, list(leaves.values()), grad_output.double())
    by_place = dict(zip(leaves, results, strict=True))
    return output, tuple(by_place.get(place) for place in range(len(copies)))
