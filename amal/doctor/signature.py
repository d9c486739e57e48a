"""Is it a Function at all, as torch calls it? What is missing is said in words, before torch says it in its own."""

import inspect
from collections.abc import Collection, Sequence
from typing import Any, Final

from torch.autograd import Function
from torch.autograd.function import _SingleLevelFunction

from amal.errors import nearest

from .definitions.names import NAMES
from .function_under_test import OF_CTX

CONTEXTS: Final = {"ctx", "context", "self", "cxt", "ctxt", "cls", "_ctx", "_", "contexte"}
"""What a first parameter is called that is ctx."""


def form_faults(function: Any, counts: Collection[int]) -> list[str]:
    """Say what keeps torch from calling a Function; nothing where it can, or of what is no Function.

    Args:
        function: the class.
        counts: how many inputs it may have; empty where that is not known.
    """
    if not (isinstance(function, type) and issubclass(function, Function)):
        return []
    own = [name for base in function.__mro__ if base not in Function.__mro__ for name in vars(base)]
    faults = []
    if function.forward is Function.forward:
        faults.append(f"there is no forward{_misspelt('forward', own)}")
    else:
        faults += _faults_of_forward(function, counts)
    if function.backward is Function.backward and function.vjp is Function.vjp:
        faults.append(f"there is no backward{_misspelt('backward', own)}")
    elif function.backward is not Function.backward:
        faults += _faults_of_backward(function)
    return faults


def _misspelt(name: str, there: Sequence[str]) -> str:
    """Return what to say of a method that may have been meant."""
    meant = nearest(name, [of for of in there if not of.startswith("_") and of not in ("forward", "backward")])
    return f", but {meant}: torch calls it by the name {name} alone" if meant else ""


def _faults_of_forward(function: type[Function], counts: Collection[int]) -> list[str]:
    names = _names(function.forward)
    if names is None:
        return []
    if function.setup_context is not _SingleLevelFunction.setup_context:
        if names and names[0] in ("ctx", "context"):
            return [
                "forward takes ctx, and the class has setup_context, which torch passes it to: take one of them out"
            ]
        return []
    if not names:
        return ["forward has no parameters: torch calls it with ctx, then the inputs"]
    if names[0] in ("self", "cls") and len(names) > 1 and names[1] in CONTEXTS:
        return [f"forward takes {names[0]} besides ctx: put @staticmethod above it, and take {names[0]} out"]
    if _is_context(function.forward, names[0]):
        return []
    known = names[0].lower().replace("_", "") in set().union(*NAMES.values())
    if not known and (len(names) not in counts or len(names) - 1 in counts):
        return []
    return [f"forward has no ctx: torch passes one before the inputs, so write forward(ctx, {', '.join(names)})"]


def _faults_of_backward(function: type[Function]) -> list[str]:
    names = _names(function.backward)
    if names is None or len(names) > 1:
        if names and names[0] in ("self", "cls") and names[1] in CONTEXTS:
            return [f"backward takes {names[0]} besides ctx: put @staticmethod above it, and take {names[0]} out"]
        return []
    if not names:
        return ["backward has no parameters: torch calls it with ctx and the gradient of each output"]
    if _is_context(function.backward, names[0]):
        return [
            f"backward has no grad_output: torch passes one for each output, so write backward({names[0]}, grad_output)"
        ]
    return [f"backward has no ctx: torch passes one before the gradients, so write backward(ctx, {names[0]})"]


def _names(method: Any) -> list[str] | None:
    """Return the positional parameters of a method; None where it takes any number, or cannot be known."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(of.kind is of.VAR_POSITIONAL for of in parameters):
        return None
    return [of.name for of in parameters if of.kind in (of.POSITIONAL_ONLY, of.POSITIONAL_OR_KEYWORD)]


def _is_context(method: Any, name: str) -> bool:
    """Whether a first parameter is called, or used, as ctx is."""
    code = getattr(inspect.unwrap(method), "__code__", None)
    return name.lower() in CONTEXTS or (code is not None and not OF_CTX.isdisjoint(code.co_names))
