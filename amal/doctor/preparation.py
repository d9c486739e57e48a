"""Prepare an examination: wrap a Function, a module or another callable, and find which inputs are variables."""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from amal import _torch

from .calls import Arguments, CallError, clone, detach, floating_places, map_tensors
from .function_under_test import Composite, FunctionUnderTest, is_function
from .subject import cast


@dataclass(frozen=True)
class Preparation:
    """A function and its arguments."""

    function: FunctionUnderTest
    arguments: Arguments
    """Floating-point tensors in float64; of a module the inputs, then the parameters."""
    variables: tuple[int, ...]
    """Positions of the arguments that must have a gradient."""
    reference: Callable[..., Any] | None
    """A function of the same arguments."""
    obstacle: str = ""
    """Why nothing can be examined; empty if something can."""


def prepare(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    requires: Collection[int | str] | None,
    reference: Callable[..., Any] | None,
) -> Preparation:
    """Wrap a callable, and find its variables.

    Args:
        function: a subclass of torch.autograd.Function, an nn.Module, or any other callable of tensors.
        inputs: its inputs. Where `requires` is None and some tensor has requires_grad, those that have it are
            the variables; otherwise all floating-point tensors are, of a module its parameters too.
        requires: the variables, by position or name.
        reference: a function that computes the same.

    Raises:
        TypeError: the function cannot be called, or a variable is no floating-point tensor.
        ValueError: there is no such variable.
    """
    wrapper, arguments, reference = _wrap(function, tuple(inputs), reference)
    if any(isinstance(value, Tensor) and value.layout != torch.strided for value in arguments):
        words = "an input is sparse: slopes are measured of dense ones alone"
        return Preparation(wrapper, arguments, (), reference, words)
    floating = [
        place
        for place, value in enumerate(arguments)
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())
    ]
    # The parameters of a module always have requires_grad, so the inputs alone decide.
    variables = [place for place in floating if arguments[place].requires_grad]
    if not any(place < len(inputs) for place in variables):
        variables = floating
    if requires is not None:
        requires = [requires] if isinstance(requires, str) else requires
        variables = [_place(variable, wrapper, arguments) for variable in requires] or floating
        wrong = [wrapper.name(place) for place in variables if place not in floating]
        if wrong:
            raise TypeError(f"requires: {', '.join(wrong)} is no floating-point tensor, and has no gradient")
    plain = map_tensors(detach, arguments)
    if any(plain[place].is_complex() for place in variables) or _gives_complex(wrapper, plain):
        wrapper, plain, reference = _pair_form(wrapper, plain, reference)
    obstacle = ""
    if not variables:
        obstacle = "no input is a floating-point tensor, so nothing has a gradient"
    elif not any(plain[place].numel() for place in variables):
        obstacle = "all inputs that could have a gradient are empty"
    return Preparation(wrapper, cast(plain, torch.float64), tuple(variables), reference, obstacle)


def _outputs(value: Any) -> Sequence[Any]:
    """Return the outputs of a function that returns one, or several."""
    return value if isinstance(value, tuple | list) else (value,)


def _gives_complex(wrapper: FunctionUnderTest, arguments: Arguments) -> bool:
    """Whether real inputs give a complex output."""
    try:
        with torch.no_grad():
            outputs = _outputs(wrapper.apply(map_tensors(clone, arguments)))
    except BaseException:  # the examination will report it
        return False
    return any(isinstance(output, Tensor) and output.is_complex() for output in outputs)


def require_comparable(name: str, function: Callable[..., Any], ready: Preparation) -> None:
    """Require that a reference or a surrogate can be called with the inputs.

    Raises:
        ValueError: it raises an exception, or returns no tensor, or, a surrogate, one of another shape.
    """
    try:
        with torch.no_grad():
            outputs = _outputs(function(*map_tensors(clone, ready.arguments)))
    except Exception as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ValueError(f"{name} cannot be called with these inputs: {words}") from error
    if not floating_places(outputs):
        kinds = ", ".join(type(output).__name__ for output in outputs)
        raise ValueError(f"{name} returns {kinds}, not a floating-point tensor")
    try:
        call = ready.function(ready.arguments)
    except CallError:
        return  # the examination will report it
    if name != "surrogate" or call.place >= len(outputs):
        return
    shape, expected = tuple(outputs[call.place].shape), tuple(call.output.shape)
    if shape != expected:
        words = f"shape {shape}, and the function {expected}"
        raise ValueError(f"surrogate returns {words}: its derivative cannot be compared")


