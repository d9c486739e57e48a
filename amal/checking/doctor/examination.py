"""The gradient doctor: examine a Function, and say in words what is wrong with it.

torch.autograd.gradcheck asks one question: is the gradient that arrives at the inputs the slope of the output? It sees
what the engine made of backward's answer, says where two Jacobians differ, and knows nothing of definitions. The doctor
first asks which definition the values follow, then looks at what backward itself returns, measures slopes in float64,
and where the two differ tries one explanation after the other until one gives the very numbers that backward gave.

    from amal.checking import assert_correct, check

    print(check(MyLinear, (input, weight, bias), reference=torch.nn.functional.linear))
    assert_correct(MyLinear, (input, weight, bias))          # in a test
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from amal.errors import did_you_mean
from amal.findings import CODES, METHODS, Diagnosis, Finding, as_text

from . import circumstances, elsewhere, engine, extremes, higher_order, manners
from .anything import prepared
from .definitions import Definition, Operation, all_operations, operation_called
from .gradients import of_gradients, of_outputs_together
from .places import located
from .questions import advice
from .recognition import of_value, recognised, right_for_another
from .specimen import Composite, Raised, Specimen
from .subject import Found, Subject

MANNERS = (manners.leaves_alone, manners.keeps_nothing)
CIRCUMSTANCES = (
    extremes.at_extremes,
    extremes.at_kinks,
    engine.in_engine,
    elsewhere.elsewhere,
    circumstances.in_other_layouts,
    circumstances.in_batches_of_one_and_none,
    circumstances.some_alone,
    circumstances.in_float32,
    higher_order.second_derivative,
)


def check(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    reference: Callable[..., Any] | None = None,
    surrogate: Callable[..., Any] | None = None,
    requires: Collection[int | str] | None = None,
    allow: Collection[str] = (),
) -> Diagnosis:
    """Examine any Function, module or other callable, with any inputs.

    Args:
        function: a subclass of torch.autograd.Function, in the old form (`forward(ctx, ...)`) or with
            `setup_context`; an nn.Module, whose parameters are examined besides its inputs; or any other
            callable, such as an operator of torch.library. Of a Function what backward itself returns is
            examined, of others what torch's engine gives.
        inputs: what to call it with. Tensors are taken to float64. If some have requires_grad, these are the
            variables, for which a gradient is asked; otherwise all floating-point tensors are.
        reference: a function of the same inputs that computes the same; None to take the values as they are.
        surrogate: a function of the same inputs whose derivative backward is meant to give, for a gradient
            that is wrong on purpose (straight-through, spikes, reversal). Forward is then judged by itself.
        requires: the variables, by position or by the name that forward has for them; a module's parameters
            by theirs.
        allow: codes that become notes, such as "second-order" or "kink".

    Returns:
        what was found; `str` it, or see `.verdict` and `.findings`.

    Raises:
        TypeError: the function cannot be called, or a variable has no gradient.
        ValueError: there is no such variable, or no such code.
    """
    unknown = set(allow) - set(CODES)
    if unknown:
        raise ValueError(f"allow: no code {', '.join(sorted(unknown))}; there are {', '.join(CODES)}")
    ready = prepared(function, inputs, requires, reference)
    kind = "any callable" if isinstance(ready.specimen, Composite) else "any function"
    definitions = (
        (Definition("reference", "the reference given", ready.reference, lambda _: ready.arguments),)
        if ready.reference
        else ()
    )
    operation = Operation(kind, (), definitions)
    if ready.unable:
        why = f"{ready.unable[0].upper()}{ready.unable[1:]}."
        return _result(ready.specimen, operation, None, [Finding("not-examined", why)])
    definition = definitions[0] if definitions else None
    subject = Subject(
        ready.specimen, operation, definition, ready.arguments, ready.variables, given=True, surrogate=surrogate
    )
    return _allowed(_diagnosed(subject), allow)


def _allowed(diagnosis: Diagnosis, codes: Collection[str]) -> Diagnosis:
    """Return the diagnosis with findings of some codes as notes."""
    findings = (
        replace(finding, severity="note") if finding.code in codes else finding for finding in diagnosis.findings
    )
    return replace(diagnosis, findings=tuple(findings))


def assert_correct(function: Callable[..., Any], inputs: Sequence[Any], **options: Any) -> None:
    """Raise an AssertionError that says in words what is wrong, or that nothing could be examined; see `check`.

    Args:
        function, inputs: as `check` takes them.
        options: as `check` takes them, by name.
    """
    diagnosis = check(function, inputs, **options)
    if diagnosis.verdict != "correct":
        raise AssertionError("\n" + as_text([diagnosis]))


def examine(function: type[torch.autograd.Function], operation: str, definition: str | None = None) -> Diagnosis:
    """Examine a Function that is meant to be an operation that the doctor knows.

    Args:
        function: a subclass of torch.autograd.Function.
        operation: the name of what it is meant to be, such as "linear"; `all_operations` lists them.
        definition: the name of one of the operation's definitions, to ask for it; None to find out which it follows.

    Raises:
        TypeError: not a Function.
        ValueError: there is no such operation, or it has no such definition.
    """
    _require_function(function)
    known = operation_called(operation)
    if known is None:
        hint = did_you_mean(operation, all_operations())
        raise ValueError(f"no operation {operation}{hint}; there are {', '.join(all_operations())}")
    specimen = Specimen(function)
    definitions = [of for of in known.definitions if definition in (None, of.name)]
    if not definitions:
        names = ", ".join(of.name for of in known.definitions)
        raise ValueError(f"{known.name} has no definition {definition}; there are {names}")
    try:
        found, arguments, dtype = recognised(specimen, definitions)
    except Raised as error:
        said = str(error)
        return _result(specimen, known, None, [Finding("raises", f"{said[0].upper()}{said[1:]}.", method=error.where)])
    variables = tuple(place for place, of in enumerate(arguments) if isinstance(of, Tensor) and of.is_floating_point())
    return _diagnosed(Subject(specimen, known, found, arguments, variables, dtype))


def _require_function(function: Any) -> None:
    if not (isinstance(function, type) and issubclass(function, torch.autograd.Function)):
        raise TypeError(f"expected a subclass of torch.autograd.Function, got {function!r}")


def _diagnosed(subject: Subject) -> Diagnosis:
    """Examine a Function with the arguments of a definition, or with those given."""
    specimen, operation, definition = subject.specimen, subject.operation, subject.definition
    found: list[Found] = []
    try:
        for each in _each_output(subject):
            found.extend(each)  # what came before an exception stays
    except Raised as error:
        if not found:
            found.append(Found("raises", str(error), method=error.where))
    if subject.surrogate is not None:
        words = "backward is held against the derivative of the surrogate given, not of forward"
        found.append(Found("surrogate", words, note=True))
    if definition is not None and not subject.given:
        in_float32 = ", examined in float32" if subject.dtype == torch.float32 else ""
        found.append(Found("definition", definition.says + in_float32, note=True))
    return _result(specimen, operation, definition, (_told(of, subject) for of in found))


def _each_output(subject: Subject) -> Iterator[Iterator[Found]]:
    """Yield what is found of each output that has a derivative, alone, then of all together."""
    places = subject.specimen.differentiable_outputs(subject.arguments, subject.variables)
    if len(places) == 1:
        yield _all_found(subject if places == [0] else subject.of_output(places[0]))
        return
    for place in places:
        alone = subject.of_output(place)
        yield (replace(of, words=f"{of.words} (output {place})") for of in _all_found(alone))
    yield of_outputs_together(subject, places)


def _all_found(subject: Subject) -> Iterator[Found]:
    """Yield what is found, in the order in which a doctor would look: what is wrong already is not examined further."""
    value = list(of_value(subject))
    yield from value
    gradients = list(of_gradients(subject))
    if not (value and right_for_another(subject)):
        yield from gradients
    manners = [of for each in MANNERS for of in each(subject)]
    yield from manners
    if value:
        return
    if not all(found.note for found in (*gradients, *manners)):
        yield from (of for of in extremes.at_extremes(subject) if of.position is None)
        return
    later = [of for each in CIRCUMSTANCES for of in each(subject)]
    yield from later
    if all(of.note for of in later):
        yield from higher_order.transforms(subject)


def _result(
    specimen: Specimen, operation: Operation, definition: Definition | None, findings: Iterable[Finding]
) -> Diagnosis:
    """Put together what was found, each code once for each input."""
    unique = {(of.code, of.input, of.severity): of for of in reversed(list(findings))}
    says = definition.says if definition else ""
    return located(Diagnosis(specimen.title, operation.name, says, tuple(unique.values())[::-1]), specimen.function)


def _told(found: Found, subject: Subject) -> Finding:
    """Put what was found in a sentence."""
    name = None if found.position is None else subject.name(found.position)
    sentence = f"{found.words}."
    if found.code == "mutates-input":
        sentence = f"{name} {sentence}"
    else:
        sentence = sentence if name is None else f"the gradient of {name} {sentence}"
        sentence = sentence[0].upper() + sentence[1:]
    where = "" if found.note else advice(subject.operation.name)
    told = " ".join(filter(None, (sentence, found.worst, where)))
    method = found.method or METHODS.get(found.code, "backward")
    return Finding(found.code, told, name, "note" if found.note else "error", method)
