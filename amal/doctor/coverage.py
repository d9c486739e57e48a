"""Which lines of a Function were never run: a branch that nothing entered is not known to be right."""

import ast
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from .function_under_test import Composite, FunctionUnderTest
from .source_code import METHODS, code_of, syntax_tree

QUOTES = 3
"""Lines that are quoted."""


class Coverage:
    """The lines that ran of a Function's own methods, and of what they call in the same file.

    Args:
        function: of a callable that is no Function nothing is watched.
        lines: those that ran before, with other inputs, to which more are added.
    """

    def __init__(self, function: FunctionUnderTest, lines: set[int]) -> None:
        methods = () if isinstance(function, Composite) else _methods(function.implementation)
        self.file = methods[0].co_filename if methods else ""
        self.codes = dict.fromkeys(code for code in methods if code.co_filename == self.file)
        self.lines = lines

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note inside what is run; nothing where another one watches already, such as a debugger."""
        if not self.file or sys.gettrace() is not None:
            self.codes.clear()
            yield
            return
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename != self.file or frame.f_code.co_name == "<module>":
            return None
        self.codes.setdefault(frame.f_code)
        return self._run_line

    def _run_line(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        self.lines.add(frame.f_lineno)
        return self._run_line

    def missing_lines(self) -> list[int]:
        """Return the numbers of the lines that never ran, those apart that only refuse what was given."""
        lines = {line for code in self.codes for line in _lines(code)}
        return sorted(lines - self.lines - _refusals(self.file)) if lines else []

    def __str__(self) -> str:
        """Return which lines never ran, in words; empty if all did."""
        source = linecache.getlines(self.file)
        missing = [line for line in self.missing_lines() if line <= len(source)]
        if not missing:
            return ""
        quotes = ", ".join(f"line {line} (`{source[line - 1].strip()[:60]}`)" for line in missing[:QUOTES])
        more = f", and {len(missing) - QUOTES} more" if len(missing) > QUOTES else ""
        return f"nothing that was tried reached {quotes}{more}"


def _refusals(file: str) -> set[int]:
    """Return the lines of a file that raise or assert something, and those that are no statements."""
    source = linecache.getlines(file)
    lines = {number for number, line in enumerate(source, 1) if line.lstrip().startswith(("@", "def "))}
    for node in ast.walk(syntax_tree(file)):
        if isinstance(node, (ast.Raise, ast.Assert)):
            lines |= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return lines


def _methods(function: type[Any]) -> tuple[CodeType, ...]:
    """Return the code of the methods that the engine calls, as far as the class has them."""
    own = [name for name in METHODS if not (getattr(function, name).__module__ or "").startswith("torch.")]
    return tuple(code for name in own if (code := code_of(function, name)) is not None)


def _lines(code: CodeType) -> Iterator[int]:
    """Yield the lines of a function's body, and of functions within it."""
    for *_, line in code.co_lines():
        if line is not None and line != code.co_firstlineno:
            yield line
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _lines(constant)
