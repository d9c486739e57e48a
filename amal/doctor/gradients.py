"""Compare what backward returns with the slope of the output, and explain where they differ."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final

import torch
from torch import Tensor

from .calls import Call, CallError, nth, substitute
from .definitions import Draw
from .directions import MANY, depends, pairs_along
from .evidence import Evidence, Tolerance, factor_text, same, worst_entry
from .function_under_test import dtype_name
from .hypotheses import explain_shape, explain_value
from .linearity import explain_use_of_grad_output, is_linear
from .recognition import SEED
from .slopes import Slopes, slope, slopes
from .subject import Observation, Subject, cast, differentiate, random_like

ROUGH = 1e-3
"""Share by which two numbers along a direction are apart at least that are not of the same gradient."""
DATA: Final = (
    *("target", "targets", "label", "labels", "y_true", "gt", "ground_truth"),
    *("mask", "masks", "cos", "sin", "freqs", "index", "indices", "idx"),
)
"""Names of what is data, and not learnt."""


def check_gradients(subject: Subject) -> Iterator[Observation]:
    """Compare each gradient with the slope of the output.

    Where backward fails, because what it multiplies does not fit, sizes that are all alike show why.

    Raises:
        CallError: backward raised an exception, and nothing else can be said.
    """
    try:
        observations = list(_compare(subject))
    except CallError as error:
        observations = [] if isinstance(error.cause, NotImplementedError) else _with_sizes_alike(subject)
        if error.method != "backward" or not observations:
            raise
        words = f"{error}; what follows is about sizes that are all alike"
        yield Observation("raises", words, method=error.method)
    yield from observations


def _with_sizes_alike(subject: Subject) -> list[Observation]:
    if subject.definition is None or subject.fixed_inputs:
        return []
    square = cast(subject.definition.draw(Draw(SEED, 4, square=True)), subject.dtype)
    try:
        return list(_compare(replace(subject, arguments=square)))
    except CallError:
        return []


def _compare(subject: Subject) -> Iterator[Observation]:
    call = subject.function(subject.arguments, subject.variables)
    if call.node is None:
        yield Observation("grad-missing", "the output does not need a gradient: it is cut off from the inputs")
        return
    columns = LazySlopes(subject)
    grad_output = random_like(call.output, 1)
    gradients, count = call.backward(grad_output), len(subject.arguments)
    if gradients == (None,) and depends(subject, subject.variables[0]):
        yield Observation("grad-missing", "backward returns nothing: a `return` is missing, or returns None")
        return
    if len(gradients) < count or any(extra is not None for extra in gradients[count:]):
        words = f"backward returns {len(gradients)} gradients, and forward was given {count} inputs"
        yield Observation("grad-count", words)
    for place in subject.variables[: len(gradients)]:
        yield from _compare_one(subject, call, place, columns, grad_output, gradients[place])


class LazySlopes(Mapping[int, Slopes]):
    """The slopes of the output by each variable that is not too large, measured when they are needed."""

    def __init__(self, subject: Subject) -> None:
        rows = subject.function(subject.arguments).output.numel()
        sizes = {place: subject.arguments[place].numel() for place in subject.variables}
        self.places = [place for place, size in sizes.items() if size <= MANY or (size <= 4096 and size * rows <= 4e6)]
        self.measure = cache(partial(_measure, subject))

    def __getitem__(self, place: int) -> Slopes:
        if place not in self.places:
            raise KeyError(place)
        return self.measure(place)

    def __contains__(self, place: object) -> bool:
        return place in self.places

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _measure(subject: Subject, place: int) -> Slopes:
    """Measure the slope of the output; of a Function in float32, that of its definition."""
    definition = subject.definition
    if subject.dtype == torch.float64 or definition is None:
        return slopes(subject.differentiable, subject.arguments, place, subject.dtype)
    return slopes(lambda values: definition.reference(*values), cast(subject.arguments, torch.float64), place)


def _compare_one(
    subject: Subject, call: Call, place: int, columns: LazySlopes, grad_output: Tensor, actual: Any
) -> Iterator[Observation]:
    """Yield what is wrong with the gradient of one input."""
    input = subject.arguments[place]
    if not isinstance(actual, Tensor):
        yield from _no_tensor(subject, place, actual)
        return
    if actual.dtype != input.dtype:
        words = f"is in {dtype_name(actual.dtype)}, and {subject.name(place)} in {dtype_name(input.dtype)}"
        from_output = actual.dtype == call.output.dtype  # spikes made by .float(): nothing is lost in backward
        words += "; so is the output: it is torch's engine that casts it" if from_output else ""
        yield Observation("grad-dtype", words, place, note=from_output)
    tolerance = subject.tolerance.at_least(1e-6 if actual.dtype == torch.float64 else 1e-4)
    is_first = place == (subject.definition.place(0) if subject.definition else 0)
    evidence = Evidence(
        place,
        [subject.name(other) for other in range(len(subject.arguments))],
        subject.arguments,
        call.output.detach(),
        columns,
        tolerance,
        subject.operation.gradient_by_output if is_first else None,
        partial(_is_gradient_with, subject, place, tolerance),
    )

    def pull(grad: Tensor) -> Tensor:
        """What backward returns, in the shape of the input if it can be had."""
        gradient: Tensor = subject.pull(grad)[place].double()
        if gradient.shape == input.shape:
            return gradient
        reshaped = explain_shape(gradient, grad, evidence)[1]
        return gradient if reshaped is None else reshaped

    many = input.numel() > MANY and subject.dtype == torch.float64
    if actual.shape == input.shape and (many or place not in columns):
        observations = list(_along_directions(subject, place, pull, grad_output, evidence))
        if all(each.note for each in observations) or place not in columns:
            yield from observations
            return
    if place not in columns:
        words = f"has shape {tuple(actual.shape)}, and {subject.name(place)} {tuple(input.shape)}"
        yield Observation("grad-shape", words, place)
        return
    column = columns[place]
    if actual.shape != column.shape:
        (code, words), reshaped = explain_shape(actual, grad_output, evidence)
        yield Observation(code, words, place)
        if reshaped is None:
            return
        actual = reshaped
    if actual.shape == column.shape and _is_too_small(actual, grad_output, evidence):
        words = f"was not compared: it is nowhere larger than {evidence.tolerance.least:g}, which is taken for 0"
        yield Observation("not-examined", words, place)
        return
    nonlinearity = explain_use_of_grad_output(pull, grad_output, evidence)
    if nonlinearity:
        (code, words), actual = nonlinearity
        grad_output = torch.ones_like(grad_output)
        yield Observation(code, words, place)
    yield from _compare_entries(subject, actual, grad_output, evidence)


def _no_tensor(subject: Subject, place: int, actual: Any) -> Iterator[Observation]:
    """Yield what is to be said of a gradient that is no tensor."""
    definition = subject.definition
    if actual is not None:
        yield Observation("grad-dtype", f"is {type(actual).__name__}, not a tensor", place)
    elif (definition is None or place not in definition.optional) and depends(subject, place):
        words = "is None, and the output depends on it"
        is_data = definition is None and subject.name(place).lower() in DATA
        words += ": it is taken for data, as its name says" if is_data else ""
        yield Observation("grad-missing", words, place, note=is_data)


def _compare_entries(
    subject: Subject, actual: Tensor, grad_output: Tensor, evidence: Evidence
) -> Iterator[Observation]:
    """Compare a gradient with the slope, entry by entry."""
    place = evidence.position
    column = evidence.slope
    expected = column.pull(grad_output)
    if actual.shape != expected.shape:
        return
    if subject.fixed_inputs and not column.smooth.all():
        count = int((~column.smooth).sum())
        words = f"was not compared in {count} of {column.smooth.numel()} entries: the output has no slope there, or"
        some = count < column.smooth.numel()
        yield Observation("not-examined", f"{words} one that no step measures", place, note=some)
    smooth = torch.where(column.smooth, actual.double(), expected)
    if not evidence.same(smooth, expected, column.margin(grad_output)):
        for code, words in explain_value(smooth, grad_output, evidence):
            yield Observation(code, words, place, worst_entry(smooth, expected))


def _is_too_small(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> bool:
    """Whether a gradient is not 0, but so small that any of its size would pass."""
    expected, error = evidence.slope.pull(grad_output), evidence.slope.margin(grad_output)
    small = bool((expected.abs() <= evidence.tolerance.least).all()) and bool((expected.abs() > 10 * error).any())
    return small and evidence.same(actual, expected, error)


def _along_directions(
    subject: Subject, place: int, pull: Callable[[Tensor], Tensor], grad_output: Tensor, evidence: Evidence
) -> Iterator[Observation]:
    """Compare along random directions: notes where all is well, else what can be said without each slope."""
    pairs = list(pairs_along(subject, place, grad_output))
    gaps = max(pair.gaps for pair in pairs)
    atol = subject.options.atol
    if 2 * gaps > grad_output.numel():
        words = f"was not compared: {gaps} of {grad_output.numel()} entries of the output have no slope"
        yield Observation("not-examined", words, place)
        return
    if atol is not None and all(0 < abs(pair.slope) <= atol for pair in pairs):
        words = f"was not compared: along each direction it is smaller than atol, {atol:g}"
        yield Observation("not-examined", words, place)
        return
    wrong = [pair for pair in pairs if not pair.agrees]
    if not wrong:
        if not is_linear(pull, grad_output, evidence):
            yield Observation("nonlinear-in-grad-output", "is not proportional to grad_output", place)
        words = f"was compared along {len(pairs)} random directions of its {subject.arguments[place].numel()} entries"
        if gaps:
            words += f"; {gaps} of {grad_output.numel()} entries of the output have no slope there"
            words += ", and were left out"
        if subject.fixed_inputs:
            yield Observation("sampled", words, place, note=True)
        return
    ratios = [pair.gradient / pair.slope if pair.slope else 0.0 for pair in pairs]
    worst = f"Along a random direction {wrong[0].words}."
    code, words = "grad-value", "is not the slope of the output"
    if ratios[0] and max(ratios) - min(ratios) <= 1e-5 * abs(ratios[0]):
        code, words = "grad-factor", f"is {factor_text(ratios[0])} times what it should be"
        if abs(ratios[0] + 1) < 1e-5:
            code, words = "grad-sign", "has the wrong sign"
    yield Observation(code, words, place, worst)


def _is_gradient_with(
    subject: Subject, place: int, tolerance: Tolerance, actual: Tensor, other: int, value: Tensor, grad_output: Tensor
) -> bool:
    """Whether a gradient is the slope by one argument where another one has some value.

    Most explanations do not hold, and one random direction shows it in far fewer calls than all entries would.
    """
    arguments = substitute(cast(subject.arguments, torch.float64), other, value)
    try:
        if subject.definition is not None:
            gradient = nth(differentiate(subject.definition, arguments, (place,), grad_output)[1], place)
            return isinstance(gradient, Tensor) and same(actual, gradient, tolerance)
        direction = random_like(arguments[place], 11)

        def path(step: float) -> Tensor:
            return subject.function.value(substitute(arguments, place, arguments[place] + step * direction))

        parts, estimate = actual * direction, slope(path, precise=0.1 * ROUGH)
        off = float((parts.sum() - (estimate.value * grad_output.double().flatten()).sum()).abs())
        if estimate.smooth.all() and off > ROUGH * float(parts.norm() + estimate.value.norm()):
            return False
        return same(actual, slopes(subject.function.value, arguments, place).pull(grad_output), tolerance)
    except (CallError, RuntimeError, ValueError):
        return False
