"""Other values of parameters that have a default: the branch for "mean" may be wrong where that for "sum" is not.

What the body compares with, the other truth value, numbers close by and, for None, a tensor or a number are tried, one
parameter at a time. Backward is held against the slope of forward there. What raises an exception misleads nobody.
"""

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from inspect import Parameter
from typing import Any, Final

import torch
from torch import Tensor

from .directions import depends
from .evidence import Tolerance
from .function_under_test import Arguments, CallError, Composite, nth
from .other_inputs import compared, parsed, thresholds
from .sample_inputs import NUMBERS, VECTORS
from .subject import Observation, Subject, random_like

CLOSE: Final = Tolerance(1e-3)
"""Of what is meant to be exact in the limit, such as a fixed point after some steps, more is not to be had."""
MOST: Final = 5
"""Values that are tried of one parameter."""
CLASSES: Final = ("ignore", "padding_idx")
"""Parts of names of a class that is left out: one that occurs tells what becomes of the others."""
WORDS: Final = {"reduction": ("none", "mean", "sum"), "reduce": ("mean", "sum", "amax", "prod")}
"""Values that parameters of a name have in torch."""


def for_other_values(subject: Subject) -> Iterator[Observation]:
    """Backward is right for other values of parameters that have a default, or whose values were found by trying."""
    if isinstance(subject.function, Composite) or subject.dtype != torch.float64:
        return
    unknown: list[str] = []
    given: dict[int, Any] = {}
    for place, parameter in enumerate(subject.function.parameters):
        left = place >= len(subject.arguments)
        usual = parameter.default if left else subject.arguments[place]
        if isinstance(usual, Tensor) or (not left and not subject.trial_inputs):
            continue
        refused: list[str] = []
        ran = False
        for value in _values(subject, place, parameter, usual) if subject.surrogate is None else ():
            words = f"{parameter.name}={_shown(value)}"
            try:
                found = list(_compared(_with(subject, place, value), place, words))
            except CallError as error:
                refused.append(f"{words}: {error}")
                continue
            ran = True
            yield from found
            if not all(of.note for of in found):
                return
            if usual is None:
                given.setdefault(place, value)
            if isinstance(value, Tensor):
                break
        if not ran and (usual is None or not refused):
            unknown.append(f"{parameter.name}={_shown(usual)}")
        if isinstance(usual, (bool, str)) or (usual is not None and not ran):
            yield from (Observation("not-reached", of, note=True) for of in refused[:1])
    if len(given) > 1:
        with contextlib.suppress(CallError):
            yield from _all_given(subject, given)
    if unknown:
        yield Observation("not-reached", f"no other value was tried of {', '.join(unknown)}", note=True)


def _all_given(subject: Subject, given: dict[int, Any]) -> Iterator[Observation]:
    """Compare where all parameters that may be None are given, as both ends of an interval.

    Raises:
        Raised: forward or backward does.
    """
    parameters = subject.function.parameters
    words = " and ".join(f"{parameters[place].name}={_shown(value)}" for place, value in given.items())
    for place, value in given.items():
        subject = _with(subject, place, value)
    yield from _compared(subject, max(given), words)


def _shown(value: Any) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)


def _with(subject: Subject, place: int, value: Any) -> Subject:
    """Return the same, with another value of a parameter, and the defaults of those before it."""
    between = [of.default for of in subject.function.parameters[len(subject.arguments) : place]]
    arguments: Arguments = (*subject.arguments, *between)
    arguments = (*arguments[:place], value, *arguments[place + 1 :])
    variables = subject.variables
    if isinstance(value, Tensor) and value.is_floating_point():
        variables = (*variables, place)
    return replace(subject, definition=None, arguments=arguments, variables=variables)


