"""What can be examined, made ready: a Function, a module, any other callable, its inputs, and which are variables."""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .function_under_test import (
    Arguments,
    CallError,
    Composite,
    FunctionUnderTest,
    clone,
    detach,
    floating_places,
    is_function,
)
from .subject import cast


@dataclass(frozen=True)
class Prepared:
    """A function and its arguments."""

    function: FunctionUnderTest
    arguments: Arguments
    """Floating-point tensors in float64; of a module the inputs, then the parameters."""
    variables: tuple[int, ...]
    """Positions of the arguments for which a gradient is asked."""
    reference: Callable[..., Any] | None
    """Of the same arguments."""
    unable: str = ""
    """Why nothing can be examined; empty where something can."""


def prepared(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    requires: Collection[int | str] | None,
    reference: Callable[..., Any] | None,
) -> Prepared:
    """Make ready whatever was given.

    Args:
        function: a subclass of torch.autograd.Function, an nn.Module, or any other callable of tensors.
        inputs: its inputs. Where `requires` is None and some tensor has requires_grad, those that have it are
            the variables; otherwise all floating-point tensors are, of a module its parameters too.
        requires: the variables, by position or name.
        reference: computes the same.

    Raises:
        TypeError: the function cannot be called, or a variable is no floating-point tensor.
        ValueError: there is no such variable.
    """
    wrapper, arguments, reference = _called(function, tuple(inputs), reference)
    if any(isinstance(value, Tensor) and value.layout != torch.strided for value in arguments):
        return Prepared(
            wrapper, arguments, (), reference, "an input is sparse: slopes are measured of dense ones alone"
        )
    floating = [place for place, value in enumerate(arguments) if isinstance(value, Tensor) and _has_slope(value)]
    own = range(len(inputs))  # a module's parameters always ask, and say nothing of the inputs
    asked = [place for place in floating if place in own and arguments[place].requires_grad]
    if asked:
        asked += [place for place in floating if place not in own and arguments[place].requires_grad]
    if requires is not None:
        requires = [requires] if isinstance(requires, str) else requires
        asked = [_place(variable, wrapper, arguments) for variable in requires]
        wrong = [wrapper.name(place) for place in asked if place not in floating]
        if wrong:
            raise TypeError(f"requires: {', '.join(wrong)} is no floating-point tensor, and has no gradient")
    variables = tuple(asked or floating)
    plain = tuple(detach(value) if isinstance(value, Tensor) else value for value in arguments)
    if any(plain[place].is_complex() for place in variables) or _gives_complex(wrapper, plain):
        wrapper, plain, reference = _in_pairs(wrapper, plain, reference)
    unable = "" if variables else "no input is a floating-point tensor, so nothing has a gradient"
    if variables and not any(plain[place].numel() for place in variables):
        unable = "all inputs that could have a gradient are empty"
    return Prepared(wrapper, cast(plain, torch.float64), variables, reference, unable)


def _gives_complex(wrapper: FunctionUnderTest, arguments: Arguments) -> bool:
    """Whether real inputs give a complex output."""
    try:
        with torch.no_grad():
            returned = wrapper.apply(tuple(clone(of) if isinstance(of, Tensor) else of for of in arguments))
    except BaseException:  # it is said when it is examined
        return False
    outputs = returned if isinstance(returned, tuple | list) else (returned,)
    return any(isinstance(of, Tensor) and of.is_complex() for of in outputs)


def require_comparable(name: str, function: Callable[..., Any], ready: Prepared) -> None:
    """Let a reference or a surrogate be called with the inputs.

    Raises:
        ValueError: it raises an exception, or returns no tensor, or, a surrogate, one of another shape.
    """
    copies = [clone(of) if isinstance(of, Tensor) else of for of in ready.arguments]
    try:
        with torch.no_grad():
            returned = function(*copies)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"{name} cannot be called with these inputs: {type(error).__name__}: {said}") from error
    outputs = returned if isinstance(returned, (tuple, list)) else (returned,)
    if not floating_places(outputs):
        raise ValueError(
            f"{name} returns {', '.join(type(of).__name__ for of in outputs)}, not a floating-point tensor"
        )
    try:
        own = ready.function(ready.arguments)
    except CallError:
        return  # which is told of the function
    if own.place < len(outputs) and name == "surrogate" and outputs[own.place].shape != own.output.shape:
        shapes = f"shape {tuple(outputs[own.place].shape)}, and the function {tuple(own.output.shape)}"
        raise ValueError(f"surrogate returns {shapes}: its derivative is another's")


