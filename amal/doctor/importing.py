"""Import what students write: what is not installed is stood in for, what stands after a line that fails is read on.

A file to examine loads data, plots, trains, asks for a GPU or a command line. None of that matters to the Functions in
it. Statement after statement is executed; after one that fails, imports apart, only definitions, imports and
assignments are. What a missing module or a failed statement was to give is a stand-in, which takes anything while the
file is imported, and raises `Unavailable` when a Function uses it.
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
"""Statements that are executed after one that failed."""

HARMLESS = (*DEFINITIONS, ast.If, ast.Try, ast.With, ast.Pass)
"""What may stand in an `if` that is executed after one that failed."""
STDLIB = sysconfig.get_path("stdlib")
SAID = 200
"""Characters of an exception's message that are shown."""


@dataclass
class Imported:
    """A module, and what is to be said of how it was imported."""

    module: ModuleType
    notes: list[str] = field(default_factory=list)
    failure: BaseException | None = None
    """What its first line that failed raised."""


def import_file(path: Path) -> Imported:
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
    hidden = _hidden(tree, path)
    sys.path.insert(0, str(top))
    sys.argv = [str(path)]
    finder = Finder(top)
    sys.meta_path.append(finder)
    StandIn.importing = True
    try:
        imported = _imported(tree, path, top, parts)
    finally:
        StandIn.importing = False
        sys.meta_path.remove(finder)
    imported.notes += hidden
    if finder.absent:
        imported.notes.append(
            f"Not installed: {', '.join(finder.absent)}. An empty stand-in was imported in the place of each."
        )
    return imported


def import_failure(error: BaseException, path: str) -> str:
    """Say why a file could not be imported."""
    if isinstance(error, SystemExit):
        return f"{path} calls sys.exit when it is imported; put what runs the lab below `if __name__ == '__main__':`"
    line = _line(error, Path(path))
    return f"{path} cannot be imported: {_said(error)}{f' (line {line})' if line else ''}"


def _said(error: BaseException) -> str:
    said = " ".join(str(error).split()) or "without a word"
    return f"{type(error).__name__}: {said[:SAID]}{'...' if len(said) > SAID else ''}"


