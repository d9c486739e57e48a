"""A Function as the doctor handles it: called as a graph calls it, its backward as the engine calls it.

The engine is kept out of the way: it sums a gradient that was not summed over the batch, and turns one dtype into
another, so that what backward returned can only be seen by calling it. Of a callable that is no Function only what the
engine gives can be had.
"""

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Final, TypeGuard

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx

from amal.errors import did_you_mean
from amal.tensors import function_nodes, strided

from .limits import Limits
from .randomness import SEED, SEEDS, same_random_numbers
from .stand_in import Unavailable

Arguments = tuple[Any, ...]


CTX_ATTRIBUTES: Final = {
    *("save_for_backward", "save_for_forward", "saved_tensors", "saved_variables", "needs_input_grad"),
    *("mark_dirty", "mark_non_differentiable", "set_materialize_grads"),
}
"""Attributes that only ctx has."""


class CallError(Exception):
    """The examined code raised an exception in one of its methods, or returned nothing.

    Args:
        method: forward or backward.
        cause: what was raised.
        hint: what else there is to say.
    """

    def __init__(self, method: str, cause: BaseException, hint: str = "") -> None:
        frames = traceback.extract_tb(cause.__traceback__)
        own = [frame for frame in frames if "/torch/" not in frame.filename and "amal/doctor" not in frame.filename]
        line = f" (line {own[-1].lineno}: {own[-1].line})" if own and own[-1].line else ""
        text = " ".join(str(cause).split())
        words = f"raised {type(cause).__name__}{': ' if text else ''}{text[:300]}{line}"
        super().__init__(f"{method} {cause if isinstance(cause, Nothing) else words}{hint}")
        self.method, self.cause = method, cause
        refusal = bool(own) and own[-1] is frames[-1]
        self.is_refusal = refusal and (own[-1].line or "").startswith(("raise ", "assert "))
        """Whether it is the code's own statement that raises, in words of its own."""


class Nothing(Exception):
    """Something was returned that is nothing."""


def _raised(where: str, error: BaseException, ctx: Any = None) -> Exception:
    """Return what is to be raised for what the examined code raised, with what is known of its ctx."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return Unavailable(f"{error.name}, which is not installed")
    return error if isinstance(error, Unavailable) else CallError(where, error, _hint(error, ctx))


def _hint(error: BaseException, ctx: Any) -> str:
    """Say what of ctx was forgotten or misspelt, if that is why."""
    if isinstance(error, AttributeError) and isinstance(error.obj, BackwardCFunction) and error.name:
        return f"; ctx has no {error.name}{did_you_mean(error.name, [*CTX_ATTRIBUTES, *vars(error.obj)])}"
    backward = getattr(getattr(ctx, "_forward_cls", None), "backward", None)
    code = getattr(inspect.unwrap(backward), "__code__", None) if backward is not None else None
    if isinstance(error, (ValueError, IndexError)) and code and {"saved_tensors", "saved_variables"} & {*code.co_names}:
        return "" if ctx.saved_tensors else "; nothing was saved by ctx.save_for_backward in forward"
    return ""


@dataclass(frozen=True)
class Call:
    """One call of a Function, and the node that it left in the graph."""

    arguments: Arguments
    outputs: tuple[Any, ...]
    place: int
    """Of the output that is examined."""
    node: Any
    """None if that output leads to none: it is cut off from the inputs."""

    @property
    def output(self) -> Tensor:
        """Return the output that is examined."""
        output: Tensor = self.outputs[self.place]
        return output

    def backward(self, grad_output: Tensor, copy: bool = True) -> tuple[Any, ...]:
        """Return what backward returns, untouched, for a gradient of the output that is examined, 0 for all others.

        Nothing where no node is behind the output.

        Args:
            grad_output: of that output.
            copy: give backward a copy of it, so that what it changes is not read by others.

        Raises:
            Raised: backward raised an exception.
        """
        return self.pull({self.place: grad_output.clone() if copy else grad_output})

    def pull(self, grad_outputs: Mapping[int, Tensor]) -> tuple[Any, ...]:
        """Return what backward returns for gradients of several outputs, by place, 0 for all others."""
        if self.node is None:
            return ()
        gradients = [
            grad_outputs.get(place, self._undefined(output)) if isinstance(output, Tensor) else None
            for place, output in enumerate(self.outputs)
        ]
        before = [output.detach().clone() if isinstance(output, Tensor) else None for output in self.outputs]
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                same_random_numbers(SEED + 1)  # a mask that backward draws again is not forward's
                returned = self._asked(gradients)
        except BaseException as error:
            raise _raised("backward", error, self.node) from error
        finally:
            for output, kept in zip(self.outputs, before, strict=True):
                if kept is not None and is_freed(output):  # as reversible networks do; it is read again here
                    output.untyped_storage().resize_(kept.untyped_storage().nbytes())
                    output.detach().copy_(kept)
        several = returned if isinstance(returned, tuple | list) else (returned,)
        return tuple(map(dense_of, several))

    def _undefined(self, output: Tensor) -> Tensor | None:
        """Return what stands for no gradient of an output."""
        return torch.zeros_like(output)

    def _asked(self, gradients: Sequence[Any]) -> Any:
        return self.node.apply(*gradients)


@dataclass(frozen=True)
class EngineCall(Call):
    """One call of a callable that is no Function: torch's engine says what the gradients are."""

    given: Arguments = ()
    """What the arguments are copies of, which the callable may have changed in place."""

    def _undefined(self, output: Tensor) -> None:  # noqa: ARG002
        return None  # zeros times what overflows in there would be NaN

    def _asked(self, gradients: Sequence[Any]) -> Any:
        pairs = [
            (output, gradient)
            for output, gradient in zip(self.outputs, gradients, strict=True)
            if isinstance(output, Tensor) and output.requires_grad and gradient is not None
        ]
        asked = [value for value in self.given if isinstance(value, Tensor) and value.requires_grad]
        outputs, grad_outputs = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(outputs, asked, grad_outputs, allow_unused=True))
        return tuple(next(found) if any(value is one for one in asked) else None for value in self.given)


