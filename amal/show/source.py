"""The derivation and the code of an operation, as they stand in its file."""

import ast
import importlib
import inspect
from types import ModuleType
from typing import Any

from amal import _torch, functional
from amal.graph.walk import function_nodes
from amal.proofs.table import CASES
from amal.text import wrap

from .examples import EXAMPLES


def module_of(op: str) -> ModuleType:
    """Return the module of an operation: its file."""
    return importlib.import_module(getattr(functional, op).__module__)


def path_of(op: str) -> str:
    """Return the path of an operation's file, from the root of the repository."""
    return _path(module_of(op).__name__)


def _path(module: str) -> str:
    return module.replace(".", "/") + ".py"


def headline(op: str) -> str:
    """Return the first line of the derivation."""
    return inspect.cleandoc(module_of(op).__doc__ or "").partition("\n")[0]


def derivation(op: str, width: int) -> str:
    """Return the docstring of the file, in lines of at most `width` characters."""
    text = inspect.cleandoc(module_of(op).__doc__ or "")
    return "\n\n".join(_paragraph(paragraph, width) for paragraph in text.split("\n\n"))


def _paragraph(text: str, width: int) -> str:
    """Wrap prose anew if it is too wide; formulas, which are indented, keep their lines."""
    lines = text.splitlines()
    if text.startswith(" ") or max(map(len, lines)) <= width:
        return shorten_lines(text, width)
    return "\n".join(wrap(text, width))


def functions_behind(op: str) -> list[type]:
    """Return the hand-written Functions behind the worked example, or else behind the operation's first case."""
    if op in EXAMPLES:
        output = EXAMPLES[op].call(op)(*EXAMPLES[op].tensors())
    else:
        case = next(case for case in CASES if case.op == op)
        output = case.operation(*case.inputs())
    functions = dict.fromkeys(_written_class(_torch.function_class(node)) for node in function_nodes(output))
    return list(functions)[::-1]


def _written_class(function: type) -> type:
    """Return the class that stands in a file: autograd may call one that was derived from it."""
    return next(base for base in function.__mro__ if "backward" in vars(base))


def code(op: str, width: int, coloured: bool) -> str:
    """Return the Functions of an operation, their helpers, and the public function's signature."""
    parts: dict[str, dict[str, None]] = {}  # module -> its parts, each once
    for function in functions_behind(op):
        parts.setdefault(function.__module__, {})[inspect.getsource(function)] = None
        for helper in _helpers(function):
            parts.setdefault(helper.__module__, {})[inspect.getsource(helper)] = None
    public = getattr(functional, op)
    parts.setdefault(public.__module__, {})[_signature(public)] = None
    files = (
        f"# {_path(module)}\n\n\n" + "\n\n".join(part.strip("\n") + "\n" for part in texts)
        for module, texts in parts.items()
    )
    text = shorten_lines("\n\n".join(files), width)
    return coloured_code(text) if coloured else text


def _helpers(function: type) -> list[Any]:
    """Return the functions of amal.ops that a class calls, and those that these call in turn.

    Those of _public.py, which check and cast, are left out.
    """
    helpers: dict[Any, None] = {}
    waiting: list[Any] = [function]
    while waiting:
        caller = waiting.pop(0)
        names = vars(importlib.import_module(caller.__module__))
        for node in ast.walk(ast.parse(inspect.getsource(caller))):
            helper = names.get(node.id) if isinstance(node, ast.Name) else None
            if not inspect.isfunction(helper) or helper in helpers:
                continue
            if helper.__module__.startswith("amal.ops.") and helper.__module__ != "amal.ops._public":
                helpers[helper] = None
                waiting.append(helper)
    return list(helpers)


def _signature(function: Any) -> str:
    """Return a function down to its docstring's first line."""
    signature = str(inspect.signature(function)).replace("torch.Tensor", "Tensor")
    first = str(inspect.getdoc(function)).partition("\n")[0]
    return f'def {function.__name__}{signature}:\n    """{first}"""'


def shorten_lines(text: str, width: int) -> str:
    """Break lines that are too long, and indent their rest further than their beginning."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        lines += [line] if len(line) <= width else wrap(line, width, indent + 8)
    return "\n".join(lines)


def coloured_code(text: str) -> str:
    """Return Python code in the colours of a terminal, by Pygments."""
    from pygments import highlight
    from pygments.formatters import TerminalFormatter
    from pygments.lexers import PythonLexer

    coloured: str = highlight(text, PythonLexer(stripnl=False, ensurenl=False), TerminalFormatter())
    return coloured
