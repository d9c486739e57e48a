"""Go through all that is looked at, output by output, and put what was found in sentences."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import torch

from . import defaults, engine, extremes, side_effects, sizes
from . import dtypes as precision
from . import hidden_state as calls
from . import higher_derivatives as higher_order
from . import kinks as ties
from . import memory_layouts as layouts
from . import needs_input_grad as circumstances
from . import other_inputs as elsewhere
from .coverage import Reach
from .definitions import Definition, Operation
from .findings import METHODS, Diagnosis, Finding
from .function_under_test import CallError, FunctionUnderTest, floating_places
from .gradients import of_gradients, of_outputs_together
from .limits import LimitReached
from .questions import advice
from .recognition import check_value, fits_other_definition
from .source_code import located
from .subject import Observation, Subject

MANNERS = (side_effects.leaves_alone, side_effects.keeps_nothing, precision.in_single)
CIRCUMSTANCES: Final[dict[str, Callable[[Subject], Iterator[Observation]]]] = {
    "large inputs": extremes.at_extremes,
    "kinks": extremes.at_kinks,
    "the engine": engine.in_engine,
    "two graphs at once": calls.apart,
    "changes in place": calls.sees_changes,
    "other values": elsewhere.elsewhere,
    "equal entries": ties.at_ties,
    "other values of parameters": defaults.for_other_values,
    "other memory layouts": layouts.in_other_layouts,
    "batches of one and none": circumstances.in_batches_of_one_and_none,
    "larger batches": sizes.in_other_batches,
    "longer rows": sizes.in_longer_rows,
    "inputs that are repeated": sizes.where_one_is_repeated,
    "other dimensions": sizes.in_other_ranks,
    "other gradients of the output": circumstances.for_other_gradients,
    "some inputs alone": circumstances.some_alone,
    "float32": circumstances.in_float32,
    "low precision": circumstances.in_low_precision,
    "the second derivative": higher_order.second_derivative,
}
"""What it is, in words -> what is looked at."""
DRAWN_ANEW: Final = (
    "other memory layouts",
    "batches of one and none",
    "larger batches",
    "longer rows",
    "inputs that are repeated",
    "other dimensions",
    "float32",
    "low precision",
)
"""Where random numbers of the same seed are others, or lie elsewhere."""


def diagnose(subject: Subject) -> Diagnosis:
    """Examine a Function with the arguments of a definition, or with those given."""
    function, operation, definition = subject.function, subject.operation, subject.definition
    found: list[Observation] = []
    reach = Reach(function, subject.options.lines)
    try:
        with reach.watching():
            for each in _each_output(subject):
                found.extend(each)  # what came before an exception stays
    except CallError as error:
        if not found:
            found.append(Observation("raises", str(error), method=error.method))
    except LimitReached:
        subject.options.effort.skipped.append("what follows")
        if not subject.options.effort.compared and all(of.note for of in found):
            words = f"{subject.options.effort.spent}, and not all gradients have been compared"
            found.append(Observation("not-examined", words))
    found += [Observation("not-reached", words, note=True) for words in (reach.says(), _undone(subject)) if words]
    if subject.surrogate is not None:
        words = "backward is held against the derivative of the surrogate given, not of forward"
        found.append(Observation("surrogate", words, note=True))
    if subject.fixed_inputs and subject.dtype == torch.float32:
        words = "it is computed in float32 inside, and agrees to 1e-7 only: examined in float32, less closely"
        found.append(Observation("low-precision", words, note=True))
    if subject.inaccuracy:
        words = "backward is an iteration that stops when it is near enough: for the sum of two grad_outputs it gives"
        words += f" another gradient than their sum, and is compared to {subject.inaccuracy:.0e} only"
        found.append(Observation("low-precision", words, note=True))
    if definition is not None and not subject.fixed_inputs:
        in_float32 = ", examined in float32" if subject.dtype == torch.float32 else ""
        found.append(Observation("definition", definition.says + in_float32, note=True))
    return result(function, operation, definition, (_told(of, subject) for of in found))


def _undone(subject: Subject) -> str:
    """Return what was not done for want of time or memory, in words."""
    effort = subject.options.effort
    return f"{effort.spent}: {', '.join(effort.skipped)}" if effort.skipped else ""


def _each_output(subject: Subject) -> Iterator[Iterator[Observation]]:
    """Yield what is found of each output that has a derivative, alone, then of all together."""
    places = subject.function.differentiable_outputs(subject.arguments, subject.variables)
    chosen = subject.options.outputs
    if chosen is not None:
        missing = [place for place in chosen if place not in places]
        if missing:
            raise ValueError(f"outputs: no output {missing[0]} has a derivative; there are {places}")
        places = [place for place in places if place in chosen]
    else:
        yield _without_derivative(subject, places)
    if len(places) == 1:
        yield _all_found(subject if places == [0] else subject.for_output(places[0]))
        return
    for place in places:
        alone = subject.for_output(place)
        yield (replace(of, words=f"{of.words} (output {place})") for of in _all_found(alone))
    yield of_outputs_together(subject, places)


def _without_derivative(subject: Subject, places: Sequence[int]) -> Iterator[Observation]:
    """Say which outputs are not examined, as they are marked as having no derivative."""
    outputs = subject.function(subject.arguments, subject.variables).outputs
    marked = [str(place) for place in floating_places(outputs) if place not in places]
    if marked:
        words = f"output {', '.join(marked)}: it leads back to no input, be it that it is marked as non-differentiable"
        yield Observation("not-reached", words, note=True)


def _all_found(subject: Subject) -> Iterator[Observation]:
    """Yield what is found, in the order in which a doctor would look: what is wrong already is not examined further."""
    value = list(check_value(subject))
    yield from value
    if any(of.code == "not-examined" for of in value):
        return
    gradients = list(of_gradients(subject))
    if not (value and fits_other_definition(subject)):
        yield from gradients
    manners = [of for each in MANNERS for of in each(subject)]
    yield from manners
    if value:
        return
    if not all(found.note for found in (*gradients, *manners)):
        yield from (of for of in extremes.at_extremes(subject) if of.position is None)
        return
    subject.options.effort.compared = True
    later = []
    for each in _circumstances(subject):
        for of in each(subject):
            if of.code == "raises" and not of.note:
                of = replace(of, code="raises-sometimes")
            later.append(of)
            yield of
    if all(of.note for of in later):
        yield from higher_order.transforms(subject)


def _circumstances(subject: Subject) -> Iterator[Callable[[Subject], Iterator[Observation]]]:
    """Yield what is looked at, as long as there is time; of what draws random numbers, that which draws the same."""
    left_out = DRAWN_ANEW if subject.function.is_random(subject.arguments) else ()
    for what, each in CIRCUMSTANCES.items():
        if what not in left_out and subject.options.effort.allows(what):
            yield each
    if left_out:
        words = f"it draws random numbers, others in each case, so these were not tried: {', '.join(left_out)}"
        yield lambda _: iter([Observation("not-reached", words, note=True)])


def result(
    function: FunctionUnderTest, operation: Operation, definition: Definition | None, findings: Iterable[Finding]
) -> Diagnosis:
    """Put together what was found, each code once for each input."""
    told = list(findings)
    unique = {(of.code, of.input, of.severity): of for of in reversed(told)}
    missed = dict.fromkeys(of.message for of in told if of.code == "not-reached")
    if missed:  # one line for all, and only where nothing is wrong
        del unique["not-reached", None, "note"]
        if all(of.severity == "note" for of in told):
            unique["not-reached", None, "note"] = Finding("not-reached", f"{'; '.join(missed)}.", severity="note")
            unique = dict(list(unique.items())[-1:] + list(unique.items())[:-1])  # it stands last
    says = definition.says if definition else ""
    return located(
        Diagnosis(function.title, operation.name, says, tuple(unique.values())[::-1]), function.implementation
    )


def _told(found: Observation, subject: Subject) -> Finding:
    """Put what was found in a sentence."""
    name = None if found.position is None else subject.name(found.position)
    sentence = f"{found.words}."
    if found.code == "not-reached":
        return Finding(found.code, found.words, severity="note")
    if found.code == "mutates-input" and name is not None:
        sentence = f"{name} {sentence}"
    else:
        sentence = sentence if name is None else f"the gradient of {name} {sentence}"
        sentence = sentence[0].upper() + sentence[1:]
    where = "" if found.note else advice(subject.operation.name)
    told = " ".join(filter(None, (sentence, found.worst, where)))
    method = found.method or METHODS.get(found.code, "backward")
    return Finding(found.code, told, name, "note" if found.note else "error", method)
