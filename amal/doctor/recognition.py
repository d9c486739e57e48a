"""Which definition do the values follow? Only then can a derivative be right or wrong."""

import linecache
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from .argument_order import Arranged, Arranger
from .definitions import Definition, Draw
from .evidence import factor_text, same, worst_entry
from .function_under_test import Arguments, CallError, FunctionUnderTest, nth
from .places import class_around, code_of, first_line
from .subject import Observation, Subject, cast, differentiate, random_like, variables_of

SEED = 0


@dataclass(frozen=True)
class Recognised:
    """What a Function is to be examined as, and with."""

    definition: Definition | None
    """That its values follow; None if none."""
    definitions: tuple[Definition, ...]
    """All that it could follow, with their arguments in the places that forward has for them."""
    arguments: Arguments
    dtype: torch.dtype
    """Of the arguments: one that runs."""
    constants: tuple[int, ...]
    """Places of arguments that are no inputs of the operation."""


def recognised(function: FunctionUnderTest, operation: str, definitions: Sequence[Definition]) -> Recognised:
    """Find the definition that the values of a Function follow, and how it takes the arguments.

    They are tried as they come, then as the names of forward's parameters say, or as they could be meant; of several
    definitions that the values cannot tell apart, that is taken whose gradients backward gives.

    Raises:
        Raised: forward runs with the arguments of no definition.
        Unexaminable: it cannot be known which arguments it takes.
    """
    trials = Trials(function)
    arranger = Arranger(function, operation, {role for definition in definitions for role in definition.roles})
    by_inputs = attrgetter("inputs")
    for _, group in groupby(sorted(definitions, key=by_inputs, reverse=True), by_inputs):
        alike = list(group)
        as_they_come = [of for of in map(arranger.as_they_come, alike) if of is not None]
        most_first = sorted(alike, key=lambda of: len(of.roles), reverse=True)
        arranged = (of for definition in most_first for of in arranger.arrangements(definition))
        for candidates in (
            [of for of in as_they_come if of.told],
            arranged,
            [of for of in as_they_come if not of.told],
        ):
            if found := trials.fitting(candidates):
                return found
        if any(shape and of.told and of.sure for shape, of, *_ in trials.runs):
            break  # it takes these inputs, and what it gives without some of them says nothing
    return trials.nearest(operation)


class Unexaminable(Exception):
    """It cannot be known how the Function is to be called."""


@dataclass
class Trials:
    """Calls of a Function with the arguments of definitions."""

    function: FunctionUnderTest
    errors: list[tuple[Arranged, CallError]] = field(default_factory=list)
    runs: list[tuple[bool, Arranged, Arguments, torch.dtype]] = field(default_factory=list)
    """Of those that did not give the value: whether the shape was right."""

    def fitting(self, candidates: Iterable[Arranged]) -> Recognised | None:
        """Return the first of some definitions that the values follow, or that twin of it that backward goes with."""
        fits: list[Recognised] = []
        for candidate in candidates:
            if fits and not (candidate.definition.hint or fits[0].definition.hint):  # type: ignore[union-attr]
                continue
            fit = self._fit(candidate)
            if fit is not None:
                fits.append(fit)
        if len(fits) > 1:
            text = class_text(self.function.implementation)
            fits.sort(key=lambda fit: (*_agreement(self.function, fit), _hint(fit, text)), reverse=True)
        return fits[0] if fits else None

    def _fit(self, candidate: Arranged) -> Recognised | None:
        """Call forward with the arguments of a definition; return it if it gives the value."""
        definition = candidate.definition
        arguments = definition.draw(Draw(SEED))
        expected = definition.reference(*arguments)
        for dtype in (torch.float64, torch.float32):
            try:
                actual = self.function.value(cast(arguments, dtype))
            except CallError as error:
                self.errors.append((candidate, error))
                continue
            if same(actual, expected, 1e-6 if actual.dtype == torch.float64 else 1e-4):
                # in float64, with the errors of float32: it was computed in float32 in between
                rounded = not same(actual, expected, 1e-10)
                precision = torch.float32 if rounded else actual.dtype
                given = cast(arguments, precision)
                return Recognised(definition, (definition,), given, precision, definition.constants)
            self.runs.append((actual.shape == expected.shape, candidate, cast(arguments, dtype), dtype))
            return None
        return None

    def nearest(self, operation: str) -> Recognised:
        """Return what is to be said of a Function that gives the value of no definition."""
        as_they_come = [run for run in self.runs if not run[1].definition.order]
        runs = [run for run in self.runs if run[1].told] or as_they_come
        sure = [run for run in runs if run[1].sure]
        if sure:
            _, chosen, arguments, dtype = next((run for run in sure if run[0]), sure[0])
            tried = tuple(run[1].definition for run in sure)
            return Recognised(None, tried, arguments, dtype, chosen.definition.constants)
        told = [(of, error) for of, error in self.errors if of.sure and (of.told or not of.definition.order)]
        if told and not runs:
            raise next((error for of, error in told if of.definition.order), told[0][1])
        unwritten = [error for _, error in self.errors if isinstance(error.cause, NotImplementedError)]
        if unwritten:
            raise unwritten[0]
        why = "and what is to be passed for these is not known"
        if runs:
            why = f"which gives the value of no definition that is known: {runs[0][1].definition.says}"
        elif self.errors:
            why = f"and with {self.errors[0][0].definition.says} {self.errors[0][1]}"
        raise Unexaminable(
            f"could not be examined as {operation}: forward takes ({', '.join(self.function.names)}), {why}"
        )


