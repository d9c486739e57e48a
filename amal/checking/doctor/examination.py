"""The gradient doctor: examine a Function, and say in words what is wrong with it.

torch.autograd.gradcheck asks one question: is the gradient that arrives at the inputs the slope of the output? It sees
what the engine made of backward's answer, says where two Jacobians differ, and knows nothing of definitions. The doctor
first asks which definition the values follow, then looks at what backward itself returns, measures slopes in float64,
and where the two differ tries one explanation after the other until one gives the very numbers that backward gave.

    from amal.checking import assert_correct, check

    print(check(MyLinear, (input, weight, bias), reference=torch.nn.functional.linear))
    assert_correct(MyLinear, (input, weight, bias))          # in a test
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from amal.errors import did_you_mean
from amal.findings import Diagnosis, Finding, as_text

from . import circumstances, extremes, higher_order, manners
from .definitions import Definition, Operation, all_operations, operation_called
from .gradients import of_gradients
from .questions import advice
from .recognition import of_value, recognised, right_for_another
from .specimen import Arguments, Raised, Specimen
from .subject import Found, Subject, cast

MANNERS = (manners.leaves_alone, manners.keeps_nothing)
CIRCUMSTANCES = (
    extremes.at_extremes,
    extremes.at_kinks,
    circumstances.in_other_layouts,
    circumstances.in_batches_of_one_and_none,
    circumstances.some_alone,
    circumstances.in_float32,
    higher_order.second_derivative,
)


def check(
    function: type[torch.autograd.Function],
    inputs: Sequence[Any],
    reference: Callable[..., Tensor] | None = None,
) -> Diagnosis:
    """Examine any Function, with any inputs.

    Args:
        function: a subclass of torch.autograd.Function, in the old form (`forward(ctx, ...)`) or with `setup_context`.
        inputs: what to pass to `apply`. Floating-point tensors are variables: a gradient is asked for each. They are
            taken to float64, and must lie away from kinks.
        reference: a function of the same inputs that computes the same; None to take the values as they are.

    Returns:
        what was found; `str` it with `amal.findings.as_text`, or see `.verdict` and `.findings`.

    Raises:
        TypeError: not a Function.
    """
    _require_function(function)
    arguments = cast(inputs, torch.float64)
    definitions = (Definition("reference", "the reference given", reference, lambda _: arguments),) if reference else ()
    operation = Operation("any function", (), definitions)
    return _diagnosed(Specimen(function), operation, definitions[0] if definitions else None, arguments, given=True)


def assert_correct(
    function: type[torch.autograd.Function],
    inputs: Sequence[Any],
    reference: Callable[..., Tensor] | None = None,
) -> None:
    """Raise an AssertionError that says in words what is wrong with a Function, if something is; see `check`."""
    diagnosis = check(function, inputs, reference)
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
        return _result(specimen, known, None, [Finding("raises", f"{said[0].upper()}{said[1:]}.")])
    return _diagnosed(specimen, known, found, arguments, dtype)


def _require_function(function: Any) -> None:
    if not (isinstance(function, type) and issubclass(function, torch.autograd.Function)):
        raise TypeError(f"expected a subclass of torch.autograd.Function, got {function!r}")


def _diagnosed(
    specimen: Specimen,
    operation: Operation,
    definition: Definition | None,
    arguments: Arguments,
    dtype: torch.dtype = torch.float64,
    given: bool = False,
) -> Diagnosis:
    """Examine a Function with the arguments of a definition, or with those given."""
    variables = tuple(place for place, of in enumerate(arguments) if isinstance(of, Tensor) and of.is_floating_point())
    subject = Subject(specimen, operation, definition, arguments, variables, dtype, given)
    found: list[Found] = []
    try:
        found.extend(_all_found(subject))  # what came before an exception stays
    except Raised as error:
        if not found:
            found.append(Found("raises", str(error)))
    if definition is not None and not given:
        in_float32 = ", examined in float32" if dtype == torch.float32 else ""
        found.append(Found("definition", definition.says + in_float32, note=True))
    return _result(specimen, operation, definition, (_told(of, subject) for of in found))


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
    if gradients or manners:
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
    return Diagnosis(specimen.function.__name__, operation.name, says, tuple(unique.values())[::-1])


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
    return Finding(found.code, told, name, "note" if found.note else "error")
