"""Where a Function stands: the file, and the lines of its class and of the methods that findings are about."""

import ast
import inspect
import linecache
import os
from dataclasses import replace
from functools import lru_cache
from types import CodeType
from typing import Any, Final

from .findings import Diagnosis

NAMES: Final = ("forward", "setup_context", "backward", "jvp", "vmap")
"""Methods of a Function that findings are about."""


def located(diagnosis: Diagnosis, function: Any) -> Diagnosis:
    """Return a diagnosis with the file and the lines that it is about, where the function is a class in a file.

    A method that the class has from elsewhere, such as torch's own `vmap`, has no line: there the class stands for it.
    """
    codes = {name: code for name in NAMES if (code := code_of(function, name)) is not None}
    own = [codes[name] for name in NAMES if name in codes and name in vars(function)]
    file = own[0].co_filename if own else ""
    if not os.path.isfile(file):
        return diagnosis
    nodes = ast.walk(tree_of(file))
    starts = {first_line(node): node.lineno for node in nodes if isinstance(node, ast.FunctionDef)}
    lines = {
        name: starts.get(code.co_firstlineno, code.co_firstlineno)
        for name, code in codes.items()
        if code.co_filename == file
    }
    node = class_around(own[0], function.__name__)
    findings = []
    for of in diagnosis.findings:
        saves_in_forward = of.method == "setup_context" and of.method not in lines
        method = "forward" if saves_in_forward else of.method
        findings.append(replace(of, method=method, line=lines.get(method or "")))
    return replace(diagnosis, findings=tuple(findings), file=os.path.abspath(file), line=node.lineno if node else None)


def code_of(function: Any, name: str) -> CodeType | None:
    """Return the code of a method of a class; None where it has none in Python, or the function is no class."""
    method = getattr(function, name, None) if isinstance(function, type) else None
    return getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None


@lru_cache(maxsize=8)
def parsed(text: str) -> ast.Module:
    """Return the syntax tree of a text. It is kept for whoever asks next, so it must not be changed.

    Raises:
        SyntaxError: it is no Python.
    """
    return ast.parse(text)


def tree_of(file: str) -> ast.Module:
    """Return the syntax tree of a file, or a cell, as Python read it; an empty one where it is another by now."""
    try:
        return parsed("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.Module([], [])


def class_around(code: CodeType, name: str) -> ast.ClassDef | None:
    """Return the class of a name that holds the code of a method; None where the text of its file has no such class."""
    nodes = (of for of in ast.walk(tree_of(code.co_filename)) if isinstance(of, ast.ClassDef) and of.name == name)
    return next((of for of in nodes if of.lineno <= code.co_firstlineno <= (of.end_lineno or 0)), None)


def first_line(node: ast.FunctionDef | ast.ClassDef) -> int:
    """Return where a definition begins: with its first decorator, if it has some."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
