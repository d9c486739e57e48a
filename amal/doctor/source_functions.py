"""Find the autograd Functions that a Python file defines by reading its text. Nothing of it runs."""

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
SKIPPED_FOLDERS: Final = {"venv", "env", "site-packages", "node_modules", "__pycache__"}
METHODS: Final = {"forward", "backward", "jvp"}


class Place(NamedTuple):
    """Where a class is in a file."""

    line: int
    local: bool
    """Whether it is inside of a function, so that an import of the file does not define it."""


def files_with_functions(folder: Path) -> list[Path]:
    """Return the Python files below a folder that define Functions.

    Hidden folders, and folders of packages, are skipped.
    """
    paths: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED_FOLDERS)
        paths += (Path(parent, name) for name in sorted(names) if name.endswith(".py"))
    return [path for path in paths if _defines_functions(path)]


def _defines_functions(path: Path) -> bool:
    """Whether a file defines any. A file that cannot be read defines none."""
    try:
        return bool(functions_in(path))
    except UserError:
        return False


def functions_in(path: Path, bases: Collection[str] | None = None) -> dict[str, Place]:
    """Return each autograd Function that a file defines, inside of classes and functions as `Outer.Name`.

    A class is a Function if it derives from torch's, also through other classes of the file, or under
    another name. If its base is imported from elsewhere, it is one if the name of the base ends in
    `Function` and the class has a forward, a backward or a jvp; or if it has both a forward and a
    backward, each with a decorator. A class without a forward, from which others of the file derive,
    is not listed.

    Args:
        path: the file.
        bases: names that are Functions in the file once it is imported, so that nothing need be
            guessed about a base; None if the file is not imported.

    Raises:
        UserError: the file cannot be read, or is no Python.
    """
    try:
        text = path.read_bytes()
        methods = b"def forward" in text and b"def backward" in text
        if bases is None and b"Function" not in text and not methods:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the file's own, such as an invalid escape
            tree = ast.parse(text)
    except SyntaxError as error:
        raise UserError(f"{path} cannot be read: SyntaxError: {error.msg} (line {error.lineno})") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    imports = dict(_imports(tree))
    places: dict[str, Place] = {}
    bare: dict[str, str] = {}  # name -> full name of a class without forward: a base, if others derive from it
    names: set[str] = set()
    for full_name, node, local in _classes(tree.body):
        parents = [parent for parent in map(_dotted_name, node.bases) if parent]
        if not any(parent in names or _is_function(parent, node, imports, bases) for parent in parents):
            continue
        for parent in parents:
            places.pop(bare.get(parent, ""), None)
        places[full_name] = Place(node.lineno, local)
        names |= {full_name, node.name}
        plain = all(parent in bare or _full_name(parent, imports) in TORCH for parent in parents)
        if plain and "forward" not in _methods(node):
            bare[node.name] = full_name
    return places


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
        elif isinstance(node, ast.Assign) and _dotted_name(node.value):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, _dotted_name(node.value)


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


def _dotted_name(node: ast.expr) -> str:
    """Return a name such as `autograd.Function`; empty for an expression that is not a name."""
    if isinstance(node, ast.Attribute):
        inner = _dotted_name(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def _is_function(parent: str, node: ast.ClassDef, imports: dict[str, str], bases: Collection[str] | None) -> bool:
    """Whether one of its parents makes a class a Function."""
    full_name = _full_name(parent, imports)
    if bases is not None:
        return full_name in TORCH or parent in bases
    if full_name in TORCH or (full_name.endswith("Function") and bool(_methods(node) & METHODS)):
        return True
    functions = [method for method in node.body if isinstance(method, ast.FunctionDef)]
    static = {method.name for method in functions if method.decorator_list}
    return parent in imports and {"forward", "backward"} <= static


def _full_name(name: str, imports: dict[str, str]) -> str:
    """Return what a name stands for: F = ag.Function, where ag is torch.autograd, takes two steps."""
    for _ in range(4):
        first, *rest = name.split(".")
        if imports.get(first, first) == first:
            break
        name = ".".join([imports[first], *rest])
    return name


def _methods(node: ast.ClassDef) -> set[str]:
    return {method.name for method in node.body if isinstance(method, ast.FunctionDef)}