def _agreement(function: FunctionUnderTest, candidate: Recognised) -> tuple[int, int]:
    """Return how many gradients have the value that a definition says, and how many the shape of their input."""
    definition, arguments = candidate.definition, candidate.arguments
    assert definition is not None
    variables = variables_of(arguments, candidate.constants)
    try:
        call = function(arguments, variables)
        grad_output = random_like(call.output, 1)
        returned = call.backward(grad_output)
        wanted = differentiate(definition, arguments, variables, grad_output)[1]
    except CallError:
        return -1, -1
    pairs = [(nth(returned, place), nth(wanted, place)) for place in variables]
    there = [(one, other) for one, other in pairs if isinstance(one, Tensor) and isinstance(other, Tensor)]
    tolerance = 1e-6 if candidate.dtype == torch.float64 else 3e-3
    shaped = sum(one.shape == other.shape for one, other in there)
    return sum(same(one, other, tolerance) for one, other in there), shaped


def _hint(candidate: Recognised, text: str) -> int:
    """Return whether the text of the class speaks for a definition (1), against it (-1), or says nothing (0)."""
    assert candidate.definition is not None
    hint = candidate.definition.hint
    return (1 if re.search(hint, text) else -1) if hint else 0


def class_text(function: type[Any]) -> str:
    """Return the source of a class and its docstrings, which are at hand where the source is not."""
    methods = (function, function.forward, function.backward)
    return "\n".join([_source(function), *(method.__doc__ or "" for method in methods)])


def _source(function: type[Any]) -> str:
    """Return the source of a class and the comment above it, from the file or cell that its forward was read from.

    The module's own file is not asked for: a notebook and a prompt have none, and what `exec` made is not in it.
    Nothing where only the docstrings are known.
    """
    code = code_of(function, "forward")
    node = class_around(code, function.__name__) if code else None
    if code is None or node is None:
        return ""
    lines, first = linecache.getlines(code.co_filename), first_line(node) - 1
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "".join(lines[first : node.end_lineno])


def of_value(subject: Subject) -> Iterator[Observation]:
    """Yield that forward does not compute the operation, if it does not."""
    actual = subject.function.value(subject.arguments)
    if not same(subject.function.value(subject.arguments), actual) and torch.isfinite(actual).all():
        yield Observation("not-examined", "forward gives another value at each call, for the same inputs")
        return
    nearest = None
    for definition in [subject.definition] if subject.definition else subject.operation.definitions:
        arguments = subject.arguments if subject.fixed_inputs else cast(definition.draw(Draw(SEED)), subject.dtype)
        if len(arguments) != len(subject.arguments):
            continue
        try:
            actual = subject.function.value(arguments).double()
            expected = definition.reference(*cast(arguments, torch.float64))
        except (CallError, RuntimeError):
            continue
        if same(actual, expected, subject.tolerance.at_least(1e-6)):
            return
        if nearest is None or (nearest[0].shape != nearest[1].shape and actual.shape == expected.shape):
            nearest = actual, expected, definition
    if nearest is not None:
        yield _difference(*nearest)


def _difference(actual: Tensor, expected: Tensor, definition: Definition) -> Observation:
    says = f"({definition.says})"
    if actual.shape != expected.shape:
        shapes = f"{tuple(actual.shape)}, and the definition {says} has {tuple(expected.shape)}"
        return Observation("forward-value", f"forward returns shape {shapes}")
    if not torch.isfinite(actual).all():
        return Observation("forward-value", f"forward is not finite for ordinary inputs; the definition {says} is")
    ratio = float((actual * expected).sum() / (expected * expected).sum())
    if same(actual, ratio * expected) and ratio:
        return Observation(
            "forward-value", f"forward gives {factor_text(ratio)} times the value of the definition {says}"
        )
    worst = worst_entry(actual, expected, ("forward gives", "the definition"))
    return Observation("forward-value", f"forward does not give the value of the definition {says}", worst=worst)


def right_for_another(subject: Subject) -> bool:
    """Whether backward is the derivative of a definition, so that only the value is wrong."""
    try:
        call = subject.function(subject.arguments, subject.variables)
        grad_output = random_like(call.output, 1)
        returned = call.backward(grad_output)
        for definition in subject.operation.definitions:
            try:
                output, wanted = differentiate(definition, subject.arguments, subject.variables, grad_output)
            except (RuntimeError, TypeError, ValueError, IndexError):
                continue
            pairs = [(returned[p], wanted[p]) for p in subject.variables if p < min(len(returned), len(wanted))]
            if (
                output.shape == call.output.shape
                and pairs
                and all(
                    isinstance(a, Tensor) and isinstance(b, Tensor) and same(a, b, subject.tolerance) for a, b in pairs
                )
            ):
                return True
    except (CallError, AttributeError):
        pass
    return False