def _line(error: BaseException, path: Path) -> int | None:
    """Return the line of a file that raised an exception."""
    if isinstance(error, SyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return own[-1] if own else None


# ---------------------------------------------------------------------------------- execution


def _imported(tree: ast.Module, path: Path, top: Path, parts: Sequence[str]) -> Imported:
    """Execute a file, after the packages that it lies in, under the name that a program would import it by."""
    notes: list[str] = []
    folder = top
    for count in range(1, len(parts)):
        folder /= parts[count - 1]
        notes += _package(".".join(parts[:count]), folder)
    name = ".".join(parts)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return Imported(known, notes)  # its own package has imported it
    if known is not None:
        name += "_file"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None:
        raise ImportError(f"{path.name} is not a Python file")
    imported = Imported(importlib.util.module_from_spec(specification), notes)
    sys.modules[name] = imported.module
    _execute(tree, path, imported)
    return imported


def _package(name: str, folder: Path) -> list[str]:
    """Import a package, or put an empty one in its place where it fails; return what is to be said of that."""
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
        return [f"The __init__.py of {name} was left out: it raised {_said(error)}."]
    return []


def _execute(tree: ast.Module, path: Path, imported: Imported) -> None:
    """Execute the statements of a file, those that hold no definitions only as long as none has failed."""
    space = imported.module.__dict__
    space["__doc__"] = ast.get_docstring(tree)
    features = [
        alias.name
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        for alias in statement.names
    ]
    flags = sum(getattr(__future__, feature).compiler_flag for feature in set(features))
    failed = False
    for statement in tree.body:
        if failed and not _defines(statement):
            _stand_in(statement, space, f"which line {statement.lineno} was to give")
            continue
        try:
            exec(compile(ast.Module([statement], []), str(path), "exec", flags, True), space)
        except (Exception, SystemExit) as error:
            line = _line(error, path) or statement.lineno
            _stand_in(statement, space, f"which line {statement.lineno} was to give: {_said(error)}")
            imported.failure = imported.failure or error
            words = f"Line {line} of {path.name} failed ({_said(error)})"
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                imported.notes.append(f"{words}: what it imports was left out.")
            elif not failed:
                imported.notes.append(f"{words}: after it only definitions, imports and assignments were executed.")
                failed = True


def _defines(statement: ast.stmt) -> bool:
    """Whether a statement defines something, or holds a class, or nothing but what does."""
    if not isinstance(statement, (ast.If, ast.Try, ast.With)):
        return isinstance(statement, DEFINITIONS)
    inner = [of for of in ast.walk(statement) if isinstance(of, ast.stmt)]
    return any(isinstance(of, ast.ClassDef) for of in inner) or all(isinstance(of, HARMLESS) for of in inner)


def _stand_in(statement: ast.stmt, space: dict[str, Any], why: str) -> None:
    """Put a stand-in wherever a statement was to bind a name that is not bound."""
    for name in _bound(statement):
        space.setdefault(name, StandIn(f"{name}, {why}"))


def _bound(node: ast.AST) -> Iterator[str]:
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
                yield from _bound(inner)


# ---------------------------------------------------------------------------------- modules


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds stand-ins for modules that nobody else finds, where a student's file imports them.

    A library that tries an import and does without it shall do without it, and so shall a `try` with an `except`.

    Args:
        folder: below which the student's files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.absent: dict[str, None] = {}
        """Names of what was stood in for, in order."""

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Return the specification of a stand-in; None where the import shall fail."""
        if not any(name.startswith(f"{absent}.") for absent in self.absent):
            if not self._wanted(sys._getframe(1)):
                return None
            self.absent[name] = None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        """Return the stand-in."""
        return StandIn(f"{spec.name.partition('.')[0]}, which is not installed")

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is nothing in it."""

    def _wanted(self, frame: FrameType | None) -> bool:
        """Whether it is a student's file that imports, and outside of a `try` that knows what to do without."""
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
        return not any(_excepted(node, line) for node in ast.walk(tree))


def _excepted(node: ast.AST, line: int) -> bool:
    """Whether a statement catches that the import in a line fails."""
    if not isinstance(node, ast.Try) or not node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0):
        return False
    caught = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    kinds = [handler.type for handler in node.handlers]
    return any(
        kind is None or any(isinstance(of, ast.Name) and of.id in caught for of in ast.walk(kind)) for kind in kinds
    )


def _hidden(tree: ast.Module, path: Path) -> list[str]:
    """Say which of Python's modules that are in use, or that a file imports, it hides, or one beside it does."""
    wanted = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not getattr(node, "level", 0)
        for name in (getattr(node, "module", None), *(alias.name for alias in node.names))
        if name and (isinstance(node, ast.Import) or name == getattr(node, "module", None))
    }
    beside = {name for name in wanted if (path.parent / f"{name}.py").is_file()}
    notes = []
    in_use = {"torch", *wanted, *(sys.stdlib_module_names & sys.modules.keys())}
    for name in sorted({path.stem, *beside}):
        if name not in in_use or not _is_elsewhere(name, path.parent):
            continue
        what = "The file has" if name == path.stem else f"{name}.py beside it has"
        notes.append(f"{what} the name of the module {name}: `import {name}` finds the file in its place. Rename it.")
    return notes


def _is_elsewhere(name: str, folder: Path) -> bool:
    """Whether a module of that name is Python's own, or installed."""
    if name in sys.stdlib_module_names:
        return True
    places = [place for place in sys.path if Path(place or ".").resolve() != folder]
    return importlib.machinery.PathFinder.find_spec(name, places) is not None
