"""Go through all checks, output by output, and put what they observe in sentences."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import torch

from . import (
    defaults,
    dtypes,
    engine,
    hidden_state,
    higher_derivatives,
    kinks,
    linearity,
    memory_layouts,
    needs_input_grad,
    other_inputs,
    side_effects,
    sizes,
)
from .calls import CallError, floating_places
from .coverage import Coverage
from .definitions import Definition, Operation
from .findings import METHODS, Diagnosis, Finding
from .function_under_test import FunctionUnderTest
from .gradients import check_gradients
from .limits import LimitReached
from .questions import advice
from .recognition import check_value, fits_other_definition
from .source_code import add_lines
from .subject import Observation, Subject
from .transforms import check_transforms

Check = Callable[[Subject], Iterator[Observation]]
MANNERS: Final = (side_effects.check_side_effects, side_effects.check_memory, dtypes.check_float64)
CIRCUMSTANCES: Final[dict[str, Check]] = {
    "large inputs": other_inputs.check_extremes,
    "kinks": kinks.check_kinks,
    "the engine": engine.check_engine,
    "two graphs at once": hidden_state.check_independence,
    "changes in place": hidden_state.check_changes_in_place,
    "other values": other_inputs.check_other_inputs,
    "equal entries": kinks.check_ties,
    "other values of parameters": defaults.check_other_defaults,
    "other memory layouts": memory_layouts.check_layouts,
    "batches of one and none": sizes.check_small_batches,
    "larger batches": sizes.check_large_batches,
    "longer rows": sizes.check_longer_rows,
    "inputs that are repeated": sizes.check_repeated_inputs,
    "other dimensions": sizes.check_other_ranks,
    "other gradients of the output": linearity.check_special_grad_outputs,
    "some inputs alone": needs_input_grad.check_needs,
    "float32": dtypes.check_float32,
    "low precision": dtypes.check_low_precision,
    "the second derivative": higher_derivatives.check_second_derivative,
}
"""What is looked at, in words -> its check."""
NEW_NUMBERS: Final = (
    *("other memory layouts", "batches of one and none", "larger batches", "longer rows"),
    *("inputs that are repeated", "other dimensions", "float32", "low precision"),
)
"""Where random numbers of the same seed are others, or lie elsewhere."""


def diagnose(subject: Subject) -> Diagnosis:
    """Examine a Function with the arguments of a definition, or with the user's."""
    function, operation, definition = subject.function, subject.operation, subject.definition
    limits = subject.options.limits
    observations: list[Observation] = []
    coverage = Coverage(function, subject.options.lines)
    try:
        with coverage.watch():
            for each in _each_output(subject):
                observations.extend(each)  # what came before an exception stays
    except CallError as error:
        if not observations:
            observations.append(Observation("raises", str(error), method=error.method))
    except LimitReached:
        limits.omissions.append("what follows")
        if not limits.gradients_done and all(each.note for each in observations):
            words = f"{limits.excess}, and not all gradients have been compared"
            observations.append(Observation("not-examined", words))
    observations += _notes(subject, str(coverage))
    return result(function, operation, definition, (_finding(each, subject) for each in observations))


def _notes(subject: Subject, missing_lines: str) -> Iterator[Observation]:
    """Yield what is said last: what was left undone, and how the examination was less close than usual."""
    limits, definition = subject.options.limits, subject.definition
    in_float32 = subject.dtype == torch.float32
    if missing_lines:
        yield Observation("not-reached", missing_lines, note=True)
    if limits.omissions:
        yield Observation("not-reached", f"{limits.excess}: {', '.join(limits.omissions)}", note=True)
    if subject.surrogate is not None:
        words = "backward is held against the derivative of the surrogate given, not of forward"
        yield Observation("surrogate", words, note=True)
    if subject.fixed_inputs and in_float32:
        words = "it is computed in float32 inside, and agrees to 1e-7 only: examined in float32, less closely"
        yield Observation("low-precision", words, note=True)
    if subject.inaccuracy:
        words = "backward is an iteration that stops when it is near enough: for the sum of two grad_outputs it gives"
        words += f" another gradient than their sum, and is compared to {subject.inaccuracy:.0e} only"
        yield Observation("low-precision", words, note=True)
    if definition is not None and not subject.fixed_inputs:
        words = definition.says + (", examined in float32" if in_float32 else "")
        yield Observation("definition", words, note=True)


