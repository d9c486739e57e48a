"""Import a student's file, also where modules are missing or lines fail.

A file to examine loads data, plots, trains, asks for a GPU or a command line. None of that matters
to the Functions in it. Its statements are executed one by one. After one that fails, other than an
import, only definitions, imports and assignments are executed. A stand-in replaces each missing
module, and each value that a failed statement would give. It accepts anything while the file is
imported, and raises `Unavailable` when a Function uses it.
"""

import __future__

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from .stand_in import StandIn

DEFINITIONS = (
    *(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign),
)
"""Statements that are executed after a failure."""

HARMLESS = (*DEFINITIONS, ast.If, ast.Try, ast.With, ast.Pass)
"""Statements that an `if` may hold which is executed after a failure."""
STDLIB = sysconfig.get_path("stdlib")
MESSAGE = 200
"""Characters of an exception's message to show."""


@dataclass
class Import:
    """A module, and notes on how it was imported."""

    module: ModuleType
    notes: list[str] = field(default_factory=list)
    failure: BaseException | None = None
    """The exception of the first line that failed."""


def import_file(path: Path) -> Import:
    """Import a file as a module of its own, or as part of the package that it lies in.

    Raises:
        SyntaxError: it is no Python.
        ImportError: it is no Python file.
    """
    path = path.resolve()
    top, parts = path.parent, [path.stem]
    while (top / "__init__.py").exists():
        parts.insert(0, top.name)
        top = top.parent
    tree = ast.parse(path.read_bytes(), str(path))
    compile(tree, str(path), "exec", dont_inherit=True)  # a syntax error that only the whole shows
    name_notes = _name_notes(tree, path)
    sys.path.insert(0, str(top))
    sys.argv = [str(path)]
    finder = Finder(top)
    sys.meta_path.append(finder)
    StandIn.importing = True
    try:
        result = _import(tree, path, top, parts)
    finally:
        StandIn.importing = False
        sys.meta_path.remove(finder)
    result.notes += name_notes
    if finder.absent:
        names = ", ".join(finder.absent)
        result.notes.append(f"Not installed: {names}. An empty stand-in was imported in the place of each.")
    return result


def import_failure(error: BaseException, path: str) -> str:
    """Say why a file could not be imported."""
    if isinstance(error, SystemExit):
        return f"{path} calls sys.exit when it is imported; put what runs the lab below `if __name__ == '__main__':`"
    line = _line(error, Path(path))
    return f"{path} cannot be imported: {_message(error)}{f' (line {line})' if line else ''}"


