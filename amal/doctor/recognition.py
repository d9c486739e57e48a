"""Recognise the definition that the values of a Function follow. Only then can a derivative be right or wrong."""

import linecache
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .argument_order import Arrangement, Arranger
from .calls import Arguments, CallError, nth
from .definitions import Definition, Draw
from .evidence import factor_text, same, worst_entry
from .function_under_test import FunctionUnderTest
from .source_code import class_around, code_of, first_line
from .subject import Observation, Subject, cast, differentiate, random_like, variables_of

SEED = 0


@dataclass(frozen=True)
class Recognition:
    """The definition by which a Function is examined, and its arguments."""

    definition: Definition | None
    """The one that the values follow; None if none."""
    definitions: tuple[Definition, ...]
    """All candidates, with their arguments in the places that forward has for them."""
    arguments: Arguments
    dtype: torch.dtype
    """A dtype of the arguments in which forward runs."""
    constants: tuple[int, ...]
    """Places of arguments that are no inputs of the operation."""


def recognise(function: FunctionUnderTest, operation: str, definitions: Sequence[Definition]) -> Recognition:
    """Find the definition that the values of a Function follow, and how it takes the arguments.

    The arguments are tried in the order of the definition, then as the names of forward's parameters
    say, then in any order that is possible. If values cannot tell several definitions apart, the one
    with the gradients that backward gives is chosen.

    Raises:
        CallError: forward runs with the arguments of no definition.
        Unexaminable: nothing says which arguments it takes.
    """
    trials = Trials(function)
    roles = {role for definition in definitions for role in definition.roles}
    arranger = Arranger(function, operation, roles)
    by_inputs = attrgetter("inputs")
    for _, group in groupby(sorted(definitions, key=by_inputs, reverse=True), by_inputs):
        alike = list(group)
        plain = [each for each in map(arranger.same_order, alike) if each is not None]
        longest_first = sorted(alike, key=lambda definition: len(definition.roles), reverse=True)
        others = (each for definition in longest_first for each in arranger.arrangements(definition))
        for candidates in (
            [each for each in plain if each.by_name],
            others,
            [each for each in plain if not each.by_name],
        ):
            if fit := trials.first_fit(candidates):
                return fit
        if any(run.right_shape and run.candidate.by_name and run.candidate.sure for run in trials.runs):
            break  # it takes these inputs, so its value with fewer of them says nothing
    return trials.nearest(operation)


class Unexaminable(Exception):
    """Nothing says how to call the Function."""


class Run(NamedTuple):
    """A call that did not give the value of the definition."""

    right_shape: bool
    candidate: Arrangement
    arguments: Arguments
    dtype: torch.dtype


