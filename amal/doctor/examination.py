"""The gradient doctor: examine a Function, and say in words what is wrong with it.

torch.autograd.gradcheck asks one question: is the gradient that arrives at the inputs the slope of the
output? It sees what the engine makes of backward's answer, says where two Jacobians differ, and knows no
definitions. The doctor first finds the definition that the values follow. Then it looks at what backward
itself returns, and measures slopes in float64. Where the two differ, it tries one explanation after
another until one gives the very numbers of backward.

    from amal.checking import assert_correct, check

    print(check(MyLinear, (input, weight, bias), reference=torch.nn.functional.linear))
    assert_correct(MyLinear, (input, weight, bias))          # in a test
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import torch

from amal import _torch
from amal.errors import did_you_mean

from .calls import CallError
from .declarations import declarations
from .definitions import Definition, Draw, Operation, all_operations, find_operation, use_seed
from .diagnosis import diagnose, result
from .dtypes import computes_in_float32, inaccuracy
from .findings import CODES, Diagnosis, Finding, as_text
from .function_under_test import Composite, FunctionUnderTest, is_function
from .limits import LimitReached, Limits
from .preparation import infinite_output, prepare, require_comparable
from .randomness import preserve_random_state
from .recognition import Unexaminable, recognise
from .sample_inputs import argument_text, find_samples
from .signature import form_faults
from .stand_in import Unavailable
from .subject import DTYPES, Options, Subject, cast, variables_of

ANY, CALLABLE = "any function", "any callable"


def check(
    function: Callable[..., Any],
    inputs: Sequence[Any] | None = None,
    *,
    reference: Callable[..., Any] | None = None,
    surrogate: Callable[..., Any] | None = None,
    requires: Collection[int | str] | None = None,
    outputs: Collection[int] | None = None,
    allow: str | Collection[str] = (),
    atol: float | None = None,
    rtol: float | None = None,
    dtypes: Collection[torch.dtype] = DTYPES,
    seed: int = 0,
    seconds: float | None = None,
    memory: float | None = None,
) -> Diagnosis:
    """Examine any Function, module or other callable, with any inputs. Nothing is printed, nor logged.

    Args:
        function: a subclass of torch.autograd.Function, in the old form (`forward(ctx, ...)`) or with
            `setup_context`; an nn.Module, whose parameters are examined besides its inputs; or any other
            callable, such as an operator of torch.library. For a Function the doctor sees what backward
            itself returns, for others what torch's engine gives.
        inputs: its inputs. Tensors are converted to float64. If some have requires_grad, these are the
            variables, which must have a gradient; otherwise all floating-point tensors are. None for the
            inputs that a Function declares, see `declare`, or else for some that a trial finds.
        reference: a function of the same inputs that computes the same; None to accept the values.
        surrogate: a function of the same inputs whose derivative backward gives, for a gradient that is
            wrong on purpose (straight-through, spikes, reversal). Forward is then judged by itself.
        requires: the variables, by position or by the name that forward has for them; a module's
            parameters by their names.
        outputs: places of the outputs to examine; None for all that have a derivative.
        allow: codes that become notes, such as "second-order" or "kink".
        atol, rtol: how far a gradient may be from the slope, besides the error of the slope itself; None
            for 1e-6 of it and 1e-9.
        dtypes: torch.float64, in which slopes are measured, and the others in which it should work.
        seed: of all random numbers: another seed, another grad_output, and other directions.
        seconds: after this time no further part begins, and a note names the rest. None for no bound.
        memory: the same for GB of resident memory above what the process holds already.

    Returns:
        the diagnosis; `str` it, or see `.verdict` and `.findings`.

    Raises:
        TypeError: the function cannot be called, or a variable has no gradient.
        ValueError: there is no such variable, output or code, torch.float64 is not among the dtypes, or a
            reference or surrogate cannot be called with the inputs.
    """
    if torch.float64 not in dtypes:
        raise ValueError("dtypes: torch.float64 must be among them, as slopes are measured in it")
    declared = declarations(function) if is_function(function) else {}
    reference = reference or declared.get("reference")
    surrogate = surrogate or declared.get("surrogate")
    requires = declared.get("requires") if requires is None else requires
    places = None if outputs is None else tuple(outputs)
    options = Options(places, atol, rtol, tuple(dtypes), seed, Limits(seconds, memory))
    codes = known_codes(allow) | known_codes(declared.get("allow", ()))
    title = str(getattr(function, "__name__", type(function).__name__))
    if faults := form_faults(function, set() if inputs is None else {len(inputs)}):
        return Diagnosis(title, ANY, "", (sentence("raises", "; ".join(faults)),))
    diagnoses: list[Diagnosis] = []
    try:
        with use_seed(seed), preserve_random_state():
            samples, notes = _inputs(function, declared.get("inputs") if inputs is None else inputs)
            trial = any(note.code == "samples" for note in notes)
            # The first sample comes last, and so knows which lines the others reached.
            for sample in reversed(samples):
                diagnosis = _check(function, sample, reference, surrogate, requires, options, trial)
                diagnoses.insert(0, diagnosis)
    except LimitReached:
        words = f"{options.limits.excess}, and nothing has been compared"
        return Diagnosis(title, CALLABLE, "", (sentence("not-examined", words),))
    except Unavailable as error:
        return Diagnosis(title, ANY, "", (sentence("not-examined", str(error)),))
    if not diagnoses:
        return Diagnosis(title, ANY, "", tuple(notes))
    wrong = [diagnosis for diagnosis in diagnoses if diagnosis.verdict != "correct"]
    diagnosis = next(iter(wrong), diagnoses[0])
    notes = [*_sample_note(diagnosis, diagnoses, samples), *notes]
    return _allow(replace(diagnosis, findings=(*diagnosis.findings, *notes)), codes)


def _inputs(function: Any, inputs: Any) -> tuple[list[Sequence[Any]], list[Finding]]:
    """Return all inputs to examine a function with, one sample after the other, and notes on them."""
    inputs = inputs() if callable(inputs) else inputs
    if isinstance(inputs, torch.Tensor):
        inputs = (inputs,)
    if inputs is not None:
        containers = [
            str(place)
            for place, value in enumerate(inputs)
            if isinstance(value, list | tuple | dict)
            and any(isinstance(leaf, torch.Tensor) for leaf in _torch.leaves(value))
        ]
        words = f"tensors inside of input {', '.join(containers)} are constants here: give them one by one"
        return [inputs], [Finding("not-reached", f"{words}.", severity="note")] if containers else []
    if not is_function(function):
        words = "none were given, and they are found for a Function alone"
        raise TypeError(f"inputs: {words}, not for {function!r}")
    wrapper = FunctionUnderTest(function)
    names = ", ".join(wrapper.names)
    samples, misfit = find_samples(wrapper)
    if not samples:
        words = f"no inputs were found that its forward ({names}) takes: give some"
        words += f", such as --inputs '{wrapper.title}=randn(4, 3), 2', or by sample_inputs in the file"
        return [], [sentence("not-examined", words)]
    words = "; ".join(f"({names}) = {argument_text(sample.arguments)}" for sample in samples)
    if misfit is not None:
        how = "is None for some of them" if misfit.fits > 1 else "cannot be had, or has another shape"
        words += f". Forward takes {argument_text(misfit.arguments)} too, and there the gradient {how}"
    note = Finding("samples", f"Examined with {words}.", severity="note")
    return [sample.arguments for sample in samples], [note]


def _sample_note(
    diagnosis: Diagnosis, diagnoses: Sequence[Diagnosis], samples: Sequence[Sequence[Any]]
) -> list[Finding]:
    """Say with which inputs something is wrong, if it is not wrong with all."""
    texts = list(map(argument_text, samples))
    pairs = list(zip(texts, diagnoses, strict=True))
    right = [text for text, each in pairs if each.verdict == "correct"]
    if not right or diagnosis.verdict == "correct":
        return []
    inputs = next(text for text, each in pairs if each is diagnosis)
    words = f"This is with {inputs}; with {', with '.join(right)} nothing is wrong."
    return [Finding("samples", words, severity="note")]


def _check(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    reference: Callable[..., Any] | None,
    surrogate: Callable[..., Any] | None,
    requires: Collection[int | str] | None,
    options: Options,
    trial: bool,
) -> Diagnosis:
    """Examine with some inputs, which the user gave, or a trial found."""
    ready = prepare(function, inputs, requires, reference)
    definition = None
    if ready.reference:
        says = "the reference given"
        definition = Definition("reference", says, ready.reference, lambda _: ready.arguments)
    kind = CALLABLE if isinstance(ready.function, Composite) else ANY
    operation = Operation(kind, (), (definition,) if definition else ())
    ready.function.limits = options.limits
    if ready.obstacle:
        finding = sentence("not-examined", ready.obstacle)
        return result(ready.function, operation, None, [finding])
    if surrogate is not None:  # it takes the same arguments as a reference
        surrogate = prepare(function, inputs, requires, surrogate).reference
    for name, other in (("reference", ready.reference), ("surrogate", surrogate)):
        if other is not None:
            require_comparable(name, other, ready)
    if words := infinite_output(ready):
        return result(ready.function, operation, None, [sentence("not-examined", words)])
    call = ready.function, ready.arguments, ready.variables
    dtype = torch.float32 if computes_in_float32(*call) else torch.float64
    is_measured = dtype == torch.float64 and options.rtol is None
    subject = Subject(
        ready.function,
        operation,
        definition,
        cast(ready.arguments, dtype),
        ready.variables,
        dtype,
        fixed_inputs=True,
        trial_inputs=trial,
        surrogate=surrogate,
        options=options,
        inaccuracy=inaccuracy(*call) if is_measured else 0.0,
    )
    return diagnose(subject)


def known_codes(codes: str | Collection[str]) -> set[str]:
    """Return codes as a set; a single one may be a string.

    Raises:
        ValueError: there is no such code.
    """
    names = {codes} if isinstance(codes, str) else set(codes)
    if unknown := names - set(CODES):
        words = f"no code {', '.join(sorted(unknown))}; there are {', '.join(CODES)}"
        raise ValueError(f"allow: {words}")
    return names


def _allow(diagnosis: Diagnosis, codes: Collection[str]) -> Diagnosis:
    """Return the diagnosis with findings of some codes as notes."""
    findings = (
        replace(finding, severity="note") if finding.code in codes else finding for finding in diagnosis.findings
    )
    return replace(diagnosis, findings=tuple(findings))


def assert_correct(function: Callable[..., Any], inputs: Sequence[Any] | None = None, **options: Any) -> None:
    """Raise an AssertionError that says what is wrong, or that nothing could be examined; see `check`.

    Args:
        function, inputs: as `check` takes them.
        options: as `check` takes them, by name.
    """
    diagnosis = check(function, inputs, **options)
    if diagnosis.verdict != "correct":
        raise AssertionError("\n" + as_text([diagnosis]))


def examine(function: type[torch.autograd.Function], operation: str, definition: str | None = None) -> Diagnosis:
    """Examine a Function as an operation that the doctor knows.

    Args:
        function: a subclass of torch.autograd.Function.
        operation: the name of its operation, such as "linear"; `all_operations` lists them.
        definition: the name of one of the operation's definitions; None to find out which one it follows.

    Raises:
        TypeError: not a Function.
        ValueError: there is no such operation, or it has no such definition.
    """
    if not is_function(function):
        raise TypeError(f"expected a subclass of torch.autograd.Function, got {function!r}")
    declared = declarations(function)
    kind = find_operation(operation)
    if kind is None:
        hint = did_you_mean(operation, all_operations())
        raise ValueError(f"no operation {operation}{hint}; there are {', '.join(all_operations())}")
    wrapper = FunctionUnderTest(function)
    definitions = [each for each in kind.definitions if definition in (None, each.name)]
    if not definitions:
        names = ", ".join(each.name for each in kind.definitions)
        raise ValueError(f"{kind.name} has no definition {definition}; there are {names}")
    if faults := form_faults(function, {len(each.draw(Draw(0))) for each in definitions}):
        return result(wrapper, kind, None, [sentence("raises", "; ".join(faults))])
    try:
        with preserve_random_state():
            match = recognise(wrapper, kind.name, definitions)
            subject = Subject(
                wrapper,
                replace(kind, definitions=match.definitions),
                match.definition,
                match.arguments,
                variables_of(match.arguments, match.constants),
                match.dtype,
                constants=match.constants,
                surrogate=declared.get("surrogate"),
            )
            return _allow(diagnose(subject), known_codes(declared.get("allow", ())))
    except CallError as error:
        return result(wrapper, kind, None, [sentence("raises", str(error), error.method)])
    except (Unexaminable, Unavailable) as error:
        return result(wrapper, kind, None, [sentence("not-examined", str(error))])


def sentence(code: str, words: str, method: str | None = None) -> Finding:
    """Return a finding whose message is some words as a sentence."""
    return Finding(code, f"{words[0].upper()}{words[1:]}.", method=method)
