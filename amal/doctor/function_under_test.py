"""A Function as the doctor calls it: as a graph does; or any other callable, by torch's engine."""

import inspect
import warnings
from collections.abc import Callable, Sequence
from copy import copy
from inspect import Parameter
from typing import Any, TypeGuard

import torch
from torch import Tensor

from amal.graph.walk import function_nodes

from .calls import (
    Arguments,
    Call,
    CallError,
    EngineCall,
    NoOutput,
    call_error,
    floating_places,
    graph_inputs,
    map_tensors,
)
from .limits import Limits
from .randomness import SEED, SEEDS, same_random_numbers


class FunctionUnderTest:
    """A Function under examination, by one of its outputs.

    Args:
        implementation: the class.
    """

    implementation: Any
    place: int | None = None
    """The place of the output; None for the first that is a floating-point tensor."""
    seed = SEED
    limits = Limits()

    def __init__(self, implementation: type[Any]) -> None:
        self.implementation, self.title = implementation, implementation.__name__
        plain = torch.autograd.Function.setup_context
        parameters = list(inspect.signature(implementation.forward).parameters.values())
        old_form = implementation.setup_context is plain
        if old_form and parameters and parameters[0].kind is not Parameter.VAR_POSITIONAL:
            parameters = parameters[1:]  # ctx
        positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        self.parameters = tuple(each for each in parameters if each.kind in positional)
        """The parameters of forward, without ctx."""
        self.names = tuple(each.name for each in self.parameters)
        self.required = sum(each.default is each.empty for each in self.parameters)
        self.any_number = any(each.kind is each.VAR_POSITIONAL for each in parameters)

    def takes(self, count: int) -> bool:
        """Whether forward can be called with so many arguments."""
        return self.required <= count and (self.any_number or count <= len(self.names))

    def name(self, position: int) -> str:
        """Return what forward calls an argument."""
        return self.names[position] if position < len(self.names) else f"input {position}"

    def __call__(self, arguments: Sequence[Any], needs: Sequence[int] = (), contiguous: bool = True) -> Call:
        """Apply the Function to copies of the arguments, of which those at `needs` need a gradient.

        Raises:
            CallError: forward raised an exception, or returned no floating-point tensor.
        """
        return self.run(graph_inputs(arguments, needs, contiguous))

    def run(self, arguments: Arguments) -> Call:
        """Apply the Function to these very arguments."""
        self.limits.require()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                same_random_numbers(self.seed)
                result = self.apply(arguments)
        except BaseException as error:
            raise call_error("forward", error) from error
        outputs = tuple(result) if isinstance(result, tuple | list) else (result,)
        floating = floating_places(outputs)
        if not floating:
            kinds = ", ".join(type(output).__name__ for output in outputs)
            words = f"returns {kinds}, not a floating-point tensor"
            if outputs == (None,):
                words = "returns nothing: a `return` is missing, or returns None"
            raise CallError("forward", NoOutput(words))
        place = floating[0] if self.place is None else self.place
        return Call(arguments, outputs, place, next(iter(function_nodes(outputs[place])), None))

    def apply(self, arguments: Arguments) -> Any:
        """Return what the Function returns."""
        return self.implementation.apply(*arguments)

    def differentiable_outputs(self, arguments: Arguments, variables: Sequence[int]) -> list[int]:
        """Return the places of the outputs that have a derivative; the first floating one where none has."""
        outputs = self(arguments, variables).outputs
        floating = floating_places(outputs)
        return [place for place in floating if outputs[place].requires_grad] or floating[:1]

    def value(self, arguments: Sequence[Any], needs: Sequence[int] = ()) -> Tensor:
        """Return the output alone; arguments at `needs` need a gradient, which some forwards look at."""
        copies = graph_inputs(arguments, needs)
        with torch.no_grad():
            return self.run(copies).output.detach()

    def is_random(self, arguments: Sequence[Any]) -> bool:
        """Whether the output hangs on random numbers: it is another from some other seed."""
        usual = self.value(arguments).nan_to_num()
        others = (self.variant(seed=seed).value(arguments).nan_to_num() for seed in SEEDS)
        return any(not torch.equal(usual, other) for other in others)

    def variant(self, place: int | None = None, seed: int | None = None) -> "FunctionUnderTest":
        """Return the same, examined by another of its outputs, or with random numbers from another seed."""
        other = copy(self)
        other.place = self.place if place is None else place
        other.seed = self.seed if seed is None else seed
        return other


class Composite(FunctionUnderTest):
    """A callable that is no Function: what is inside is seen together, as autograd differentiates it.

    Args:
        implementation: any callable of tensors.
        names: the names of its arguments.
        title: what it is called.
    """

    def __init__(self, implementation: Callable[..., Any], names: tuple[str, ...], title: str) -> None:
        self.implementation, self.names, self.title = implementation, names, title
        self.parameters, self.required, self.any_number = (), 0, True

    def apply(self, arguments: Arguments) -> Any:
        """Return what the callable returns."""
        return self.implementation(*arguments)

    def run(self, arguments: Arguments) -> Call:
        """Apply the callable to the arguments; to copies of those that need a gradient, which it may change."""
        call = super().run(map_tensors(lambda value: value.clone() if value.requires_grad else value, arguments))
        return EngineCall(call.arguments, call.outputs, call.place, call.output.grad_fn, arguments)


def is_function(value: Any) -> TypeGuard[type[Any]]:
    """Whether a value is an autograd Function, or torch's own class of them."""
    return isinstance(value, type) and issubclass(value, torch.autograd.Function)


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype, such as float32."""
    return str(dtype).removeprefix("torch.")
