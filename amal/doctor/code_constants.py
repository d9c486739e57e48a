"""Numbers and texts in the code of a Function: what it compares with decides which branch runs."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from .function_under_test import Composite, FunctionUnderTest
from .source_code import parse


def thresholds(function: FunctionUnderTest) -> list[float]:
    """Return the numbers with which the code of a Function compares its tensors, defaults among them."""
    trees = _trees(function)
    defaults = {parameter.name: parameter.default for parameter in function.parameters} if trees else {}
    numbers: dict[float, None] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and "clamp" in node.func.attr:
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        for part in parts:
            number = _real(defaults.get(part.id)) if isinstance(part, ast.Name) else _literal(part)
            if number is not None and number != 0:
                numbers[number] = None
    return list(numbers)[:8]


def whole_numbers(function: FunctionUnderTest) -> list[int]:
    """Return the whole numbers above 1 in the code of a Function, those with which it compares first."""
    nodes = (node for tree in _trees(function) for node in ast.walk(tree))
    constants = (_real(node.value) for node in nodes if isinstance(node, ast.Constant))
    numbers = [*thresholds(function), *(number for number in constants if number is not None)]
    return list(dict.fromkeys(int(number) for number in numbers if number.is_integer() and number > 1))


def texts(function: FunctionUnderTest) -> Iterator[str]:
    """Yield the texts with which the code of a Function compares, or by which it looks something up."""
    for node in (node for tree in _syntax(function.implementation) for node in ast.walk(tree)):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Dict):
            parts = list(node.keys)
        for inner in (inner for part in parts if part is not None for inner in ast.walk(part)):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value


def is_for_backward(function: FunctionUnderTest, name: str) -> bool:
    """Whether forward does nothing with a parameter but to put it on ctx, as the factor of a gradient is."""
    for tree in _syntax(function.implementation.forward):
        copies = {
            part
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and all(isinstance(target, (ast.Attribute, ast.Tuple)) for target in node.targets)
            for part in (node.value.elts if isinstance(node.value, ast.Tuple) else [node.value])
        }
        uses = {node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name}
        return not any(isinstance(node.ctx, ast.Load) and node not in copies for node in uses)
    return False


def _trees(function: FunctionUnderTest) -> list[ast.Module]:
    """Return the syntax trees of a Function's class, or of its methods; none where there is no source."""
    if isinstance(function, Composite):
        return []
    own = function.implementation
    methods = (own.forward, own.setup_context, own.backward)
    return _syntax(own) or [tree for method in methods for tree in _syntax(method)]


def _syntax(code: Any) -> list[ast.Module]:
    """Return the syntax tree of a class or a method, in a list; none where there is no source."""
    try:
        return [parse(textwrap.dedent(inspect.getsource(code)))]
    except (OSError, TypeError, SyntaxError):
        return []


def _literal(part: ast.expr) -> float | None:
    try:
        return _real(ast.literal_eval(part))
    except ValueError:
        return None


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
