"""Which Functions a file holds, and what each is meant to be."""

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
class Chosen:
    """A Function of a file, and what it is meant to be."""

    name: str
    function: type[Any] | None
    """None where it cannot be reached: `unable` says why."""
    operation: Operation | None = None
    """None where its name says nothing, so that it is examined without a definition."""
    definition: str | None = None
    unable: str = ""


def functions_of(module: ModuleType, names: list[str]) -> list[Chosen]:
    """Return the Functions to examine, each with its operation and the definition that is asked for.

    Args:
        module: the student's.
        names: such as `Linear`, `MyLayer=linear` or `Linear=linear:row-bias`; none for all that the file defines.

    Raises:
        UserError: there is no such Function, no such operation, or no Function at all.
    """
    there = {name: of for name, of in vars(module).items() if _is_function(of)}
    if names:
        inner = {of.name: of for of in _out_of_reach(module, there)}
        return [inner[name] if name in inner else _chosen(name, there) for name in names]
    own: dict[type[Any], str] = {}
    for name, of in there.items():
        if of.__module__ == module.__name__ and not _is_base(of, there):
            own.setdefault(of, name)
    chosen = [Chosen(name, of, find_operation(name), unable=_lack(of)) for of, name in own.items()]
    chosen += _out_of_reach(module, there)
    if not chosen:
        known = ", ".join(sorted(all_operations()))
        raise UserError(f"no autograd Function in {module.__name__}: it holds none at all. Known: {known}")
    return chosen


def _is_function(value: Any) -> bool:
    return is_function(value) and value is not torch.autograd.Function


def _lack(function: type[Any]) -> str:
    """Return why a class is nothing to examine: it has nothing of its own, so that it may be a base of others."""
    base = torch.autograd.Function
    bare = function.forward is base.forward and function.backward is base.backward
    return "has neither a forward nor a backward" if bare else ""


def _is_base(function: type[Any], there: Mapping[str, type[Any]]) -> bool:
    """Whether a class has no forward of its own, and others of the file that derive from it have."""
    bare = function.forward is torch.autograd.Function.forward
    return bare and any(issubclass(other, function) and other is not function for other in there.values())


def _out_of_reach(module: ModuleType, there: Mapping[str, type[Any]]) -> Iterator[Chosen]:
    """Yield the Functions that the file defines within functions or classes, or only under conditions."""
    known = {of.__qualname__.split(".")[-1] for of in there.values()} | there.keys()
    bases = {name for name, value in vars(module).items() if is_function(value)}
    try:
        places = functions_in(Path(module.__file__ or ""), bases)
    except (AttributeError, UserError):  # it is of no file
        return
    for name, place in places.items():
        *around, own = name.split(".")
        if own in known:
            continue
        inner: Any = module
        for part in (*around, own):
            inner = getattr_static(inner, part, None)  # a stand-in has whatever it is asked for
        if _is_function(inner):
            yield Chosen(name, inner, find_operation(own))
        elif around:
            yield Chosen(own, None, unable=f"(line {place.line}) is defined within {around[-1]}, out of reach")
        elif not isinstance(inner, type):
            yield Chosen(own, None, unable=f"(line {place.line}) is not there once the file is imported")


def _chosen(word: str, there: dict[str, Any]) -> Chosen:
    name, _, wanted = word.partition("=")
    operation_name, _, definition = wanted.partition(":")
    if name not in there:
        raise UserError(f"no Function {name}{did_you_mean(name, there)}; there are {', '.join(there) or 'none'}")
    if operation_name == "any":
        return Chosen(name, there[name])
    operation = find_operation(operation_name or name)
    if operation is None and operation_name:
        known = ", ".join(sorted(all_operations()))
        hint = did_you_mean(operation_name, all_operations())
        raise UserError(f"no operation {operation_name}{hint}. Known: {known}")
    return Chosen(name, there[name], operation, definition or None, _lack(there[name]))