def _values(subject: Subject, place: int, parameter: Parameter, usual: Any) -> list[Any]:
    """Return other values of a parameter, likely ones first."""
    name = parameter.name.lower()
    found: list[Any] = []
    if isinstance(usual, bool):
        found = [not usual]
    elif isinstance(usual, str):
        found = [*WORDS.get(name, ()), *_words(subject)]
    elif isinstance(usual, int) and any(part in name for part in CLASSES):
        given = [of for of in subject.arguments if isinstance(of, Tensor) and not of.is_floating_point()]
        found = [int(of.flatten()[0]) for of in given if of.numel()]
    elif isinstance(usual, int):
        whole = [int(of) for of in thresholds(subject) if of.is_integer() and abs(of) < 10]
        found = [usual + 1, *([usual - 1] if usual else []), *whole]
    elif isinstance(usual, float):
        found = [usual / 2, 2 * usual] if usual else [0.5, -0.5]
        found += [of for of in thresholds(subject) if abs(of) < 10]
        found += [1 - usual / 2] if 0.05 < usual < 1 else []  # a share, such as the p of a dropout
    elif isinstance(usual, tuple) and usual and all(isinstance(of, int) for of in usual):
        found = [tuple(of + 1 for of in usual)]
    elif usual is None:
        numbers = [value for value, names in NUMBERS.items() if name in names]
        return [*numbers, 0] if numbers else list(_tensors(subject, place))
    return [of for of in dict.fromkeys(found) if of != usual][:MOST]


def _words(subject: Subject) -> Iterator[str]:
    """Yield the texts with which the code of a Function compares, or by which it looks something up."""
    for node in (node for tree in parsed(subject.function.implementation) for node in ast.walk(tree)):
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


def _tensors(subject: Subject, place: int) -> Iterator[Tensor]:
    """Yield tensors that may stand for None: as long as a row of the output or of an input, or like one of them."""
    tensors = [subject.function.value(subject.arguments), *(subject.arguments[other] for other in subject.variables)]
    shapes = dict.fromkeys([*(of.shape[-1:] for of in tensors), *(of.shape[:1] for of in tensors)])
    for shape in dict.fromkeys([*shapes, *(of.shape for of in tensors)]):
        drawn = random_like(torch.empty(shape, dtype=subject.dtype), 21 + place)
        yield from [drawn > 0, drawn] if "mask" in subject.function.parameters[place].name.lower() else [drawn]


def _compared(subject: Subject, place: int, words: str) -> Iterator[Observation]:
    """Compare with another value, a note where that seems to be on purpose.

    Args:
        subject: with that value.
        place: of the parameter.
        words: which value.

    Raises:
        Raised: forward or backward does.
    """
    call = subject.function(subject.arguments, subject.variables)
    returned = call.backward(random_like(call.output, 1))
    value = subject.arguments[place]
    if isinstance(value, Tensor) and nth(returned, place) is None:
        if subject.function.parameters[place].name.lower() in VECTORS and depends(subject, place):
            yield Observation("grad-missing", f"is None where it is {words.partition('=')[2]}", place)
            return
        subject = replace(subject, variables=tuple(other for other in subject.variables if other != place))
    found = list(compared(subject, f"with {words}", CLOSE))
    if not found:
        return
    if not any(depends(subject, other) for other in subject.variables):
        yield Observation("not-reached", f"with {words} the output stands still: its gradient is on purpose", note=True)
        return
    name = subject.function.parameters[place].name
    if isinstance(value, (int, float)) and not isinstance(value, bool) and _is_for_backward(subject, name):
        yield Observation("not-reached", f"{words} is for backward alone, where it makes another gradient", note=True)
        return
    yield from found


def _is_for_backward(subject: Subject, name: str) -> bool:
    """Whether forward does nothing with a parameter but to put it on ctx, as the factor of a gradient is."""
    for tree in parsed(subject.function.implementation.forward):
        kept = {
            part
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and all(isinstance(of, (ast.Attribute, ast.Tuple)) for of in node.targets)
            for part in (node.value.elts if isinstance(node.value, ast.Tuple) else [node.value])
        }
        read = {of for of in ast.walk(tree) if isinstance(of, ast.Name) and of.id == name}
        return not any(isinstance(of.ctx, ast.Load) and of not in kept for of in read)
    return False
