"""Gradients away from the arguments at hand: at 0, at repeated entries, far out, close in, around every threshold.

A derivative may be right where it was tried and nowhere else: a product's written as y / x, a branch for x > 3, a clamp
in backward that forward does not have. Other arguments are made of those at hand; where a Function is not defined, or
has no slope, nothing can be held against it, and what was not reached is said.
"""

import ast
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from . import source_code as places
from .directions import MANY, pair_along
from .evidence import Tolerance, distinct_texts, same
from .function_under_test import Arguments, CallError, Composite, clone, nth
from .slopes import slopes
from .subject import Observation, Subject, random_like

WIDTHS: Final = (5.0, 45.0)
"""Up to which numbers are spread: sigmoid bends within the first; within the second exp does not overflow."""
FAR: Final = 1000.0
CLOSE: Final = 0.01
GUARD: Final = 1e-5
"""A smaller number with which the code compares keeps it from a division by 0, and is no threshold."""
MUCH: Final = 100_000
"""Entries of all variables."""
ROUGH: Final = Tolerance(1e-3)
"""Close to the end of an interval, where what keeps log from 0, such as log(p + 1e-8), may be seen."""


def _probable(values: Tensor) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _positive_definite(values: Tensor) -> bool:
    """Whether a tensor holds matrices, of two rows at least, that are symmetric and positive definite."""
    if values.dim() < 2 or values.shape[-1] != values.shape[-2] or values.shape[-1] < 2:
        return False
    return torch.equal(values, values.mT) and not bool(torch.linalg.cholesky_ex(values).info.any())


KINDS: Final[dict[str, Callable[[Tensor], bool]]] = {
    "a probability": _probable,
    "positive definite": _positive_definite,
}
"""What the values that were given may be always: out there a Function may give anything."""


class Other(NamedTuple):
    """Other values of a variable."""

    words: str
    """Where that is, without the variable's name."""
    values: Tensor
    tolerance: Tolerance | None = None
    """None for the usual one."""


def elsewhere(subject: Subject) -> Iterator[Observation]:
    """Value and gradients are right for other arguments too."""
    if subject.dtype != torch.float64:
        return
    optional = subject.definition.optional if subject.definition is not None else ()
    limits = thresholds(subject)
    if large := is_large(subject):
        yield Observation("not-reached", "the inputs are large: of other values every second was tried", note=True)
    for place in subject.variables:
        if place in optional:
            continue
        variable = subject.arguments[place]
        kinds = {words: holds for words, holds in KINDS.items() if subject.fixed_inputs and holds(variable)}
        excused: list[Observation] = []
        noted: list[Observation] = []
        small = [abs(of) for of in limits if GUARD < abs(of) < 1] if subject.definition is None else []
        for other in islice(_others(variable, limits, small), 0, None, 2 if large else 1):
            lost = [words for words, holds in kinds.items() if not holds(other.values)]
            if lost and excused:
                continue
            arguments = (*subject.arguments[:place], other.values, *subject.arguments[place + 1 :])
            words = other.words.format(subject.name(place))
            found = list(compared(replace(subject, arguments=arguments), words, other.tolerance, first=place))
            if not found:
                continue
            if all(of.note for of in found):
                noted = noted or found
                continue
            excuse = f"that is no fault if it is always {lost[0]}" if lost else _warning(subject, arguments)
            if not excuse:
                yield from found
                return
            excused = [replace(of, words=f"{of.words}; {excuse}", note=True) for of in found]
        yield from excused or noted


def is_large(subject: Subject) -> bool:
    """Whether each call takes long, so that fewer are made."""
    entries: int = sum(subject.arguments[place].numel() for place in subject.variables)
    return entries > MUCH


def _warning(subject: Subject, arguments: Arguments) -> str:
    """Return what forward warns of with other arguments, and not with those at hand; empty for nothing.

    An iteration that has not converged says so: what it returns then is no value of the function.
    """
    said: list[str] = []
    for given in (subject.arguments, arguments):
        copies = tuple(clone(of) if isinstance(of, Tensor) else of for of in given)
        with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            subject.function.apply(copies)
        said.append(" ".join(str(caught[0].message).split())[:100] if caught else "")
    return f"forward warns there: {said[1]}" if said[1] and not said[0] else ""


def _others(variable: Tensor, limits: Sequence[float], small: Sequence[float]) -> Iterator[Other]:
    """Yield other values of a variable: around some limits, and far below those that are small."""
    if not variable.numel():
        return
    third = torch.arange(variable.numel()).reshape(variable.shape) % 3 == 0
    yield Other("where entries of {} are 0", torch.where(third, 0.0, variable))
    yield Other("where entries of {} are equal", torch.where(third, variable.flatten()[0], variable))
    signs = variable.sign()
    one_sign = bool((signs == signs.flatten()[0]).all())
    for width in WIDTHS:
        spread = _spread(variable, width)
        yield Other(f"where {{}} is spread up to {width:g}", signs * spread)
        if one_sign:
            yield Other("where {} has either sign", (1 - 2 * third.double()) * spread)
    yield Other(f"where {{}} is {FAR:g} times as large", FAR * variable)
    yield Other(f"where {{}} is {1 / CLOSE:g} times as small", CLOSE * variable, ROUGH)
    if bool((variable.abs() < 1).all()):
        yield Other("where {} is close to 1", signs * (1 - CLOSE * variable.abs()), ROUGH)
    if variable.dim():
        row = torch.arange(len(variable)).reshape(-1, *[1] * (variable.dim() - 1)) == 0
        yield Other("where a row of {} is 0", torch.where(row, 0.0, variable))
    for threshold in small:
        yield Other(f"where {{}} is smaller than {threshold:g}", 0.1 * threshold * variable, ROUGH)
    for threshold in limits:
        near = threshold + 0.3 * random_like(variable, 5)
        yield Other(f"where {{}} lies around {threshold:g}, with which the code compares", near)


