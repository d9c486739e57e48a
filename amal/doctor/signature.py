"""Can torch call the Function at all? What is missing is said in words, before torch says it in its own."""

import inspect
from collections.abc import Collection, Sequence
from typing import Any, Final

from torch.autograd import Function

from amal.errors import nearest

from .calls import CTX_ATTRIBUTES
from .definitions.names import NAMES

CONTEXTS: Final = {"ctx", "context", "self", "cxt", "ctxt", "cls", "_ctx", "_", "contexte"}
"""Names of a first parameter that is ctx."""


def form_faults(function: Any, counts: Collection[int]) -> list[str]:
    """Say why torch cannot call a Function; nothing if it can, or if it is no Function.

    Args:
        function: the class.
        counts: how many inputs it may have; empty if that is unknown.
    """
    if not (isinstance(function, type) and issubclass(function, Function)):
        return []
    names = [name for base in function.__mro__ if base not in Function.__mro__ for name in vars(base)]
    faults = []
    if function.forward is Function.forward:
        faults.append(f"there is no forward{_spelling_hint('forward', names)}")
    else:
        faults += _forward_faults(function, counts)
    if function.backward is Function.backward and function.vjp is Function.vjp:
        faults.append(f"there is no backward{_spelling_hint('backward', names)}")
    elif function.backward is not Function.backward:
        faults += _backward_faults(function)
    return faults


def _spelling_hint(method: str, names: Sequence[str]) -> str:
    """Name the method of the class whose name is nearly that of a method that is missing."""
    methods = [name for name in names if name[0] != "_" and name not in ("forward", "backward")]
    hint = nearest(method, methods)
    return f", but {hint}: torch calls it by the name {method} alone" if hint else ""


def _forward_faults(function: type[Function], counts: Collection[int]) -> list[str]:
    names = _names(function.forward)
    if names is None:
        return []
    if function.setup_context is not Function.setup_context:
        if names and names[0] in ("ctx", "context"):
            words = "forward takes ctx, and the class has setup_context, which torch passes it to"
            return [f"{words}: take one of them out"]
        return []
    if not names:
        return ["forward has no parameters: torch calls it with ctx, then the inputs"]
    if names[0] in ("self", "cls") and len(names) > 1 and names[1] in CONTEXTS:
        return [f"forward takes {names[0]} besides ctx: put @staticmethod above it, and take {names[0]} out"]
    if _is_context(function.forward, names[0]):
        return []
    is_input = names[0].lower().replace("_", "") in set().union(*NAMES.values())
    if not is_input and (len(names) not in counts or len(names) - 1 in counts):
        return []
    words = f"so write forward(ctx, {', '.join(names)})"
    return [f"forward has no ctx: torch passes one before the inputs, {words}"]


def _backward_faults(function: type[Function]) -> list[str]:
    names = _names(function.backward)
    if names is None or len(names) > 1:
        if names and names[0] in ("self", "cls") and names[1] in CONTEXTS:
            return [f"backward takes {names[0]} besides ctx: put @staticmethod above it, and take {names[0]} out"]
        return []
    if not names:
        return ["backward has no parameters: torch calls it with ctx and the gradient of each output"]
    if _is_context(function.backward, names[0]):
        words = f"so write backward({names[0]}, grad_output)"
        return [f"backward has no grad_output: torch passes one for each output, {words}"]
    words = f"so write backward(ctx, {names[0]})"
    return [f"backward has no ctx: torch passes one before the gradients, {words}"]


def _names(method: Any) -> list[str] | None:
    """Return the positional parameters of a method; None if it takes any number, or they are unknown."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in positional]


def _is_context(method: Any, name: str) -> bool:
    """Whether a first parameter has a name of ctx, or the code uses it like ctx."""
    code = getattr(inspect.unwrap(method), "__code__", None)
    return name.lower() in CONTEXTS or (code is not None and not CTX_ATTRIBUTES.isdisjoint(code.co_names))
