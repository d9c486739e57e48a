"""Find the Functions that an imported file holds, and the operation of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import getattr_static
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from amal.errors import UserError, did_you_mean

from .definitions import Operation, all_operations, find_operation
from .function_under_test import is_function
from .source_functions import functions_in


@dataclass(frozen=True)
class Candidate:
    """A Function of a file to examine, and its operation."""

    name: str
    function: type[Any] | None
    """None if it cannot be reached: `obstacle` says why."""
    operation: Operation | None = None
    """None if its name means none, so that it is examined without a definition."""
    definition: str | None = None
    obstacle: str = ""
    """Why it cannot be examined; empty if it can."""


def module_functions(module: ModuleType, names: list[str]) -> list[Candidate]:
    """Return the Functions to examine, each with its operation and definition.

    Args:
        module: the student's.
        names: such as `Linear`, `MyLayer=linear` or `Linear=linear:row-bias`; none for all that the file defines.

    Raises:
        UserError: there is no such Function, no such operation, or no Function at all.
    """
    functions = {name: value for name, value in vars(module).items() if _is_function(value)}
    if names:
        inner = {candidate.name: candidate for candidate in _inner_functions(module, functions)}
        return [inner[name] if name in inner else _candidate(name, functions) for name in names]
    first_names: dict[type[Any], str] = {}
    for name, function in functions.items():
        if function.__module__ == module.__name__ and not _is_base(function, functions):
            first_names.setdefault(function, name)
    candidates = [
        Candidate(name, function, find_operation(name), obstacle=_obstacle(function))
        for function, name in first_names.items()
    ]
    candidates += _inner_functions(module, functions)
    if not candidates:
        operations = ", ".join(sorted(all_operations()))
        words = f"no autograd Function in {module.__name__}: it holds none at all"
        raise UserError(f"{words}. Known: {operations}")
    return candidates


def _is_function(value: Any) -> bool:
    return is_function(value) and value is not torch.autograd.Function


def _obstacle(function: type[Any]) -> str:
    """Return why a class cannot be examined: it has no methods, so that it may be a base of others."""
    base = torch.autograd.Function
    bare = function.forward is base.forward and function.backward is base.backward
    return "has neither a forward nor a backward" if bare else ""


def _is_base(function: type[Any], functions: Mapping[str, type[Any]]) -> bool:
    """Whether a class has no forward of its own, and others of the file derive from it."""
    if function.forward is not torch.autograd.Function.forward:
        return False
    return any(issubclass(other, function) and other is not function for other in functions.values())


def _inner_functions(module: ModuleType, functions: Mapping[str, type[Any]]) -> Iterator[Candidate]:
    """Yield the Functions that the file defines within functions or classes, or under conditions."""
    names = {function.__qualname__.split(".")[-1] for function in functions.values()}
    names |= functions.keys()
    bases = {name for name, value in vars(module).items() if is_function(value)}
    try:
        places = functions_in(Path(module.__file__ or ""), bases)
    except (AttributeError, UserError):  # the module has no file
        return
    for full_name, place in places.items():
        *outer, name = full_name.split(".")
        if name in names:
            continue
        inner: Any = module
        for part in (*outer, name):
            inner = getattr_static(inner, part, None)  # a stand-in has every attribute
        if _is_function(inner):
            yield Candidate(full_name, inner, find_operation(name))
        elif outer:
            words = f"(line {place.line}) is defined within {outer[-1]}, out of reach"
            yield Candidate(name, None, obstacle=words)
        elif not isinstance(inner, type):
            words = f"(line {place.line}) is not there once the file is imported"
            yield Candidate(name, None, obstacle=words)


def _candidate(word: str, functions: dict[str, Any]) -> Candidate:
    name, _, meaning = word.partition("=")
    operation_name, _, definition = meaning.partition(":")
    if name not in functions:
        hint = did_you_mean(name, functions)
        raise UserError(f"no Function {name}{hint}; there are {', '.join(functions) or 'none'}")
    function = functions[name]
    if operation_name == "any":
        return Candidate(name, function)
    operation = find_operation(operation_name or name)
    if operation is None and operation_name:
        operations = ", ".join(sorted(all_operations()))
        hint = did_you_mean(operation_name, all_operations())
        raise UserError(f"no operation {operation_name}{hint}. Known: {operations}")
    return Candidate(name, function, operation, definition or None, _obstacle(function))