def _spread(variable: Tensor, width: float) -> Tensor:
    """Return positive numbers evenly spread up to a width, in no order."""
    count = variable.numel()
    order = torch.randperm(count, generator=torch.Generator().manual_seed(4)).reshape(variable.shape)
    return width * (order.double() + 0.5) / count


def compared(
    subject: Subject, words: str, tolerance: Tolerance | None = None, first: int | None = None
) -> Iterator[Observation]:
    """Yield what is wrong for arguments that may lie outside what a Function is made for: an exception is no fault.

    Args:
        subject: with these arguments.
        words: where they are.
        tolerance: None for the usual one.
        first: place of the variable that is to be suspected first.
    """
    if tolerance is not None:
        tolerance = tolerance.at_least(subject.tolerance.relative)
    try:
        call = subject.function(subject.arguments, subject.variables)
        finite = bool(torch.isfinite(call.output).all())
        if subject.definition is not None:
            expected = subject.definition.reference(*subject.arguments).detach()
            if not torch.isfinite(expected).all() or expected.shape != call.output.shape:
                return
            if not finite and subject.operation.exact_extremes:
                yield Observation("forward-unstable", f"forward is not finite {words}, and the definition is")
                return
            if not same(call.output.detach(), expected, tolerance or subject.tolerance):
                yield Observation("forward-value", f"the output is not what the definition gives {words}")
                return
        if not finite or call.node is None:
            return
        returned = call.backward(torch.ones_like(call.output))
        grads = {place: nth(returned, place) for place in subject.variables}
        shapes = {place: subject.arguments[place].shape for place in subject.variables}
        for place, grad in grads.items():
            if isinstance(grad, Tensor) and grad.shape != shapes[place]:
                yield Observation(
                    "grad-shape", f"has, {words}, shape {tuple(grad.shape)}, and it {tuple(shapes[place])}", place
                )
                return
        known = [place for place, grad in grads.items() if isinstance(grad, Tensor) and grad.shape == shapes[place]]
        grad_output = random_like(call.output, 1)
        pair = pair_along(subject, known, grad_output, tolerance=tolerance)
        if pair.left_out:  # no slope: a gradient there is a matter of taste, but a number
            bad = [place for place in known if grads[place].isnan().any() and subject.definition is None]
            yield from (
                Observation("kink", f"is nan {words}, and the output is finite there", of, note=True) for of in bad[:1]
            )
            return
        if pair.agrees:
            return
        for place in sorted(known, key=lambda place: place != first):
            alone = pair_along(subject, [place], grad_output, tolerance=tolerance)
            if not alone.left_out and not alone.agrees:
                given, slope = distinct_texts(alone.given, alone.measured)
                worst = f"Along a random direction backward gives {given}, the slope is {slope}."
                worst = _worst(subject, place, grads[place]) or worst
                yield Observation("grad-value", f"is not the slope of the output {words}", place, worst)
                return
    except (CallError, RuntimeError, ValueError, IndexError, ArithmeticError):
        return  # outside what it is made for


def _worst(subject: Subject, place: int, actual: Tensor) -> str:
    """Return the entry of a gradient, for a grad_output of ones, that is most wrong, in a sentence; empty for many."""
    if actual.numel() > MANY:
        return ""
    found = slopes(subject.differentiable, subject.arguments, place)
    expected = found.jacobian.sum(0).reshape(found.shape)
    off = torch.where(found.smooth, (actual - expected).abs().nan_to_num(torch.inf), 0.0).flatten()
    worst = int(off.argmax())
    if not off[worst] > 1e-6 * expected.abs().max():
        return ""
    name, number = subject.name(place), float(subject.arguments[place].flatten()[worst])
    given, slope = distinct_texts(float(actual.flatten()[worst]), float(expected.flatten()[worst]))
    return f"Where {name} is {number:.4g}, backward gives {given}, and the slope of the output is {slope}."


def thresholds(subject: Subject) -> list[float]:
    """Return the numbers with which the code of a Function compares its tensors, defaults among them."""
    trees = code_of(subject)
    defaults = {of.name: of.default for of in subject.function.parameters} if trees else {}
    found: dict[float, None] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and "clamp" in node.func.attr:
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        for part in parts:
            number = _real(defaults.get(part.id)) if isinstance(part, ast.Name) else _number(part)
            if number is not None and number != 0:
                found[number] = None
    return list(found)[:8]


def whole_numbers(subject: Subject) -> list[int]:
    """Return the whole numbers above 1 in the code of a Function, those with which it compares first."""
    constants = (node.value for tree in code_of(subject) for node in ast.walk(tree) if isinstance(node, ast.Constant))
    numbers = [*thresholds(subject), *(of for of in map(_real, constants) if of is not None)]
    return list(dict.fromkeys(int(of) for of in numbers if of.is_integer() and of > 1))


def code_of(subject: Subject) -> list[ast.Module]:
    """Return the syntax trees of a Function's class, or of its methods; none where there is no source."""
    if isinstance(subject.function, Composite):
        return []
    function = subject.function.implementation
    return parsed(function) or [
        tree for method in (function.forward, function.setup_context, function.backward) for tree in parsed(method)
    ]


def parsed(code: Any) -> list[ast.Module]:
    """Return the syntax tree of a class or a method, in a list; none where there is no source."""
    try:
        return [places.parsed(textwrap.dedent(inspect.getsource(code)))]
    except (OSError, TypeError, SyntaxError):
        return []


def _number(part: ast.expr) -> float | None:
    try:
        return _real(ast.literal_eval(part))
    except ValueError:
        return None


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
