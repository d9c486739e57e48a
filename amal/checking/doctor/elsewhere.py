"""Gradients away from the arguments at hand: at 0, at repeated entries, far out, close in, around every threshold.

A derivative may be right where it was tried and nowhere else: a product's written as y / x, a branch for x > 3, a clamp
in backward that forward does not have. Other arguments are made of those at hand; where a Function is not defined, or
has no slope, nothing can be held against it, and what was not reached is said.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from .directions import pair_along
from .hypotheses import same, told_apart
from .specimen import Composite, Raised, at
from .subject import Found, Subject, random_like

FAR: Final = 8.0
CLOSE: Final = 0.01


def elsewhere(subject: Subject) -> Iterator[Found]:
    """Value and gradients are right for other arguments too."""
    if subject.dtype != torch.float64:
        return
    optional = subject.definition.optional if subject.definition is not None else ()
    for place in subject.variables:
        if place in optional:
            continue
        variable = subject.arguments[place]
        for words, values in _others(variable, thresholds(subject)):
            arguments = (*subject.arguments[:place], values, *subject.arguments[place + 1 :])
            found = list(_compared(replace(subject, arguments=arguments), f"{words.format(subject.name(place))}"))
            if found:
                yield from found
                return


def _others(variable: Tensor, thresholds: list[float]) -> Iterator[tuple[str, Tensor]]:
    """Yield other values of a variable, with words for them that lack its name."""
    if not variable.numel():
        return
    third = torch.arange(variable.numel()).reshape(variable.shape) % 3 == 0
    yield "where entries of {} are 0", torch.where(third, 0.0, variable)
    yield "where entries of {} are equal", torch.where(third, variable.flatten()[0], variable)
    yield f"where {{}} is {FAR:g} times as large", FAR * variable
    yield f"where {{}} is {1 / CLOSE:g} times as small", CLOSE * variable
    yield "where {} has the other sign", -variable
    for threshold in thresholds:
        near = threshold + 0.3 * random_like(variable, 5)
        yield f"where {{}} lies around {threshold:g}, with which the code compares", near


def _compared(subject: Subject, words: str) -> Iterator[Found]:
    try:
        call = subject.specimen(subject.arguments, subject.variables)
        returned = call.backward(torch.ones_like(call.output))
        if not torch.isfinite(call.output).all() or call.node is None:
            return
        if subject.definition is not None:
            expected = subject.definition.reference(*subject.arguments)
            if not torch.isfinite(expected).all():
                return
            if not same(call.output.detach(), expected.detach(), subject.tolerance):
                yield Found("forward-value", f"the output is not what the definition gives {words}")
                return
        grads = {place: at(returned, place) for place in subject.variables}
        shapes = {place: subject.arguments[place].shape for place in subject.variables}
        known = [place for place, grad in grads.items() if isinstance(grad, Tensor) and grad.shape == shapes[place]]
        pair = pair_along(subject, known, random_like(call.output, 1))
        if not pair.left_out and not pair.agrees:
            name = known[0] if len(known) == 1 else None
            words = f"{'' if len(known) == 1 else 'what backward gives '}is not the slope of the output {words}"
            given, slope = told_apart(pair.given, pair.measured)
            worst = f"Along a random direction backward gives {given}, the slope is {slope}."
            yield Found("grad-value", words, name, worst)
    except (Raised, RuntimeError, ValueError, IndexError, ArithmeticError):
        return  # outside what it is made for


def thresholds(subject: Subject) -> list[float]:
    """Return the numbers with which the code of a Function compares its tensors."""
    if isinstance(subject.specimen, Composite):
        return []
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(subject.specimen.function)))
    except (OSError, TypeError, SyntaxError):
        return []
    found: dict[float, None] = {}
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and "clamp" in node.func.attr:
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        for part in parts:
            number = _number(part)
            if number is not None and number != 0:
                found[number] = None
    return list(found)[:8]


def _number(part: ast.expr) -> float | None:
    try:
        value: Any = ast.literal_eval(part)
    except ValueError:
        return None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
