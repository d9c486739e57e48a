"""What runs in the sandbox for `amal check FILE`: a student's file, and the doctor who examines it."""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from amal.errors import UserError, did_you_mean

from .definitions import Operation, all_operations, operation_called
from .examination import examine


def main(tell: Callable[..., None], path: str, names: list[str]) -> None:
    """Import a file, examine the Functions in it, and tell of each step, so that it is known how far this came.

    Args:
        tell: takes `ready`; then `failed` with a reason, or `chosen` with a name and an operation of each, and each
            `diagnosis`.
        path: of the file.
        names: of the Functions, as `functions_of` takes them.
    """
    torch.set_num_threads(1)
    tell(ready=True)
    try:
        module = import_file(Path(path))
    except BaseException as error:  # whatever a student's file does when it is imported
        return tell(failed=import_failure(error, path))
    try:
        chosen = functions_of(module, names)
    except UserError as error:
        return tell(failed=str(error))
    tell(chosen=[[name, operation.name] for name, operation, _ in chosen])
    for name, operation, definition in chosen:
        torch.manual_seed(0)
        try:
            diagnosis = examine(getattr(module, name), operation.name, definition)
        except ValueError as error:
            return tell(failed=str(error))
        tell(diagnosis=diagnosis.as_dict())
    return None


def import_file(path: Path) -> ModuleType:
    """Import a file as a module of its own, or as part of the package that it lies in."""
    path = path.resolve()
    top, parts = path.parent, [path.stem]
    while (top / "__init__.py").exists():
        parts.insert(0, top.name)
        top = top.parent
    sys.path.insert(0, str(top))
    sys.argv = [str(path)]
    if len(parts) > 1:
        return importlib.import_module(".".join(parts))
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


def import_failure(error: BaseException, path: str) -> str:
    """Say why a file could not be imported."""
    said = " ".join(str(error).split()) or "without a word"
    if isinstance(error, SystemExit):
        return f"{path} calls sys.exit when it is imported; put what runs the lab below `if __name__ == '__main__':`"
    own = [
        of for of in traceback.extract_tb(error.__traceback__) if Path(of.filename).resolve() == Path(path).resolve()
    ]
    line = error.lineno if isinstance(error, SyntaxError) else own[-1].lineno if own else None
    return f"{path} cannot be imported: {type(error).__name__}: {said}{f' (line {line})' if line else ''}"


def functions_of(module: ModuleType, names: list[str]) -> list[tuple[str, Operation, str | None]]:
    """Return the Functions to examine, each with its operation and the definition that is asked for.

    Args:
        module: the student's.
        names: such as `Linear`, `MyLayer=linear` or `Linear=linear:row-bias`; none for all whose name is known.

    Raises:
        UserError: there is no such Function, no such operation, or nothing that is known.
    """
    there = {
        name: of
        for name, of in vars(module).items()
        if isinstance(of, type) and issubclass(of, torch.autograd.Function) and of is not torch.autograd.Function
    }
    own = [name for name, of in there.items() if of.__module__ == module.__name__]
    if names:
        return [_chosen(name, there) for name in names]
    chosen = [(name, operation, None) for name in own if (operation := operation_called(name))]
    if not chosen:
        holds = (
            f"it holds {', '.join(own)}; say what each is, such as {own[0]}=linear" if own else "it holds none at all"
        )
        known = ", ".join(sorted(all_operations()))
        raise UserError(f"no Function whose name is known in {module.__name__}: {holds}. Known: {known}")
    return [(name, operation, definition) for name, operation, definition in chosen]


def _chosen(word: str, there: dict[str, Any]) -> tuple[str, Operation, str | None]:
    name, _, wanted = word.partition("=")
    operation_name, _, definition = wanted.partition(":")
    if name not in there:
        raise UserError(f"no Function {name}{did_you_mean(name, there)}; there are {', '.join(there) or 'none'}")
    operation = operation_called(operation_name or name)
    if operation is None:
        known = ", ".join(sorted(all_operations()))
        hint = did_you_mean(operation_name, all_operations())
        what = f"no operation {operation_name}{hint}" if operation_name else f"what is {name}? Say {name}=OPERATION"
        raise UserError(f"{what}. Known: {known}")
    return name, operation, definition or None
