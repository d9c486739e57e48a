"""Which autograd Functions a Python file defines, as its text says: nothing of it is run."""

import ast
import os
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from amal.errors import UserError

TORCH: Final = {
    "torch.autograd.Function",
    *(f"torch.autograd.function.{name}" for name in ("Function", "InplaceFunction", "NestedIOFunction")),
}
LEFT_OUT: Final = {"venv", "env", "site-packages", "node_modules", "__pycache__"}
METHODS: Final = {"forward", "backward", "jvp"}


class Place(NamedTuple):
    """Where a class stands."""

    line: int
    local: bool
    """Whether it is inside of a function, so that it is not there when the file is imported."""


def files_with_functions(folder: Path) -> list[Path]:
    """Return the Python files below a folder that define Functions, without those of packages and hidden folders."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(of for of in folders if not of.startswith(".") and of not in LEFT_OUT)
        paths = (Path(parent, name) for name in sorted(names) if name.endswith(".py"))
        found += [path for path in paths if _defines_functions(path)]
    return found


def _defines_functions(path: Path) -> bool:
    """Whether a file defines any; what cannot be read defines none."""
    try:
        return bool(functions_in(path))
    except UserError:
        return False


def functions_in(path: Path, known: Collection[str] | None = None) -> dict[str, Place]:
    """Return each autograd Function that a file defines, inside of classes and functions as `Outer.Name`.

    A class is one if it derives from torch's, be it by way of others in the file or under another name; or, where
    its base is imported from elsewhere, if that is called something like `BaseFunction` and the class has a forward,
    a backward or a jvp, or if it has both a forward and a backward of which none is a method of an object. What has no
    forward, and others in the file derive from, is left out.

    Args:
        path: the file.
        known: names that are Functions in the file once it is imported, so that nothing is guessed of a base; None
            where it is not imported.

    Raises:
        UserError: the file cannot be read, or is no Python.
    """
    try:
        text = path.read_bytes()
        if known is None and b"Function" not in text and not (b"def forward" in text and b"def backward" in text):
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the file's own, such as an invalid escape
            tree = ast.parse(text)
    except SyntaxError as error:
        raise UserError(f"{path} cannot be read: SyntaxError: {error.msg} (line {error.lineno})") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    imported = dict(_imports(tree))
    found: dict[str, Place] = {}
    bare: dict[str, str] = {}  # own name -> full name of what has no forward: a base, if others derive from it
    derived: set[str] = set()
    for name, node, local in _classes(tree.body):
        bases = [base for base in map(_dotted, node.bases) if base]
        if not any(base in derived or _is_function(base, node, imported, known) for base in bases):
            continue
        for base in bases:
            found.pop(bare.get(base, ""), None)
        found[name] = Place(node.lineno, local)
        derived |= {name, node.name}
        if "forward" not in _methods(node) and all(base in bare or _full(base, imported) in TORCH for base in bases):
            bare[node.name] = name
    return found


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each name that an import gives, and what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}"
        elif isinstance(node, ast.Assign) and _dotted(node.value):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, _dotted(node.value)


def _classes(body: list[ast.stmt], outer: str = "", local: bool = False) -> Iterator[tuple[str, ast.ClassDef, bool]]:
    """Yield the full name of each class, the class, and whether it is inside of a function."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield f"{outer}{node.name}", node, local
            yield from _classes(node.body, f"{outer}{node.name}.", local)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(node.body, f"{outer}{node.name}.", True)
        else:
            for block in ("body", "orelse", "finalbody"):
                yield from _classes(getattr(node, block, []), outer, local)
            for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
                yield from _classes(part.body, outer, local)


def _dotted(node: ast.expr) -> str:
    """Return a name such as `autograd.Function`; empty for what is none."""
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def _is_function(base: str, node: ast.ClassDef, imported: dict[str, str], known: Collection[str] | None) -> bool:
    """Whether a class is a Function by one of its bases."""
    full = _full(base, imported)
    if known is not None:
        return full in TORCH or base in known
    if full in TORCH or (full.endswith("Function") and bool(_methods(node) & METHODS)):
        return True
    static = {of.name for of in node.body if isinstance(of, ast.FunctionDef) and of.decorator_list}
    return base in imported and {"forward", "backward"} <= static


def _full(base: str, imported: dict[str, str]) -> str:
    for _ in range(4):  # F = ag.Function, where ag is torch.autograd
        first, *rest = base.split(".")
        if imported.get(first, first) == first:
            break
        base = ".".join([imported[first], *rest])
    return base


def _methods(node: ast.ClassDef) -> set[str]:
    return {of.name for of in node.body if isinstance(of, ast.FunctionDef)}
