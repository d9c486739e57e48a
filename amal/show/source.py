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
from amal.checking.properties import function_nodes

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


def path_of(module: ModuleType) -> str:
    """Return where a module lies, from the root of the repository."""
    return module.__name__.replace(".", "/") + ".py"


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
    """Return the Functions of an operation, what they call in their own file, and the public function's signature."""
    parts: list[str] = []
    for function in functions_behind(op):
        module = importlib.import_module(function.__module__)
        source = inspect.getsource(function)
        helpers = _helpers(source, module)
        parts += [f"# {path_of(module)}", source, *map(inspect.getsource, helpers)]
    parts += [f"# {path_of(module_of(op))}", _signature(getattr(functional, op))]
    text = fitted("\n\n".join(part.strip() for part in dict.fromkeys(parts)), width)
    return coloured_code(text) if coloured else text


def _helpers(source: str, module: ModuleType) -> list[Any]:
    """Return the functions of a module that a class calls, and those that these call in turn, as they stand there."""
    own = {name: of for name, of in vars(module).items() if inspect.isfunction(of) and of.__module__ == module.__name__}
    waiting, found = [source], set()
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop())):
            if isinstance(node, ast.Name) and node.id in own and node.id not in found:
                found.add(node.id)
                waiting.append(inspect.getsource(own[node.id]))
    return [of for name, of in own.items() if name in found]


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
                drop_whitespace=True,
                break_long_words=False,
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
