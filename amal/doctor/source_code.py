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

METHODS: Final = ("forward", "setup_context", "backward", "jvp", "vmap")
"""Methods of a Function that findings are about."""


def add_lines(diagnosis: Diagnosis, function: Any) -> Diagnosis:
    """Return a diagnosis with the file and the lines that it is about, where the function is a class in a file.

    A method that stands elsewhere, such as torch's own `vmap`, has no line: there the class stands for it.
    """
    codes = {name: code for name in METHODS if (code := code_of(function, name)) is not None}
    own = [code for name, code in codes.items() if name in vars(function)]
    file = own[0].co_filename if own else ""
    if not os.path.isfile(file):
        return diagnosis
    nodes = ast.walk(syntax_tree(file))
    starts = {first_line(node): node.lineno for node in nodes if isinstance(node, ast.FunctionDef)}
    lines = {
        name: starts.get(code.co_firstlineno, code.co_firstlineno)
        for name, code in codes.items()
        if code.co_filename == file
    }
    node = class_around(own[0], function.__name__)
    findings = []
    for finding in diagnosis.findings:
        saves_in_forward = finding.method == "setup_context" and finding.method not in lines
        method = "forward" if saves_in_forward else finding.method
        findings.append(replace(finding, method=method, line=lines.get(method or "")))
    line = node.lineno if node else None
    return replace(diagnosis, findings=tuple(findings), file=os.path.abspath(file), line=line)


def code_of(function: Any, name: str) -> CodeType | None:
    """Return the code of a method of a class; None where it has none in Python, or the function is no class."""
    method = getattr(function, name, None) if isinstance(function, type) else None
    return getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None


@lru_cache(maxsize=8)
def parse(text: str) -> ast.Module:
    """Return the syntax tree of a text. It is kept for whoever asks next, so it must not be changed.

    Raises:
        SyntaxError: it is no Python.
    """
    return ast.parse(text)


def syntax_tree(file: str) -> ast.Module:
    """Return the syntax tree of a file or a cell as Python read it; an empty one if it is no Python by now."""
    try:
        return parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.Module([], [])


def class_around(code: CodeType, name: str) -> ast.ClassDef | None:
    """Return the class of a name that holds the code of a method; None where its file has none."""
    nodes = ast.walk(syntax_tree(code.co_filename))
    classes = (node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name)
    line = code.co_firstlineno
    return next((node for node in classes if node.lineno <= line <= (node.end_lineno or 0)), None)


def first_line(node: ast.FunctionDef | ast.ClassDef) -> int:
    """Return where a definition begins: with its first decorator, if it has some."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