def _message(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "without a word"
    return f"{type(error).__name__}: {text[:MESSAGE]}{'...' if len(text) > MESSAGE else ''}"


def _line(error: BaseException, path: Path) -> int | None:
    """Return the line of a file that raised an exception."""
    if isinstance(error, SyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return lines[-1] if lines else None


# ---------------------------------------------------------------------------------- execution


def _import(tree: ast.Module, path: Path, top: Path, parts: Sequence[str]) -> Import:
    """Import the packages of a file, then execute it under the name by which a program would import it."""
    notes: list[str] = []
    folder = top
    for count in range(1, len(parts)):
        folder /= parts[count - 1]
        notes += _package(".".join(parts[:count]), folder)
    name = ".".join(parts)
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__file__", None) == str(path):
        return Import(module, notes)  # its own package has imported it
    if module is not None:
        name += "_file"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None:
        raise ImportError(f"{path.name} is not a Python file")
    result = Import(importlib.util.module_from_spec(specification), notes)
    sys.modules[name] = result.module
    _execute(tree, path, result)
    return result


def _package(name: str, folder: Path) -> list[str]:
    """Import a package, or put an empty one in its place if that fails; return notes on it."""
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
        return [f"The __init__.py of {name} was left out: it raised {_message(error)}."]
    return []


def _execute(tree: ast.Module, path: Path, result: Import) -> None:
    """Execute the statements of a file; after a failure, only those that define something."""
    space = result.module.__dict__
    space["__doc__"] = ast.get_docstring(tree)
    features = [
        alias.name
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        for alias in statement.names
    ]
    flags = sum(getattr(__future__, feature).compiler_flag for feature in set(features))
    complete = True
    for statement in tree.body:
        if not complete and not _defines(statement):
            _stand_in(statement, space, f"which line {statement.lineno} was to give")
            continue
        try:
            exec(compile(ast.Module([statement], []), str(path), "exec", flags, True), space)
        except (Exception, SystemExit) as error:
            line = _line(error, path) or statement.lineno
            _stand_in(statement, space, f"which line {statement.lineno} was to give: {_message(error)}")
            result.failure = result.failure or error
            words = f"Line {line} of {path.name} failed ({_message(error)})"
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                result.notes.append(f"{words}: what it imports was left out.")
            elif complete:
                words += ": after it only definitions, imports and assignments were executed."
                result.notes.append(words)
                complete = False


def _defines(statement: ast.stmt) -> bool:
    """Whether a statement defines something, or holds a class, or only such statements."""
    if not isinstance(statement, (ast.If, ast.Try, ast.With)):
        return isinstance(statement, DEFINITIONS)
    inner = [node for node in ast.walk(statement) if isinstance(node, ast.stmt)]
    has_class = any(isinstance(node, ast.ClassDef) for node in inner)
    return has_class or all(isinstance(node, HARMLESS) for node in inner)


def _stand_in(statement: ast.stmt, space: dict[str, Any], why: str) -> None:
    """Bind a stand-in to each name that a statement would bind and that is not bound."""
    for name in _bindings(statement):
        space.setdefault(name, StandIn(f"{name}, {why}"))


def _bindings(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds in the module."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in aliases if alias.name != "*")
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return  # names of their own
        case _:
            for inner in ast.iter_child_nodes(node):
                yield from _bindings(inner)


# ---------------------------------------------------------------------------------- modules


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for a module that no other finder finds, if a student's file imports it.

    A library that tries an import and can do without it gets none, and so does a `try` with an `except`.

    Args:
        folder: the folder with the student's files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.absent: dict[str, None] = {}
        """Names of the missing modules, in order."""

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Return the specification of a stand-in; None if the import shall fail."""
        if not any(name.startswith(f"{absent}.") for absent in self.absent):
            if not self._is_required(sys._getframe(1)):
                return None
            self.absent[name] = None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        """Return the stand-in."""
        return StandIn(f"{spec.name.partition('.')[0]}, which is not installed")

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: a stand-in has no code."""

    def _is_required(self, frame: FrameType | None) -> bool:
        """Whether a student's file imports, outside of a `try` that catches the failure."""
        while frame is not None and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        if frame is None:
            return False
        path, line = Path(frame.f_code.co_filename), frame.f_lineno
        library = path.is_relative_to(STDLIB) or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
        if library or not path.is_relative_to(self.folder):
            return False
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return False
        return not any(_catches(node, line) for node in ast.walk(tree))


def _catches(node: ast.AST, line: int) -> bool:
    """Whether a statement catches the exception of an import in a line."""
    if not isinstance(node, ast.Try) or not node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0):
        return False
    exceptions = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    kinds = [handler.type for handler in node.handlers]
    names = [getattr(part, "id", "") for kind in kinds if kind for part in ast.walk(kind)]
    return None in kinds or not exceptions.isdisjoint(names)


def _name_notes(tree: ast.Module, path: Path) -> list[str]:
    """Say which modules cannot be imported, as the file or one beside it has the same name."""
    modules = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not getattr(node, "level", 0)
        for name in (getattr(node, "module", None), *(alias.name for alias in node.names))
        if name and (isinstance(node, ast.Import) or name == getattr(node, "module", None))
    }
    neighbours = {name for name in modules if (path.parent / f"{name}.py").is_file()}
    notes = []
    in_use = {"torch", *modules, *(sys.stdlib_module_names & sys.modules.keys())}
    for name in sorted({path.stem, *neighbours}):
        if name not in in_use or not _is_elsewhere(name, path.parent):
            continue
        what = "The file has" if name == path.stem else f"{name}.py beside it has"
        notes.append(f"{what} the name of the module {name}: `import {name}` finds the file in its place. Rename it.")
    return notes


def _is_elsewhere(name: str, folder: Path) -> bool:
    """Whether a module with that name is Python's own, or installed."""
    if name in sys.stdlib_module_names:
        return True
    places = [place for place in sys.path if Path(place or ".").resolve() != folder]
    return importlib.machinery.PathFinder.find_spec(name, places) is not None
