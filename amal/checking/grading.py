"""Which mutants does a test file kill? It runs against the right Function, and against each wrong one.

The test file imports the Function under test, `from functions import Linear`. In each run that module holds the
solution's text or a mutant's; the other names that it is asked for come from the author's own module of that name, or
from the solutions. A run that does not end is stopped.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amal.errors import UserError

from . import mutants
from .trial import NOTHING_FOUND, PASSED, trial


@dataclass(frozen=True)
class Outcome:
    """What a test file made of one mutant."""

    mutant: mutants.Mutant
    killed: bool
    how: str
    """What killed it: the test that failed, the time limit, a crash."""


def as_json(operation: str, outcomes: list[Outcome]) -> str:
    """Return what a test file made of the mutants, as JSON."""
    told = [
        {
            "name": of.mutant.name,
            "codes": list(of.mutant.codes),
            "description": of.mutant.description,
            "killed": of.killed,
            "how": of.how,
        }
        for of in outcomes
    ]
    killed = sum(of.killed for of in outcomes)
    return json.dumps({"operation": operation, "killed": killed, "of": len(told), "mutants": told}, indent=2)


def as_text(outcomes: list[Outcome]) -> str:
    """Return what a test file made of the mutants as a table, survivors last, and the score."""
    widest = max(len(of.mutant.name) for of in outcomes)
    lines = [
        f"{'killed  ' if of.killed else 'SURVIVED'}  {of.mutant.name:<{widest}}  {of.mutant.description}"
        + (f"  [{of.how}]" if of.killed else "")
        for of in sorted(outcomes, key=lambda of: not of.killed)
    ]
    killed = sum(of.killed for of in outcomes)
    return "\n".join([*lines, "", f"{killed} of {len(outcomes)} killed"])


def grade(test_file: Path, operation: str, time_limit: float) -> Iterator[Outcome]:
    """Run a test file against each mutant of an operation, one after the other.

    Args:
        test_file: what pytest can run; it imports a name that means the operation.
        operation: one of `mutants.SOLUTIONS`.
        time_limit: of each run, in seconds; the right Function has ten times as long.

    Raises:
        UserError: it does not import the operation, rejects the right one, or holds no tests.
    """
    module, names = imported(test_file, operation)
    right = trial(test_file, module, names, mutants.SOLUTIONS[operation], 10 * time_limit)
    if right.status == NOTHING_FOUND:
        raise UserError(f"{test_file} holds no tests\n\n{right.output}".rstrip())
    if right.status != PASSED:
        why = f" ({right.how})" if right.status is None else ""
        raise UserError(f"your test rejects the right {operation}{why}\n\n{right.output}".rstrip())
    for mutant in mutants.MUTANTS[operation]:
        result = trial(test_file, module, names, mutants.text_of(operation, mutant), time_limit)
        killed = result.status != PASSED
        yield Outcome(mutant, killed, result.how if killed else "")


def imported(test_file: Path, operation: str) -> tuple[str, tuple[str, ...]]:
    """Return the module from which a test file imports an operation, and the names by which it asks for it.

    Raises:
        UserError: no name that it imports means the operation, or it is not Python.
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
    modules = {
        of.asname or of.name: of.name for node in ast.walk(tree) if isinstance(node, ast.Import) for of in node.names
    }
    for node in ast.walk(tree):  # import functions ... functions.Linear
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id in modules and mutants.operation_of(node.attr) == operation:
            return modules[node.value.id], (node.attr,)
    expected = mutants.class_name(operation)
    raise UserError(f"{test_file} imports no {operation}; it needs a line such as: from functions import {expected}")


def _absolute(node: ast.ImportFrom, test_file: Path) -> str:
    """Return the full name of a module that may be given relative to the test file's package."""
    if not node.level:
        return str(node.module)
    folders: list[str] = []
    folder = test_file.resolve().parent
    while (folder / "__init__.py").exists():
        folders.insert(0, folder.name)
        folder = folder.parent
    return ".".join([*folders[: len(folders) - node.level + 1], str(node.module)])