def without_numbers(ready: Prepared) -> str:
    """Say that the output is inf or nan, where no slope can be measured; nothing where it or the reference is not."""
    try:
        own = ready.function(ready.arguments)
        other = None if ready.reference is None else ready.reference(*ready.arguments)
    except CallError:
        return ""
    compared = other[own.place] if isinstance(other, (tuple, list)) else other
    finite = torch.isfinite(own.output)
    if finite.all() or (compared is not None and torch.isfinite(compared).all()):
        return ""
    count = f"in {int((~finite).sum())} of {finite.numel()} entries"
    words = f"the output is {float(own.output[~finite].flatten()[0])} {count}: there is no slope to compare with"
    holding = [
        ready.function.name(place)
        for place, of in enumerate(ready.arguments)
        if isinstance(of, Tensor) and of.is_floating_point() and not torch.isfinite(of).all()
    ]
    return (
        f"{words}; {' and '.join(holding)} {'holds' if len(holding) == 1 else 'hold'} inf or nan" if holding else words
    )


def _has_slope(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _called(
    function: Callable[..., Any], inputs: Arguments, reference: Callable[..., Any] | None
) -> tuple[FunctionUnderTest, Arguments, Callable[..., Any] | None]:
    """Return the function, its arguments, and a reference that takes them."""
    if is_function(function):
        return FunctionUnderTest(function), inputs, reference
    if isinstance(function, nn.Module):
        return _module(function, inputs, reference)
    if not callable(function):
        raise TypeError(f"expected a Function, a module or another callable, got {function!r}")
    title = getattr(function, "__name__", getattr(function, "_qualname", type(function).__name__))
    return Composite(function, _names(function, len(inputs)), title), inputs, reference


def _module(
    module: nn.Module, inputs: Arguments, reference: Callable[..., Any] | None
) -> tuple[FunctionUnderTest, Arguments, Callable[..., Any] | None]:
    """A module is a function of its inputs and of its parameters; its buffers are what they were at each call."""
    parameters = dict(module.named_parameters())
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    count = len(inputs)

    def call(*arguments: Any) -> Any:
        given = dict(zip(parameters, arguments[count:], strict=True))
        kept = {name: _alike(buffer, arguments).clone() for name, buffer in buffers.items()}
        return torch.func.functional_call(module, {**given, **kept}, arguments[:count])

    names = (*_names(module.forward, count), *parameters)
    taken = None if reference is None else lambda *arguments: reference(*arguments[:count])
    return Composite(call, names, type(module).__name__), (*inputs, *parameters.values()), taken


def _alike(buffer: Tensor, arguments: Arguments) -> Tensor:
    """Return the buffer in the dtype of the arguments."""
    dtypes = [value.dtype for value in arguments if isinstance(value, Tensor) and value.is_floating_point()]
    return buffer.to(dtypes[0]) if dtypes and buffer.is_floating_point() else buffer


def _names(function: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Return what the function calls its first arguments; their numbers where it cannot be known."""
    try:
        parameters = [
            name
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        parameters = []
    return tuple(parameters[place] if place < len(parameters) else f"input {place}" for place in range(count))


def _place(variable: int | str, wrapper: FunctionUnderTest, arguments: Arguments) -> int:
    names = [wrapper.name(place) for place in range(len(arguments))]
    if variable in names:
        return names.index(str(variable))
    if isinstance(variable, int) and 0 <= variable < len(arguments):
        return variable
    raise ValueError(f"requires: no input {variable}; there are {', '.join(names)}")


def _in_pairs(
    wrapper: FunctionUnderTest, arguments: Arguments, reference: Callable[..., Any] | None
) -> tuple[FunctionUnderTest, Arguments, Callable[..., Any] | None]:
    """Return the same as a function of real and imaginary parts, which are what torch's convention speaks of.

    torch's gradient of a real loss by z = x + i y is dL/dx + i dL/dy: as a pair, the gradient by the pair (x, y).
    """
    places = [place for place, value in enumerate(arguments) if isinstance(value, Tensor) and value.is_complex()]

    def taken(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            whole = [
                torch.view_as_complex(v.contiguous()) if place in places else v for place, v in enumerate(arguments)
            ]
            returned = function(*whole)
            several = isinstance(returned, (tuple, list))
            pairs = [
                torch.view_as_real(output) if isinstance(output, Tensor) and output.is_complex() else output
                for output in (returned if several else [returned])
            ]
            return tuple(pairs) if several else pairs[0]

        return call

    pairs = tuple(
        torch.view_as_real(value.to(torch.complex128)).clone() if place in places else value
        for place, value in enumerate(arguments)
    )
    names = tuple(wrapper.name(place) for place in range(len(arguments)))
    applied = taken(lambda *values: wrapper.apply(values))
    return Composite(applied, names, wrapper.title), pairs, None if reference is None else taken(reference)
