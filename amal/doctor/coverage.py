"""Which lines of a Function were never run: a branch that nothing entered is not known to be right."""

import ast
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from .function_under_test import Composite, FunctionUnderTest
from .source_code import NAMES, code_of, tree_of

SHOWN = 3
"""Lines that are quoted."""


class Reach:
    """The lines of a Function's own methods, and of what they call in the same file, as far as it was entered.

    Args:
        function: of a callable that is no Function nothing is watched.
        run: the lines that ran before, with other inputs, which are added to.
    """

    def __init__(self, function: FunctionUnderTest, run: set[int]) -> None:
        methods = () if isinstance(function, Composite) else _methods(function.implementation)
        self.file = methods[0].co_filename if methods else ""
        self.codes = dict.fromkeys(code for code in methods if code.co_filename == self.file)
        self.run = run

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note inside what is run; nothing where another one watches already, such as a debugger."""
        if not self.file or sys.gettrace() is not None:
            self.codes.clear()
            yield
            return
        sys.settrace(self._entered)
        try:
            yield
        finally:
            sys.settrace(None)

    def _entered(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename != self.file or frame.f_code.co_name == "<module>":
            return None
        self.codes.setdefault(frame.f_code)
        return self._line

    def _line(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        self.run.add(frame.f_lineno)
        return self._line

    def missed(self) -> list[int]:
        """Return the numbers of the lines that never ran, those apart that only refuse what was given."""
        lines = {line for code in self.codes for line in _lines(code)}
        return sorted(lines - self.run - _refusing(self.file)) if lines else []

    def says(self) -> str:
        """Return which lines never ran, in words; empty if all did."""
        source = linecache.getlines(self.file)
        missed = [line for line in self.missed() if line <= len(source)]
        if not missed:
            return ""
        quoted = ", ".join(f"line {line} (`{source[line - 1].strip()[:60]}`)" for line in missed[:SHOWN])
        more = f", and {len(missed) - SHOWN} more" if len(missed) > SHOWN else ""
        return f"nothing that was tried reached {quoted}{more}"


def _refusing(file: str) -> set[int]:
    """Return the lines of a file that raise an exception or assert something, and those that are no statements."""
    source = linecache.getlines(file)
    found = {number for number, line in enumerate(source, 1) if line.lstrip().startswith(("@", "def "))}
    for node in ast.walk(tree_of(file)):
        if isinstance(node, (ast.Raise, ast.Assert)):
            found |= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return found


def _methods(function: type[Any]) -> tuple[CodeType, ...]:
    """Return the code of the methods that the engine calls, as far as the class has them."""
    own = [name for name in NAMES if not (getattr(function, name).__module__ or "").startswith("torch.")]
    return tuple(code for name in own if (code := code_of(function, name)) is not None)


def _lines(code: CodeType) -> Iterator[int]:
    """Yield the lines of a function's body, and of functions within it."""
    for *_, line in code.co_lines():
        if line is not None and line != code.co_firstlineno:
            yield line
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _lines(constant)