def _each_output(subject: Subject) -> Iterator[Iterator[Observation]]:
    """Yield what is observed of each output that has a derivative, alone, then of all together."""
    places = subject.function.differentiable_outputs(subject.arguments, subject.variables)
    selection = subject.options.outputs
    if selection is not None:
        missing = [place for place in selection if place not in places]
        if missing:
            raise ValueError(f"outputs: no output {missing[0]} has a derivative; there are {places}")
        places = [place for place in places if place in selection]
    else:
        yield _without_derivative(subject, places)
    if len(places) == 1:
        yield _examine(subject if places == [0] else subject.for_output(places[0]))
        return
    for place in places:
        alone = subject.for_output(place)
        yield (replace(each, words=f"{each.words} (output {place})") for each in _examine(alone))
    yield linearity.check_outputs_together(subject, places)


def _without_derivative(subject: Subject, places: Sequence[int]) -> Iterator[Observation]:
    """Say which outputs are not examined, as they are marked as having no derivative."""
    outputs = subject.function(subject.arguments, subject.variables).outputs
    others = [str(place) for place in floating_places(outputs) if place not in places]
    if others:
        words = f"output {', '.join(others)}: it leads back to no input, be it that it is marked as non-differentiable"
        yield Observation("not-reached", words, note=True)


def _examine(subject: Subject) -> Iterator[Observation]:
    """Yield observations, what matters most first: what is wrong already is not examined further."""
    value = list(check_value(subject))
    yield from value
    if any(each.code == "not-examined" for each in value):
        return
    gradients = list(check_gradients(subject))
    if not (value and fits_other_definition(subject)):
        yield from gradients
    manners = [each for check in MANNERS for each in check(subject)]
    yield from manners
    if value:
        return
    if not all(each.note for each in (*gradients, *manners)):
        yield from (each for each in other_inputs.check_extremes(subject) if each.position is None)
        return
    subject.options.limits.gradients_done = True
    is_right = True
    for check in _circumstances(subject):
        for each in check(subject):
            if each.code == "raises" and not each.note:
                each = replace(each, code="raises-sometimes")
            is_right = is_right and each.note
            yield each
    if is_right:
        yield from check_transforms(subject)


def _circumstances(subject: Subject) -> Iterator[Check]:
    """Yield the checks, as long as there is time; of what draws random numbers, those that draw the same."""
    omissions = NEW_NUMBERS if subject.function.is_random(subject.arguments) else ()
    for task, check in CIRCUMSTANCES.items():
        if task not in omissions and subject.options.limits.allow(task):
            yield check
    if omissions:
        words = f"it draws random numbers, others in each case, so these were not tried: {', '.join(omissions)}"
        yield lambda _: iter([Observation("not-reached", words, note=True)])


def result(
    function: FunctionUnderTest, operation: Operation, definition: Definition | None, findings: Iterable[Finding]
) -> Diagnosis:
    """Put findings together, each code once for each input."""
    all_findings = list(findings)
    unique = {(each.code, each.input, each.severity): each for each in reversed(all_findings)}
    not_reached = dict.fromkeys(each.message for each in all_findings if each.code == "not-reached")
    if not_reached:  # one line for all, and only where nothing is wrong
        del unique["not-reached", None, "note"]
        if all(each.severity == "note" for each in all_findings):
            last = Finding("not-reached", f"{'; '.join(not_reached)}.", severity="note")
            unique = {("not-reached", None, "note"): last, **unique}
    definition_words = definition.says if definition else ""
    in_order = tuple(unique.values())[::-1]
    return add_lines(Diagnosis(function.title, operation.name, definition_words, in_order), function.implementation)


def _finding(observation: Observation, subject: Subject) -> Finding:
    """Put an observation in a sentence."""
    code, words, note = observation.code, observation.words, observation.note
    name = None if observation.position is None else subject.name(observation.position)
    if code == "not-reached":
        return Finding(code, words, severity="note")
    if name is not None:
        words = f"{name} {words}" if code == "mutates-input" else f"The gradient of {name} {words}"
    else:
        words = words[0].upper() + words[1:]
    parts = (f"{words}.", observation.worst, "" if note else advice(subject.operation.name))
    method = observation.method or METHODS.get(code, "backward")
    return Finding(code, " ".join(filter(None, parts)), name, "note" if note else "error", method)
