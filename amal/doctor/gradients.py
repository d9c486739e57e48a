"""Compare what backward returns with the slope of the output, and explain where they differ."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from .definitions import Definition, Draw
from .directions import MANY, depends, pairs_along
from .evidence import Evidence, Tolerance, distinct_texts, factor_text, same, worst_entry
from .function_under_test import Call, CallError, nth, plain
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
"""Names of what is given and not learnt."""


def of_gradients(subject: Subject) -> Iterator[Observation]:
    """Compare each gradient with the slope of the output.

    Where backward fails, because what it multiplies does not fit, sizes that are all alike show why.

    Raises:
        Raised: backward raised an exception, and nothing else can be said.
    """
    try:
        found = list(_compared(subject))
    except CallError as error:
        found = [] if isinstance(error.cause, NotImplementedError) else _with_sizes_alike(subject)
        if error.method != "backward" or not found:
            raise
        yield Observation("raises", f"{error}; what follows is about sizes that are all alike", method=error.method)
    yield from found


def of_outputs_together(subject: Subject, places: Sequence[int]) -> Iterator[Observation]:
    """What backward gives for gradients of all outputs is the sum of what it gives for each alone."""
    call = subject.function(subject.arguments, subject.variables)
    grad_outputs = {place: random_like(call.outputs[place], 1 + place) for place in places}

    def pulled(*chosen: int) -> tuple[Any, ...]:
        again = subject.function(subject.arguments, subject.variables)
        return again.pull({place: grad_outputs[place].clone() for place in chosen})

    alone, together = [pulled(place) for place in places], pulled(*places)
    for variable in subject.variables:
        parts = [nth(of, variable) for of in alone]
        whole = nth(together, variable)
        alike = all(isinstance(part, Tensor) and part.shape == parts[0].shape for part in (*parts, whole))
        if alike and not same(whole, torch.stack(parts).sum(0), subject.tolerance):
            words = "for all outputs together is not the sum of those for each alone"
            yield Observation("nonlinear-in-grad-output", words, variable)


def _with_sizes_alike(subject: Subject) -> list[Observation]:
    if subject.definition is None or subject.fixed_inputs:
        return []
    square = cast(subject.definition.draw(Draw(SEED, 4, square=True)), subject.dtype)
    try:
        return list(_compared(replace(subject, arguments=square)))
    except CallError:
        return []


def _compared(subject: Subject) -> Iterator[Observation]:
    call = subject.function(subject.arguments, subject.variables)
    if call.node is None:
        yield Observation("grad-missing", "the output does not need a gradient: it is cut off from the inputs")
        return
    measured = Measured(subject)
    grad_output = random_like(call.output, 1)
    returned, count = call.backward(grad_output), len(subject.arguments)
    if returned == (None,) and depends(subject, subject.variables[0]):
        yield Observation("grad-missing", "backward returns nothing: a `return` is missing, or returns None")
        return
    if len(returned) < count or any(extra is not None for extra in returned[count:]):
        yield Observation(
            "grad-count", f"backward returns {len(returned)} gradients, and forward was given {count} inputs"
        )
    for place in subject.variables[: len(returned)]:
        yield from _of_one(subject, call, place, measured, grad_output, returned[place])


class Measured(Mapping[int, Slopes]):
    """The slopes of the output by each variable, measured when they are asked for; those too large are not there."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.known = subject, dict[int, Slopes]()
        rows = subject.function(subject.arguments).output.numel()
        sizes = {place: subject.arguments[place].numel() for place in subject.variables}
        self.places = [place for place, size in sizes.items() if size <= MANY or (size <= 4096 and size * rows <= 4e6)]

    def __getitem__(self, place: int) -> Slopes:
        if place not in self.places:
            raise KeyError(place)
        if place not in self.known:
            self.known[place] = _measured(self.subject, place)
        return self.known[place]

    def __contains__(self, place: object) -> bool:
        return place in self.places

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _measured(subject: Subject, place: int) -> Slopes:
    """Measure the slope of the output; of a Function in float32, that of its definition."""
    if subject.dtype == torch.float64 or subject.definition is None:
        return slopes(subject.differentiable, subject.arguments, place, subject.dtype)
    return slopes(partial(_value, subject.definition), cast(subject.arguments, torch.float64), place)


