"""The derivation and the code of an operation, as they stand in its file."""

import ast
import importlib
import inspect
import keyword
import re
import textwrap
from types import ModuleType
from typing import Any

from amal import functional
from amal.tensors import function_nodes

from .examples import EXAMPLES

_BLUE, _GREEN, _DIM, _BOLD, _PLAIN = "\033[34m", "\033[32m", "\033[2m", "\033[1m", "\033[0m"
_TOKENS = re.compile(
    r'(?P<text>"""(?:.|\n)*?"""|f?"[^"\n]*"|f?\'[^\'\n]*\')|(?P<comment>#[^\n]*)'
    rf"|(?P<name>(?<=class )\w+|(?<=def )\w+|@\w+)|\b(?P<keyword>{'|'.join(keyword.kwlist)})\b"
)
_COLOURS = {"text": _GREEN, "comment": _DIM, "name": _BOLD, "keyword": _BLUE}


def module_of(op: str) -> ModuleType:
    """Return the module of an operation: its file."""
    return importlib.import_module(getattr(functional, op).__module__)


def path_of(op: str) -> str:
    """Return where the file of an operation lies, from the root of the repository."""
    return _path(module_of(op).__name__)


def _path(module: str) -> str:
    return module.replace(".", "/") + ".py"


def headline(op: str) -> str:
    """Return the first line of the derivation."""
    return inspect.cleandoc(module_of(op).__doc__ or "").partition("\n")[0]


def derivation(op: str, width: int) -> str:
    """Return the docstring of the file, its lines at most this wide."""
    text = inspect.cleandoc(module_of(op).__doc__ or "")
    return "\n\n".join(_paragraph(paragraph, width) for paragraph in text.split("\n\n"))


def _paragraph(text: str, width: int) -> str:
    """Set prose anew where it is too wide; formulas, which are indented, stay on their lines."""
    lines = text.splitlines()
    if text.startswith(" ") or max(map(len, lines)) <= width:
        return fitted(text, width)
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def functions_behind(op: str) -> list[type]:
    """Return the hand-written Functions that the worked example goes through, found in its graph."""
    example = EXAMPLES[op]
    output = example.call(op)(*example.tensors())
    found = dict.fromkeys(_as_written(node._forward_cls) for node in function_nodes(output))
    return list(found)[::-1]


def _as_written(function: type) -> type:
    """Return the class that stands in a file: what autograd calls may be one that was made of it."""
    return next(of for of in function.__mro__ if "backward" in vars(of))


def code(op: str, width: int, coloured: bool) -> str:
    """Return the Functions of an operation, what they call to compute, and the public function's signature."""
    parts: dict[str, dict[str, None]] = {}  # by file, each part once
    for function in functions_behind(op):
        parts.setdefault(function.__module__, {})[inspect.getsource(function)] = None
        for helper in _helpers(function):
            parts.setdefault(helper.__module__, {})[inspect.getsource(helper)] = None
    public = getattr(functional, op)
    parts.setdefault(public.__module__, {})[_signature(public)] = None
    files = (
        f"# {_path(module)}\n\n\n" + "\n\n".join(part.strip("\n") + "\n" for part in of) for module, of in parts.items()
    )
    text = fitted("\n\n".join(files), width)
    return coloured_code(text) if coloured else text


def _helpers(function: type) -> list[Any]:
    """Return the functions of amal.ops that a class calls, and those that these call in turn.

    Those of _public.py, which check and cast, are left out.
    """
    found: dict[Any, None] = {}
    waiting: list[Any] = [function]
    while waiting:
        caller = waiting.pop(0)
        known = vars(importlib.import_module(caller.__module__))
        for node in ast.walk(ast.parse(inspect.getsource(caller))):
            of = known.get(node.id) if isinstance(node, ast.Name) else None
            of_ops = inspect.isfunction(of) and of.__module__.startswith("amal.ops.")
            if of_ops and of.__module__ != "amal.ops._public" and of not in found:
                found[of] = None
                waiting.append(of)
    return list(found)


def _signature(function: Any) -> str:
    """Return a function down to its docstring's first line."""
    source = inspect.getsource(function)
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    head = source.splitlines()[: definition.body[0].lineno - 1]
    first = str(inspect.getdoc(function)).partition("\n")[0]
    return "\n".join([*head, f'    """{first}"""'])


def fitted(text: str, width: int) -> str:
    """Break lines that are too long, and indent what is left of them further than they are."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        if len(line) <= width:
            lines.append(line)
        else:
            lines += textwrap.wrap(
                line,
                width,
                subsequent_indent=indent + "        ",
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def coloured_code(text: str) -> str:
    """Colour Python code for a terminal: keywords, strings, comments and what is defined."""

    def coloured(match: re.Match[str]) -> str:
        colour = _COLOURS[str(match.lastgroup)]
        return "\n".join(f"{colour}{line}{_PLAIN}" for line in match[0].split("\n"))

    return _TOKENS.sub(coloured, text)


def title(text: str, coloured: bool) -> str:
    """Set a heading."""
    return f"{_BOLD}{text}{_PLAIN}" if coloured else text
