"""Other values of the inputs: 0, repeated entries, large and small ones, and every threshold in the code.

A derivative may be right where it was tried and nowhere else: a product's written as y / x, a branch
for x > 3, a clamp in backward that forward does not have. Other values are made of those at hand; where
a Function is not defined, or has no slope, nothing can be held against it.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, NamedTuple

import torch
from torch import Tensor

from .calls import Arguments, CallError, clone, map_tensors, nth, substitute
from .code_constants import thresholds
from .comparison import compare_with_slope
from .evidence import Tolerance, same
from .subject import Observation, Subject, random_like

WIDTHS: Final = (5.0, 45.0)
"""Up to which numbers are spread: sigmoid bends within the first; within the second exp does not overflow."""
FAR: Final = 1000.0
CLOSE: Final = 0.01
GUARD: Final = 1e-5
"""A smaller number with which the code compares keeps it from a division by 0, and is no threshold."""
ROUGH: Final = Tolerance(1e-3)
"""Close to the end of an interval, where what keeps log from 0, such as log(p + 1e-8), may be seen."""


def _is_probability(values: Tensor) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _is_positive_definite(values: Tensor) -> bool:
    """Whether a tensor holds matrices, of two rows at least, that are symmetric and positive definite."""
    if values.dim() < 2 or values.shape[-1] != values.shape[-2] or values.shape[-1] < 2:
        return False
    return torch.equal(values, values.mT) and not bool(torch.linalg.cholesky_ex(values).info.any())


KINDS: Final[dict[str, Callable[[Tensor], bool]]] = {
    "a probability": _is_probability,
    "positive definite": _is_positive_definite,
}
"""What the user's values may be always: with others a Function may give anything."""


class Other(NamedTuple):
    """Other values of a variable."""

    words: str
    """Where that is, without the variable's name."""
    values: Tensor
    tolerance: Tolerance | None = None
    """None for the usual one."""


def check_extremes(subject: Subject) -> Iterator[Observation]:
    """Large arguments give ordinary numbers where the definition does."""
    operation, definition = subject.operation, subject.definition
    where = f"for {operation.extremes_are}"
    for first in operation.extremes:
        arguments = subject.with_first(first)
        if arguments is None or definition is None:
            continue
        try:
            call = subject.function(arguments, subject.variables)
            gradients = call.backward(torch.ones_like(call.output))
        except CallError as error:
            yield Observation("raises", f"{where}: {error}", method=error.method)
            return
        expected, value = definition.reference(*arguments), call.output.detach()
        exact = operation.exact_extremes
        finite = torch.isfinite(expected) if exact else torch.ones_like(expected).bool()
        if not torch.isfinite(value[finite]).all():
            yield Observation("forward-unstable", f"forward gives {_not_finite(value)} {where}")
            return
        if exact and not same(value[finite], expected[finite], subject.tolerance.at_least(1e-6)):
            yield Observation("forward-unstable", f"forward is finite and wrong {where}")
            return
        place = definition.place(0)
        grad = nth(gradients, place)
        if place in subject.variables and isinstance(grad, Tensor) and not torch.isfinite(grad).all():
            yield Observation("forward-unstable", f"is {_not_finite(grad)} {where}", place, method="backward")
            return


def _not_finite(values: Tensor) -> str:
    return f"{float(values[~torch.isfinite(values)][0])}"


def check_other_inputs(subject: Subject) -> Iterator[Observation]:
    """Value and gradients are right for other values of the inputs too."""
    if subject.dtype != torch.float64:
        return
    optional = subject.definition.optional if subject.definition is not None else ()
    limits = thresholds(subject.function)
    if subject.is_large:
        yield Observation("not-reached", "the inputs are large: of other values every second was tried", note=True)
    for place in subject.variables:
        if place in optional:
            continue
        variable = subject.arguments[place]
        kinds = {words: holds for words, holds in KINDS.items() if subject.fixed_inputs and holds(variable)}
        small = [abs(limit) for limit in limits if GUARD < abs(limit) < 1] if subject.definition is None else []
        excuses: list[Observation] = []
        notes: list[Observation] = []
        for other in islice(_others(variable, limits, small), 0, None, 2 if subject.is_large else 1):
            exceptions = [words for words, holds in kinds.items() if not holds(other.values)]
            if exceptions and excuses:
                continue
            arguments = substitute(subject.arguments, place, other.values)
            words = other.words.format(subject.name(place))
            elsewhere = replace(subject, arguments=arguments)
            observations = list(compare_with_slope(elsewhere, words, other.tolerance, first=place))
            if all(each.note for each in observations):
                notes = notes or observations
                continue
            excuse = f"that is no fault if it is always {exceptions[0]}" if exceptions else _warning(subject, arguments)
            if not excuse:
                yield from observations
                return
            excuses = [replace(each, words=f"{each.words}; {excuse}", note=True) for each in observations]
        yield from excuses or notes


def _warning(subject: Subject, arguments: Arguments) -> str:
    """Return what forward warns of with other arguments, and not with those at hand; empty for nothing.

    An iteration that has not converged says so: what it returns then is no value of the function.
    """
    texts: list[str] = []
    for inputs in (subject.arguments, arguments):
        with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            subject.function.apply(map_tensors(clone, inputs))
        texts.append(" ".join(str(caught[0].message).split())[:100] if caught else "")
    return f"forward warns there: {texts[1]}" if texts[1] and not texts[0] else ""


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
    for limit in small:
        yield Other(f"where {{}} is smaller than {limit:g}", 0.1 * limit * variable, ROUGH)
    for limit in limits:
        near = limit + 0.3 * random_like(variable, 5)
        yield Other(f"where {{}} lies around {limit:g}, with which the code compares", near)


def _spread(variable: Tensor, width: float) -> Tensor:
    """Return positive numbers evenly spread up to a width, in no order."""
    count = variable.numel()
    order = torch.randperm(count, generator=torch.Generator().manual_seed(4)).reshape(variable.shape)
    return width * (order.double() + 0.5) / count
