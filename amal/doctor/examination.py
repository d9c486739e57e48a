"""The gradient doctor: examine a Function, and say in words what is wrong with it.

torch.autograd.gradcheck asks one question: is the gradient that arrives at the inputs the slope of the output? It sees
what the engine made of backward's answer, says where two Jacobians differ, and knows nothing of definitions. The doctor
first asks which definition the values follow, then looks at what backward itself returns, measures slopes in float64,
and where the two differ tries one explanation after the other until one gives the very numbers that backward gave.

    from amal.checking import assert_correct, check

    print(check(MyLinear, (input, weight, bias), reference=torch.nn.functional.linear))
    assert_correct(MyLinear, (input, weight, bias))          # in a test
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from amal.errors import did_you_mean

from .declarations import declarations
from .definitions import Definition, Draw, Operation, all_operations, find_operation, use_seed
from .effort import LimitReached, Limits
from .findings import CODES, Diagnosis, Finding, as_text
from .function_under_test import CallError, Composite, FunctionUnderTest, is_function
from .precision import computes_in_float32, inaccuracy
from .preparation import prepared, require_comparable, without_numbers
from .randomness import preserve_random_state
from .recognition import Unexaminable, recognised
from .sample_inputs import found_samples, in_words
from .signature import form_faults
from .stand_in import Unavailable
from .subject import DTYPES, Options, Subject, cast, variables_of
from .verdict import diagnose, result

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
            callable, such as an operator of torch.library. Of a Function what backward itself returns is
            examined, of others what torch's engine gives.
        inputs: what to call it with. Tensors are taken to float64. If some have requires_grad, these are the
            variables, for which a gradient is asked; otherwise all floating-point tensors are. None for those
            that a Function declares, see `declare`, or else for some that are found by trying.
        reference: a function of the same inputs that computes the same; None to take the values as they are.
        surrogate: a function of the same inputs whose derivative backward is meant to give, for a gradient
            that is wrong on purpose (straight-through, spikes, reversal). Forward is then judged by itself.
        requires: the variables, by position or by the name that forward has for them; a module's parameters
            by theirs.
        outputs: places of the outputs to examine; None for all that have a derivative.
        allow: codes that become notes, such as "second-order" or "kink".
        atol, rtol: how far a gradient may be from the slope, besides what the slope itself may be off; None
            for 1e-6 of it and 1e-9.
        dtypes: torch.float64, in which slopes are measured, and the others in which it should work.
        seed: of all that is drawn; another one, another grad_output, and other directions.
        seconds: after so many no further part is begun; what was not done is said. None for no bound.
        memory: the same for GB of resident memory above what the process holds already.

    Returns:
        what was found; `str` it, or see `.verdict` and `.findings`.

    Raises:
        TypeError: the function cannot be called, or a variable has no gradient.
        ValueError: there is no such variable, output or code, torch.float64 is not among the dtypes, or a
            reference or surrogate cannot be called with the inputs.
    """
    if torch.float64 not in dtypes:
        raise ValueError("dtypes: torch.float64 must be among them, as slopes are measured in it")
    said = declarations(function) if is_function(function) else {}
    reference, surrogate = reference or said.get("reference"), surrogate or said.get("surrogate")
    requires = said.get("requires") if requires is None else requires
    chosen = None if outputs is None else tuple(outputs)
    options = Options(chosen, atol, rtol, tuple(dtypes), seed, Limits(seconds, memory))
    codes = known_codes(allow) | known_codes(said.get("allow", ()))
    if faults := form_faults(function, set() if inputs is None else {len(inputs)}):
        return Diagnosis(function.__name__, ANY, "", (sentence("raises", "; ".join(faults)),))
    try:
        with use_seed(seed), preserve_random_state():
            samples, notes = _inputs(function, inputs, said)
            tried = any(of.code == "samples" for of in notes)
            # The first comes last, and so knows which lines the others reached.
            found = [
                _checked(function, of, reference, surrogate, requires, options, tried) for of in reversed(samples)
            ][::-1]
    except LimitReached:
        words = f"{options.effort.spent}, and nothing has been compared"
        return Diagnosis(_title(function), CALLABLE, "", (sentence("not-examined", words),))
    except Unavailable as error:
        found, notes = [], [sentence("not-examined", str(error))]
    if not found:
        return Diagnosis(_title(function), ANY, "", tuple(notes))
    diagnosis = next((of for of in found if of.verdict != "correct"), found[0])
    notes = [*_which(diagnosis, found, samples), *notes]
    return _allowed(replace(diagnosis, findings=(*diagnosis.findings, *notes)), codes)


def _inputs(
    function: Any, inputs: Sequence[Any] | None, said: dict[str, Any]
) -> tuple[list[Sequence[Any]], list[Finding]]:
    """Return all that a function is called with, one after the other, and what there is to say of it."""
    if inputs is None:
        inputs = said.get("inputs")
        inputs = inputs() if callable(inputs) else inputs
    if isinstance(inputs, torch.Tensor):
        inputs = (inputs,)
    if inputs is not None:
        inside = [
            str(place)
            for place, of in enumerate(inputs)
            if isinstance(of, list | tuple | dict) and any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(of))
        ]
        words = f"tensors inside of input {', '.join(inside)} are constants here: give them one by one"
        return [inputs], [Finding("not-reached", f"{words}.", severity="note")] if inside else []
    if not is_function(function):
        raise TypeError(f"inputs: none were given, and they are found for a Function alone, not for {function!r}")
    wrapper = FunctionUnderTest(function)
    samples, unfit = found_samples(wrapper)
    if not samples:
        words = f"no inputs were found that its forward ({', '.join(wrapper.names)}) takes: give some"
        words += f", such as --inputs '{wrapper.title}=randn(4, 3), 2', or by sample_inputs in the file"
        return [], [sentence("not-examined", words)]
    words = "; ".join(f"({', '.join(wrapper.names)}) = {of.says}" for of in samples)
    if unfit is not None:
        how = "is None for some of them" if unfit.fits > 1 else "cannot be had, or has another shape"
        words += f". Forward takes {unfit.says} too, and there the gradient {how}"
    return [of.arguments for of in samples], [Finding("samples", f"Examined with {words}.", severity="note")]


