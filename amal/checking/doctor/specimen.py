"""A Function as the doctor handles it: called as a graph calls it, its backward as the engine calls it.

The engine is kept out of the way: it sums a gradient that was not summed over the batch, and turns one dtype into
another, so that what backward returned can only be seen by calling it.
"""

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from amal.checking.cases import strided
from amal.checking.properties import function_nodes

Arguments = tuple[Any, ...]
STEP = 1e-3


class Raised(Exception):
    """The examined code raised an exception, in `where`."""

    def __init__(self, where: str, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/torch/" not in frame.filename and "amal/checking" not in frame.filename]
        line = f" (line {own[-1].lineno}: {own[-1].line})" if own and own[-1].line else ""
        said = " ".join(str(error).split())
        super().__init__(f"{where} raised {type(error).__name__}{': ' if said else ''}{said[:300]}{line}")
        self.where, self.error = where, error


@dataclass(frozen=True)
class Call:
    """One call of a Function, and the node that it left in the graph."""

    arguments: Arguments
    output: Tensor
    outputs: tuple[Any, ...]
    node: Any
    """None if the output leads to none: it is cut off from the inputs."""

    def backward(self, grad_output: Tensor, copy: bool = True) -> tuple[Any, ...]:
        """Return what backward returns, untouched, for a gradient of the first output that is a floating tensor.

        Nothing where no node is behind the output.

        Args:
            grad_output: of that output.
            copy: give backward a copy of it, lest it change what others will read.

        Raises:
            Raised: backward raised an exception.
        """
        if self.node is None:
            return ()
        place = next(place for place, output in enumerate(self.outputs) if output is self.output)
        gradients = [torch.zeros_like(output) if isinstance(output, Tensor) else None for output in self.outputs]
        gradients[place] = grad_output.clone() if copy else grad_output
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                returned = self.node.apply(*gradients)
        except BaseException as error:
            raise Raised("backward", error) from error
        return tuple(returned) if isinstance(returned, tuple | list) else (returned,)


class Specimen:
    """A Function under examination."""

    def __init__(self, function: type[Any]) -> None:
        self.function = function
        old_form = function.setup_context is torch.autograd.function._SingleLevelFunction.setup_context
        parameters = list(inspect.signature(function.forward).parameters.values())[1 if old_form else 0 :]
        plain = [of for of in parameters if of.kind in (of.POSITIONAL_ONLY, of.POSITIONAL_OR_KEYWORD)]
        self.names = tuple(of.name for of in plain)
        """Of the parameters of forward, without ctx."""
        self.required = sum(of.default is of.empty for of in plain)
        self.any_number = any(of.kind is of.VAR_POSITIONAL for of in parameters)

    def takes(self, count: int) -> bool:
        """Whether forward can be called with so many arguments."""
        return self.required <= count and (self.any_number or count <= len(self.names))

    def name(self, position: int) -> str:
        """Return what forward calls an argument."""
        return self.names[position] if position < len(self.names) else f"input {position}"

    def __call__(self, arguments: Sequence[Any], needs: Sequence[int] = (), contiguous: bool = True) -> Call:
        """Apply the Function to copies of the arguments, of which those at `needs` need a gradient.

        Raises:
            Raised: forward raised an exception, or returned no floating-point tensor.
        """
        copies = tuple(
            copied(value, contiguous).requires_grad_(place in needs) if isinstance(value, Tensor) else value
            for place, value in enumerate(arguments)
        )
        return self.on(copies)

    def on(self, arguments: Arguments) -> Call:
        """Apply the Function to these very arguments."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                returned = self.function.apply(*arguments)
        except BaseException as error:
            raise Raised("forward", error) from error
        outputs = tuple(returned) if isinstance(returned, tuple | list) else (returned,)
        floating = [of for of in outputs if isinstance(of, Tensor) and of.is_floating_point()]
        if not floating:
            kinds = ", ".join(type(of).__name__ for of in outputs)
            raise Raised("forward", TypeError(f"it returned {kinds}, not a floating-point tensor"))
        output = floating[0]
        return Call(arguments, output, outputs, next(function_nodes(output), None))

    def value(self, arguments: Sequence[Any]) -> Tensor:
        """Return the output alone."""
        with torch.no_grad():
            return self(arguments).output


def at(returned: Sequence[Any], place: int) -> Any:
    """Return what backward returned for an input; None where it returned too little."""
    return returned[place] if place < len(returned) else None


def plain(dtype: torch.dtype) -> str:
    """Return the name of a dtype, such as float32."""
    return str(dtype).removeprefix("torch.")


def copied(value: Tensor, contiguous: bool = True) -> Tensor:
    """Return a copy of its own memory: contiguous, or in another layout."""
    copy = value.detach().clone(memory_format=torch.contiguous_format)
    return copy if contiguous else strided(copy)


def kept_on(ctx: FunctionCtx) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and value of tensors that are attributes of a context, or in a list or dictionary that is."""
    for name, value in vars(ctx).items():
        values = value.values() if isinstance(value, dict) else value
        for inner in values if isinstance(value, dict | list | tuple | set) else (value,):
            if isinstance(inner, Tensor):
                yield name, inner


@dataclass(frozen=True)
class Slopes:
    """How an output moves with one input, measured."""

    jacobian: Tensor
    """(entries of the output, entries of the input), float64."""
    smooth: Tensor
    """Of each entry of the input: whether the output has a slope there."""
    shape: torch.Size

    def pull(self, grad_output: Tensor) -> Tensor:
        """Return what grad_output gives for the input: the gradient that backward should return."""
        return (grad_output.double().flatten() @ self.jacobian).reshape(self.shape)


def slopes(function: Callable[..., Tensor], arguments: Sequence[Any], position: int) -> Slopes:
    """Measure the derivative of a function's output by one argument, by steps of 1e-3 in each entry.

    Two central differences, with a step and with twice that, give a formula right to fourth order. Where the two are
    far apart there is no slope: a kink, or a jump.
    """
    variable = arguments[position].detach()

    def moved(entry: int, step: float) -> Tensor:
        at = variable.clone(memory_format=torch.contiguous_format)
        at.view(-1)[entry] += step
        return function((*arguments[:position], at, *arguments[position + 1 :])).detach().double().flatten()

    columns, smooth = [], []
    for entry in range(variable.numel()):
        near = (moved(entry, STEP) - moved(entry, -STEP)) / (2 * STEP)
        far = (moved(entry, 2 * STEP) - moved(entry, -2 * STEP)) / (4 * STEP)
        columns.append((4 * near - far) / 3)
        apart = (near - far).abs().max() if near.numel() else torch.zeros(())
        smooth.append(bool(apart <= 1e-3 * (1 + near.abs().max() if near.numel() else 1)))
    rows = function(tuple(arguments)).numel()
    jacobian = torch.stack(columns, 1) if columns else torch.zeros(rows, 0, dtype=torch.float64)
    return Slopes(jacobian, torch.tensor(smooth, dtype=torch.bool).reshape(variable.shape), variable.shape)
