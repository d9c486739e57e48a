"""Which mutants does a test file kill? It runs with the right Function, and with each wrong one.

The test file imports the Function under test, `from functions import Linear`. In each run this module
holds the right Function or a mutant; other names come from the author's own module of that name, or
from the solutions. A run that does not end is stopped.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amal.errors import UserError
from amal.sandbox import Limits, Sandbox
from amal.text import columns

from . import mutants
from .trial import NOTHING_FOUND, PASSED, PRELOADED, trial


@dataclass(frozen=True)
class Outcome:
    """Whether a test file kills one mutant."""

    mutant: mutants.Mutant
    killed: bool | None
    """None where the run says nothing: it was killed from outside, or the machine had too little memory."""
    how: str
    """What killed it: the test that failed, a limit, a crash; or why the run says nothing."""


def as_json(operation: str, outcomes: list[Outcome]) -> str:
    """Return what a test file made of the mutants, as JSON."""
    rows = [
        {
            "name": outcome.mutant.name,
            "codes": list(outcome.mutant.codes),
            "description": outcome.mutant.description,
            "killed": outcome.killed,
            "how": outcome.how,
        }
        for outcome in outcomes
    ]
    killed = sum(bool(outcome.killed) for outcome in outcomes)
    summary = {"operation": operation, "killed": killed, "of": len(outcomes), "mutants": rows}
    return json.dumps(summary, indent=2)


def as_text(outcomes: list[Outcome]) -> str:
    """Return what a test file made of the mutants as a table, survivors last, and the score."""
    rows = [
        (mark, outcome.mutant.name, outcome.mutant.description + (f"  [{outcome.how}]" if outcome.how else ""))
        for killed, mark in ((True, "killed"), (None, "UNKNOWN"), (False, "SURVIVED"))
        for outcome in outcomes
        if outcome.killed is killed
    ]
    killed = sum(bool(outcome.killed) for outcome in outcomes)
    return "\n".join([*columns(rows), "", f"{killed} of {len(outcomes)} killed"])


def grade(test_file: Path, operation: str, time_limit: float, memory_limit: float = 4.0) -> Iterator[Outcome]:
    """Run a test file against each mutant of an operation, one after the other.

    Args:
        test_file: a file for pytest; it imports a name that means the operation.
        operation: one of `mutants.SOLUTIONS`.
        time_limit: of each run, in seconds; the right Function has ten times as long.
        memory_limit: GB that the processes of a run may hold together.

    Raises:
        UserError: the file does not import the operation, rejects the right Function, or holds no tests;
            or the run with the right Function was killed.
    """
    module, names = find_import(test_file, operation)
    with Sandbox(PRELOADED) as sandbox:
        limits = Limits(total=10 * time_limit, memory=memory_limit)
        right = trial(sandbox, test_file, module, names, mutants.SOLUTIONS[operation], limits)
        printed = right.ending.printed
        if right.status == NOTHING_FOUND:
            raise UserError(f"{test_file} holds no tests\n\n{printed}".rstrip())
        if right.status is None and right.ending.killed:
            raise UserError(f"{test_file} could not be run: {right.how}")
        if right.status != PASSED:
            why = f" ({right.how})" if right.status is None else ""
            raise UserError(f"your test rejects the right {operation}{why}\n\n{printed}".rstrip())
        limits = Limits(total=time_limit, memory=memory_limit)
        for mutant in mutants.MUTANTS[operation]:
            result = trial(sandbox, test_file, module, names, mutant.text, limits)
            survived, stopped = result.status == PASSED, result.status is None and result.ending.killed
            yield Outcome(mutant, None if stopped else not survived, "" if survived else result.how)


def find_import(test_file: Path, operation: str) -> tuple[str, tuple[str, ...]]:
    """Return the module from which a test file imports an operation, and the imported names that mean it.

    Raises:
        UserError: no imported name means the operation, or the file is not Python.
    """
    try:
        tree = ast.parse(test_file.read_bytes(), str(test_file))
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{test_file} cannot be read: {error}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [alias.name for alias in node.names if mutants.operation_of(alias.name) == operation]
            if names:
                return _absolute(node, test_file), tuple(names)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    aliases = [alias for node in imports for alias in node.names]
    modules = {alias.asname or alias.name: alias.name for alias in aliases}
    for node in ast.walk(tree):  # import functions ... functions.Linear
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id in modules and mutants.operation_of(node.attr) == operation:
            return modules[node.value.id], (node.attr,)
    expected = mutants.class_name(operation)
    raise UserError(f"{test_file} imports no {operation}; it needs a line such as: from functions import {expected}")


def _absolute(node: ast.ImportFrom, test_file: Path) -> str:
    """Return the full name of a module; the import may be relative to the test file's package."""
    if not node.level:
        return str(node.module)
    folders: list[str] = []
    folder = test_file.resolve().parent
    while (folder / "__init__.py").exists():
        folders.insert(0, folder.name)
        folder = folder.parent
    return ".".join([*folders[: len(folders) - node.level + 1], str(node.module)])