def _value(definition: Definition, arguments: Sequence[Any]) -> Tensor:
    return definition.reference(*arguments)


def _of_one(
    subject: Subject, call: Call, place: int, measured: Measured, grad_output: Tensor, actual: Any
) -> Iterator[Observation]:
    """Yield what is wrong with the gradient of one input."""
    optional = subject.definition is not None and place in subject.definition.optional
    input = subject.arguments[place]
    if actual is None:
        if not optional and depends(subject, place):
            words = "is None, and the output depends on it"
            data = subject.definition is None and subject.name(place).lower() in DATA
            words += ": it is taken for data, as its name says" if data else ""
            yield Observation("grad-missing", words, place, note=data)
        return
    if not isinstance(actual, Tensor):
        yield Observation("grad-dtype", f"is {type(actual).__name__}, not a tensor", place)
        return
    if actual.dtype != input.dtype:
        kinds = f"is in {plain(actual.dtype)}, and {subject.name(place)} in {plain(input.dtype)}"
        cast_output = actual.dtype == call.output.dtype  # spikes made by .float(): nothing is lost in backward
        kinds += "; so is the output: it is torch's engine that casts it" if cast_output else ""
        yield Observation("grad-dtype", kinds, place, note=cast_output)
    tolerance = subject.tolerance.at_least(1e-6 if actual.dtype == torch.float64 else 1e-4)
    first = subject.definition.place(0) if subject.definition else 0
    evidence = Evidence(
        place,
        [subject.name(other) for other in range(len(subject.arguments))],
        subject.arguments,
        call.output.detach(),
        measured,
        tolerance,
        subject.operation.gradient_by_output if place == first else None,
        partial(_as_if, subject, place, tolerance),
    )

    def shaped(grad: Tensor) -> Tensor:
        """What backward returns, in the shape of the input if it can be had."""
        gradient: Tensor = subject.pull(grad)[place].double()
        if gradient.shape == input.shape:
            return gradient
        fixed = explain_shape(gradient, grad, evidence)[1]
        return gradient if fixed is None else fixed

    many = input.numel() > MANY and subject.dtype == torch.float64
    if actual.shape == input.shape and (many or place not in measured):
        found = list(_along_directions(subject, place, shaped, grad_output, evidence))
        if all(one.note for one in found) or place not in measured:
            yield from found
            return
    if place not in measured:
        yield Observation(
            "grad-shape", f"has shape {tuple(actual.shape)}, and {subject.name(place)} {tuple(input.shape)}", place
        )
        return
    slope = measured[place]
    if actual.shape != slope.shape:
        (code, words), fixed = explain_shape(actual, grad_output, evidence)
        yield Observation(code, words, place)
        if fixed is None:
            return
        actual = fixed
    if actual.shape == slope.shape and _is_lost(actual, slope.pull(grad_output), slope.margin(grad_output), evidence):
        words = f"was not compared: it is nowhere larger than {evidence.tolerance.least:g}, which is taken for 0"
        yield Observation("not-examined", words, place)
        return
    used = explain_use_of_grad_output(shaped, grad_output, evidence)
    if used:
        (code, words), actual = used
        grad_output = torch.ones_like(grad_output)
        yield Observation(code, words, place)
    expected = slope.pull(grad_output)
    if actual.shape != expected.shape:
        return
    if subject.fixed_inputs and not slope.smooth.all():
        count = int((~slope.smooth).sum())
        words = f"was not compared in {count} of {slope.smooth.numel()} entries: the output has no slope there, or"
        yield Observation(
            "not-examined", f"{words} one that no step measures", place, note=count < slope.smooth.numel()
        )
    agrees = torch.where(slope.smooth, actual.double(), expected)
    if not evidence.same(agrees, expected, slope.margin(grad_output)):
        for code, words in explain_value(agrees, grad_output, evidence):
            yield Observation(code, words, place, worst_entry(agrees, expected))