def _which(diagnosis: Diagnosis, found: Sequence[Diagnosis], samples: Sequence[Sequence[Any]]) -> list[Finding]:
    """Say with which inputs something is wrong, where it is not with all."""
    right = [in_words(of) for of, one in zip(samples, found, strict=True) if one.verdict == "correct"]
    if not right or diagnosis.verdict == "correct":
        return []
    inputs = in_words(samples[[one is diagnosis for one in found].index(True)])
    words = f"This is with {inputs}; with {', with '.join(right)} nothing is wrong."
    return [Finding("samples", words, severity="note")]


def _checked(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    reference: Callable[..., Any] | None,
    surrogate: Callable[..., Any] | None,
    requires: Collection[int | str] | None,
    options: Options,
    tried: bool,
) -> Diagnosis:
    """Examine with some inputs, which were given, or found by trying."""
    ready = prepared(function, inputs, requires, reference)
    kind = CALLABLE if isinstance(ready.function, Composite) else ANY
    definitions = (
        (Definition("reference", "the reference given", ready.reference, lambda _: ready.arguments),)
        if ready.reference
        else ()
    )
    operation = Operation(kind, (), definitions)
    ready.function.effort = options.effort
    if ready.unable:
        return result(ready.function, operation, None, [sentence("not-examined", ready.unable)])
    # A surrogate takes what a reference takes.
    meant = None if surrogate is None else prepared(function, inputs, requires, surrogate).reference
    for name, one in (("reference", ready.reference), ("surrogate", meant)):
        if one is not None:
            require_comparable(name, one, ready)
    if words := without_numbers(ready):
        return result(ready.function, operation, None, [sentence("not-examined", words)])
    dtype = torch.float32 if computes_in_float32(ready.function, ready.arguments, ready.variables) else torch.float64
    off = 0.0
    if dtype == torch.float64 and options.rtol is None:
        off = inaccuracy(ready.function, ready.arguments, ready.variables)
    return diagnose(
        Subject(
            ready.function,
            operation,
            definitions[0] if definitions else None,
            cast(ready.arguments, dtype),
            ready.variables,
            dtype,
            fixed_inputs=True,
            trial_inputs=tried,
            surrogate=meant,
            options=options,
            inaccuracy=off,
        )
    )


def _title(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def known_codes(codes: str | Collection[str]) -> set[str]:
    """Return codes as a set; one may be given by itself.

    Raises:
        ValueError: there is no such code.
    """
    asked = {codes} if isinstance(codes, str) else set(codes)
    unknown = asked - set(CODES)
    if unknown:
        raise ValueError(f"allow: no code {', '.join(sorted(unknown))}; there are {', '.join(CODES)}")
    return asked


def _allowed(diagnosis: Diagnosis, codes: Collection[str]) -> Diagnosis:
    """Return the diagnosis with findings of some codes as notes."""
    findings = (
        replace(finding, severity="note") if finding.code in codes else finding for finding in diagnosis.findings
    )
    return replace(diagnosis, findings=tuple(findings))


def assert_correct(function: Callable[..., Any], inputs: Sequence[Any] | None = None, **options: Any) -> None:
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
    said = declarations(function)
    known = find_operation(operation)
    if known is None:
        hint = did_you_mean(operation, all_operations())
        raise ValueError(f"no operation {operation}{hint}; there are {', '.join(all_operations())}")
    wrapper = FunctionUnderTest(function)
    definitions = [of for of in known.definitions if definition in (None, of.name)]
    if not definitions:
        names = ", ".join(of.name for of in known.definitions)
        raise ValueError(f"{known.name} has no definition {definition}; there are {names}")
    if faults := form_faults(function, {len(of.draw(Draw(0))) for of in definitions}):
        return result(wrapper, known, None, [sentence("raises", "; ".join(faults))])
    try:
        with preserve_random_state():
            found = recognised(wrapper, known.name, definitions)
            subject = Subject(
                wrapper,
                replace(known, definitions=found.definitions),
                found.definition,
                found.arguments,
                variables_of(found.arguments, found.constants),
                found.dtype,
                constants=found.constants,
                surrogate=said.get("surrogate"),
            )
            return _allowed(diagnose(subject), known_codes(said.get("allow", ())))
    except CallError as error:
        return result(wrapper, known, None, [sentence("raises", str(error), error.method)])
    except (Unexaminable, Unavailable) as error:
        return result(wrapper, known, None, [sentence("not-examined", str(error))])


def sentence(code: str, words: str, method: str | None = None) -> Finding:
    """Return a finding whose message is some words as a sentence."""
    return Finding(code, f"{words[0].upper()}{words[1:]}.", method=method)


def _require_function(function: Any) -> None:
    if not is_function(function):
        raise TypeError(f"expected a subclass of torch.autograd.Function, got {function!r}")