def infinite_output(ready: Preparation) -> str:
    """Say that the output is inf or nan, so that it has no slope; empty if it or the reference is finite."""
    try:
        call = ready.function(ready.arguments)
        other = None if ready.reference is None else ready.reference(*ready.arguments)
    except CallError:
        return ""
    expected = other[call.place] if isinstance(other, (tuple, list)) else other
    finite = torch.isfinite(call.output)
    if finite.all() or (expected is not None and torch.isfinite(expected).all()):
        return ""
    value = float(call.output[~finite].flatten()[0])
    count = f"in {int((~finite).sum())} of {finite.numel()} entries"
    words = f"the output is {value} {count}: there is no slope to compare with"
    places = floating_places(ready.arguments)
    names = [ready.function.name(place) for place in places if not torch.isfinite(ready.arguments[place]).all()]
    if names:
        words += f"; {' and '.join(names)} {'holds' if len(names) == 1 else 'hold'} inf or nan"
    return words


def _wrap(
    function: Callable[..., Any], inputs: Arguments, reference: Callable[..., Any] | None
) -> tuple[FunctionUnderTest, Arguments, Callable[..., Any] | None]:
    """Return the function, its arguments, and a reference that takes them."""
    if is_function(function):
        return FunctionUnderTest(function), inputs, reference
    if isinstance(function, nn.Module):
        return _module(function, inputs, reference)
    if not callable(function):
        raise TypeError(f"expected a Function, a module or another callable, got {function!r}")
    title = getattr(function, "__name__", _torch.operator_name(function) or type(function).__name__)
    return Composite(function, _names(function, len(inputs)), title), inputs, reference


def _module(
    module: nn.Module, inputs: Arguments, reference: Callable[..., Any] | None
) -> tuple[FunctionUnderTest, Arguments, Callable[..., Any] | None]:
    """A module is a function of its inputs and its parameters, with the same buffers at each call."""
    parameters = dict(module.named_parameters())
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    count = len(inputs)

    def call(*arguments: Any) -> Any:
        values = dict(zip(parameters, arguments[count:], strict=True))
        copies = {name: _same_dtype(buffer, arguments).clone() for name, buffer in buffers.items()}
        return torch.func.functional_call(module, {**values, **copies}, arguments[:count])

    names = (*_names(module.forward, count), *parameters)
    other = None if reference is None else lambda *arguments: reference(*arguments[:count])
    return Composite(call, names, type(module).__name__), (*inputs, *parameters.values()), other


def _same_dtype(buffer: Tensor, arguments: Arguments) -> Tensor:
    """Return the buffer in the dtype of the arguments."""
    dtypes = [value.dtype for value in arguments if isinstance(value, Tensor) and value.is_floating_point()]
    return buffer.to(dtypes[0]) if dtypes and buffer.is_floating_point() else buffer


def _names(function: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Return what the function calls its first arguments; their numbers if that is unknown."""
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


def _pair_form(
    wrapper: FunctionUnderTest, arguments: Arguments, reference: Callable[..., Any] | None
) -> tuple[FunctionUnderTest, Arguments, Callable[..., Any] | None]:
    """Return the same as a function of pairs (real part, imaginary part).

    torch's gradient of a real loss by z = x + i y is dL/dx + i dL/dy: the gradient by the pair (x, y).
    """
    places = [place for place, value in enumerate(arguments) if isinstance(value, Tensor) and value.is_complex()]

    def pair_function(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            numbers = [
                torch.view_as_complex(value.contiguous()) if place in places else value
                for place, value in enumerate(arguments)
            ]
            value = function(*numbers)
            pairs = [
                torch.view_as_real(output) if isinstance(output, Tensor) and output.is_complex() else output
                for output in _outputs(value)
            ]
            return tuple(pairs) if isinstance(value, (tuple, list)) else pairs[0]

        return call

    pairs = tuple(
        torch.view_as_real(value.to(torch.complex128)).clone() if place in places else value
        for place, value in enumerate(arguments)
    )
    names = tuple(wrapper.name(place) for place in range(len(arguments)))
    call = pair_function(lambda *values: wrapper.apply(values))
    other = None if reference is None else pair_function(reference)
    return Composite(call, names, wrapper.title), pairs, other