def _is_lost(actual: Tensor, expected: Tensor, error: Tensor, evidence: Evidence) -> bool:
    """Whether a gradient passes as any other of its size would: it is not 0, and so small that it is taken for it."""
    small = bool((expected.abs() <= evidence.tolerance.least).all()) and bool((expected.abs() > 10 * error).any())
    return small and evidence.same(actual, expected, error)


def _along_directions(
    subject: Subject, place: int, gradient: Callable[[Tensor], Tensor], grad_output: Tensor, evidence: Evidence
) -> Iterator[Observation]:
    """Compare along random directions: notes where all is well, else what can be said without each slope."""
    pairs = list(pairs_along(subject, place, grad_output))
    left_out = max(pair.left_out for pair in pairs)
    if 2 * left_out > grad_output.numel():
        words = f"was not compared: {left_out} of {grad_output.numel()} entries of the output have no slope"
        yield Observation("not-examined", words, place)
        return
    wrong = [pair for pair in pairs if not pair.agrees]
    if subject.options.atol is not None and all(0 < abs(pair.measured) <= subject.options.atol for pair in pairs):
        words = f"was not compared: along each direction it is smaller than atol, {subject.options.atol:g}"
        yield Observation("not-examined", words, place)
        return
    if not wrong:
        if not is_linear(gradient, grad_output, evidence):
            yield Observation("nonlinear-in-grad-output", "is not proportional to grad_output", place)
        words = f"was compared along {len(pairs)} random directions of its {subject.arguments[place].numel()} entries"
        if left_out:
            words += (
                f"; {left_out} of {grad_output.numel()} entries of the output have no slope there, and were left out"
            )
        if subject.fixed_inputs:
            yield Observation("sampled", words, place, note=True)
        return
    ratios = [pair.given / pair.measured if pair.measured else 0.0 for pair in pairs]
    given, slope = distinct_texts(wrong[0].given, wrong[0].measured)
    worst = f"Along a random direction backward gives {given}, the slope is {slope}."
    if ratios[0] and max(ratios) - min(ratios) <= 1e-5 * abs(ratios[0]):
        code, factor = ("grad-sign", "has the wrong sign") if abs(ratios[0] + 1) < 1e-5 else ("grad-factor", "")
        yield Observation(code, factor or f"is {factor_text(ratios[0])} times what it should be", place, worst)
        return
    yield Observation("grad-value", "is not the slope of the output", place, worst)


def _as_if(
    subject: Subject, place: int, tolerance: Tolerance, actual: Tensor, other: int, value: Tensor, grad_output: Tensor
) -> bool:
    """Whether a gradient is the slope by one argument where another has the value given.

    Most explanations do not hold, and one random direction shows it in far fewer calls than all entries would.
    """
    arguments = tuple(value if spot == other else of for spot, of in enumerate(cast(subject.arguments, torch.float64)))
    try:
        if subject.definition is not None:
            found = nth(differentiate(subject.definition, arguments, (place,), grad_output)[1], place)
            return isinstance(found, Tensor) and same(actual, found, tolerance)
        direction = random_like(arguments[place], 11)

        def along(step: float) -> Tensor:
            moved = arguments[place] + step * direction
            return subject.function.value((*arguments[:place], moved, *arguments[place + 1 :]))

        parts, measured = actual * direction, slope(along, precise=0.1 * ROUGH)
        off = float((parts.sum() - (measured.value * grad_output.double().flatten()).sum()).abs())
        if measured.smooth.all() and off > ROUGH * float(parts.norm() + measured.value.norm()):
            return False
        return same(actual, slopes(subject.function.value, arguments, place).pull(grad_output), tolerance)
    except (CallError, RuntimeError, ValueError):
        return False