class FunctionUnderTest:
    """A Function under examination, by one of its outputs.

    Args:
        function: the class.
    """

    implementation: Any
    place: int | None = None
    """Of the output; None for the first that is a floating-point tensor."""
    seed = SEED
    effort = Limits()

    def __init__(self, function: type[Any]) -> None:
        self.implementation, self.title = function, function.__name__
        old_form = function.setup_context is torch.autograd.function._SingleLevelFunction.setup_context
        parameters = list(inspect.signature(function.forward).parameters.values())
        if old_form and parameters and parameters[0].kind is not Parameter.VAR_POSITIONAL:
            parameters = parameters[1:]  # ctx
        plain = [of for of in parameters if of.kind in (of.POSITIONAL_ONLY, of.POSITIONAL_OR_KEYWORD)]
        self.parameters, self.names = tuple(plain), tuple(of.name for of in plain)
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
        return self.run(asking(arguments, needs, contiguous))

    def run(self, arguments: Arguments) -> Call:
        """Apply the Function to these very arguments."""
        self.effort.require()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                same_random_numbers(self.seed)
                returned = self.apply(arguments)
        except BaseException as error:
            raise _raised("forward", error) from error
        outputs = tuple(returned) if isinstance(returned, tuple | list) else (returned,)
        floating = floating_places(outputs)
        if not floating:
            kinds = ", ".join(type(output).__name__ for output in outputs)
            missing = outputs == (None,)
            raise CallError(
                "forward",
                Nothing(
                    "returns nothing: a `return` is missing, or returns None"
                    if missing
                    else f"returns {kinds}, not a floating-point tensor"
                ),
            )
        place = floating[0] if self.place is None else self.place
        return self.call(arguments, outputs, place)

    def apply(self, arguments: Arguments) -> Any:
        """Return what the Function returns."""
        return self.implementation.apply(*arguments)

    def call(self, arguments: Arguments, outputs: tuple[Any, ...], place: int) -> Call:
        """Return the call that gave the outputs."""
        return Call(arguments, outputs, place, next(function_nodes(outputs[place]), None))

    def for_output(self, place: int) -> "FunctionUnderTest":
        """Return the same, examined by another of its outputs."""
        other = copy(self)
        other.place = place
        return other

    def differentiable_outputs(self, arguments: Arguments, variables: Sequence[int]) -> list[int]:
        """Return the places of the outputs that have a derivative; the first floating one where none has."""
        call = self(arguments, variables)
        floating = floating_places(call.outputs)
        return [place for place in floating if call.outputs[place].requires_grad] or floating[:1]

    def value(self, arguments: Sequence[Any], needs: Sequence[int] = ()) -> Tensor:
        """Return the output alone; those at `needs` say that they need a gradient, which some forwards look at."""
        copies = asking(arguments, needs)
        with torch.no_grad():
            return self.run(copies).output.detach()

    def is_random(self, arguments: Sequence[Any]) -> bool:
        """Whether the output hangs on random numbers: it is another from some other seed."""
        usual = self.value(arguments).nan_to_num()
        return any(not torch.equal(usual, self.from_seed(seed).value(arguments).nan_to_num()) for seed in SEEDS)

    def from_seed(self, seed: int) -> "FunctionUnderTest":
        """Return the same, its random numbers drawn from another seed."""
        other = copy(self)
        other.seed = seed
        return other