@dataclass
class Trials:
    """Calls of a Function with the arguments of definitions."""

    function: FunctionUnderTest
    errors: list[tuple[Arrangement, CallError]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def first_fit(self, candidates: Iterable[Arrangement]) -> Recognition | None:
        """Return the first definition that the values follow, or a twin of it that backward fits better."""
        fits: list[tuple[Recognition, Definition]] = []
        for candidate in candidates:
            if fits and not (candidate.definition.hint or fits[0][1].hint):
                continue
            fit = self._try(candidate)
            if fit is not None:
                fits.append((fit, candidate.definition))
        if len(fits) > 1:
            text = class_text(self.function.implementation)
            fits.sort(key=lambda fit: (*_agreement(self.function, *fit), _hint(fit[1], text)), reverse=True)
        return fits[0][0] if fits else None

    def _try(self, candidate: Arrangement) -> Recognition | None:
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
                exact = same(actual, expected, 1e-10)
                precision = actual.dtype if exact else torch.float32
                copies = cast(arguments, precision)
                return Recognition(definition, (definition,), copies, precision, definition.constants)
            right_shape = actual.shape == expected.shape
            self.runs.append(Run(right_shape, candidate, cast(arguments, dtype), dtype))
            return None
        return None

    def nearest(self, operation: str) -> Recognition:
        """Return the nearest definition, for a Function that gives the value of none."""
        plain = [run for run in self.runs if not run.candidate.definition.order]
        runs = [run for run in self.runs if run.candidate.by_name] or plain
        sure = [run for run in runs if run.candidate.sure]
        if sure:
            best = next((run for run in sure if run.right_shape), sure[0])
            definitions = tuple(run.candidate.definition for run in sure)
            constants = best.candidate.definition.constants
            return Recognition(None, definitions, best.arguments, best.dtype, constants)
        errors = [
            (candidate.definition, error)
            for candidate, error in self.errors
            if candidate.sure and (candidate.by_name or not candidate.definition.order)
        ]
        if errors and not runs:
            raise next((error for definition, error in errors if definition.order), errors[0][1])
        for _, error in self.errors:
            if isinstance(error.cause, NotImplementedError):
                raise error
        why = "and nothing says what to pass for these"
        if runs:
            says = runs[0].candidate.definition.says
            why = f"which gives the value of no definition that is known: {says}"
        elif self.errors:
            why = f"and with {self.errors[0][0].definition.says} {self.errors[0][1]}"
        names = ", ".join(self.function.names)
        raise Unexaminable(f"could not be examined as {operation}: forward takes ({names}), {why}")


def _agreement(function: FunctionUnderTest, fit: Recognition, definition: Definition) -> tuple[int, int]:
    """Return how many gradients have the value of a definition, and how many the shape of their input."""
    variables = variables_of(fit.arguments, fit.constants)
    try:
        call = function(fit.arguments, variables)
        grad_output = random_like(call.output, 1)
        actual = call.backward(grad_output)
        expected = differentiate(definition, fit.arguments, variables, grad_output)[1]
    except CallError:
        return -1, -1
    pairs = [(nth(actual, place), nth(expected, place)) for place in variables]
    tensors = [(one, other) for one, other in pairs if isinstance(one, Tensor) and isinstance(other, Tensor)]
    tolerance = 1e-6 if fit.dtype == torch.float64 else 3e-3
    right_shapes = sum(one.shape == other.shape for one, other in tensors)
    return sum(same(one, other, tolerance) for one, other in tensors), right_shapes


def _hint(definition: Definition, text: str) -> int:
    """Return whether the text of a class speaks for a definition (1), against it (-1), or neither (0)."""
    return 0 if not definition.hint else 1 if re.search(definition.hint, text) else -1


def class_text(function: type[Any]) -> str:
    """Return the source of a class, and its docstrings, which it has even without a source."""
    methods = (function, function.forward, function.backward)
    return "\n".join([_source(function), *(method.__doc__ or "" for method in methods)])


def _source(function: type[Any]) -> str:
    """Return the source of a class and the comment above it, from the file or cell of its forward.

    The file of the module would not do: a notebook and a prompt have none, and it does not hold what
    `exec` defines. Empty if there is no source.
    """
    code = code_of(function, "forward")
    node = class_around(code, function.__name__) if code else None
    if code is None or node is None:
        return ""
    lines, first = linecache.getlines(code.co_filename), first_line(node) - 1
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "".join(lines[first : node.end_lineno])


def check_value(subject: Subject) -> Iterator[Observation]:
    """Yield that forward does not compute the operation, if it does not."""
    actual = subject.function.value(subject.arguments)
    if not same(subject.function.value(subject.arguments), actual) and torch.isfinite(actual).all():
        words = "forward gives another value at each call, for the same inputs"
        yield Observation("not-examined", words)
        return
    nearest = None
    definitions = [subject.definition] if subject.definition else subject.operation.definitions
    for definition in definitions:
        arguments = subject.arguments
        if not subject.fixed_inputs:
            arguments = cast(definition.draw(Draw(SEED)), subject.dtype)
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
    name, worst = f"the definition ({definition.says})", ""
    if actual.shape != expected.shape:
        words = f"returns shape {tuple(actual.shape)}, and {name} has {tuple(expected.shape)}"
    elif not torch.isfinite(actual).all():
        words = f"is not finite for ordinary inputs; {name} is"
    else:
        ratio = float((actual * expected).sum() / (expected * expected).sum())
        if same(actual, ratio * expected) and ratio:
            words = f"gives {factor_text(ratio)} times the value of {name}"
        else:
            words = f"does not give the value of {name}"
            worst = worst_entry(actual, expected, ("forward gives", "the definition"))
    return Observation("forward-value", f"forward {words}", worst=worst)


def fits_other_definition(subject: Subject) -> bool:
    """Whether backward is the derivative of a definition, so that only the value is wrong."""
    try:
        call = subject.function(subject.arguments, subject.variables)
        grad_output = random_like(call.output, 1)
        actual = call.backward(grad_output)
    except (CallError, AttributeError):
        return False
    for definition in subject.operation.definitions:
        try:
            output, expected = differentiate(definition, subject.arguments, subject.variables, grad_output)
        except (AttributeError, RuntimeError, TypeError, ValueError, IndexError):
            continue
        count = min(len(actual), len(expected))
        pairs = [(actual[place], expected[place]) for place in subject.variables if place < count]
        if (
            output.shape == call.output.shape
            and pairs
            and all(
                isinstance(one, Tensor) and isinstance(other, Tensor) and same(one, other, subject.tolerance)
                for one, other in pairs
            )
        ):
            return True
    return False