class Composite(FunctionUnderTest):
    """A callable that is no Function: what is inside is seen together, as autograd differentiates it.

    Args:
        function: any callable of tensors.
        names: of its arguments.
        title: what it is called.
    """

    def __init__(self, function: Callable[..., Any], names: tuple[str, ...], title: str) -> None:
        self.implementation, self.names, self.title = function, names, title
        self.parameters, self.required, self.any_number = (), 0, True

    def apply(self, arguments: Arguments) -> Any:
        """Return what the callable returns."""
        return self.implementation(*arguments)

    def run(self, arguments: Arguments) -> Call:
        """Apply the callable to the arguments; to copies of those that need a gradient, which it may change."""
        copies = (of.clone() if isinstance(of, Tensor) and of.requires_grad else of for of in arguments)
        call = super().run(tuple(copies))
        return EngineCall(call.arguments, call.outputs, call.place, call.output.grad_fn, arguments)


def detach(value: Tensor) -> Tensor:
    """Return a tensor outside of any graph; one that is in none as it is, whose class may forget itself otherwise."""
    return value.detach() if value.requires_grad else value


def is_freed(value: Tensor) -> bool:
    """Whether the memory of a tensor is gone: to read it ends the process."""
    return value.layout == torch.strided and value.numel() > 0 and not value.untyped_storage().nbytes()


def dense_of(value: Any) -> Any:
    """Return a sparse tensor as a dense one, and anything else as it is."""
    return value.to_dense() if isinstance(value, Tensor) and value.layout != torch.strided else value


def floating_places(outputs: Sequence[Any]) -> list[int]:
    """Return the places of floating-point tensors."""
    return [place for place, output in enumerate(outputs) if isinstance(output, Tensor) and output.is_floating_point()]


def needing(value: Tensor) -> Tensor:
    """Return the value as the result of an operation that needs a gradient: it may be changed in place."""
    return value.requires_grad_().clone()


def asking(arguments: Sequence[Any], needs: Sequence[int], contiguous: bool = True) -> Arguments:
    """Return copies of the arguments, of which those at `needs` need a gradient."""
    copies = (clone(value, contiguous) if isinstance(value, Tensor) else value for value in arguments)
    return tuple(needing(value) if place in needs else value for place, value in enumerate(copies))


def is_function(value: Any) -> TypeGuard[type[Any]]:
    """Whether a value is an autograd Function, or torch's own class of them."""
    return isinstance(value, type) and issubclass(value, torch.autograd.Function)


def nth(returned: Sequence[Any], place: int) -> Any:
    """Return what backward returned for an input; None where it returned too little."""
    return returned[place] if place < len(returned) else None


def plain(dtype: torch.dtype) -> str:
    """Return the name of a dtype, such as float32."""
    return str(dtype).removeprefix("torch.")


def clone(value: Tensor, contiguous: bool = True) -> Tensor:
    """Return a copy of its own memory: contiguous, or in another layout, which indices of a class of theirs keep."""
    copy = detach(value).clone(memory_format=torch.contiguous_format)
    special = type(copy) is not Tensor and not copy.is_floating_point()
    return copy if contiguous or special else strided(copy)


def kept_on(ctx: FunctionCtx) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and value of tensors that are attributes of a context, or in a list or dictionary that is."""
    for name, value in vars(ctx).items():
        values = value.values() if isinstance(value, dict) else value
        for inner in values if isinstance(value, dict | list | tuple | set) else (value,):
            if isinstance(inner, Tensor):
                yield name, inner
