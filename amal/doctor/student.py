"""What runs in the sandbox for `amal check FILE`: a student's file, and the doctor that examines it."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch

from amal.errors import UserError

from .declarations import declarations
from .examination import ANY, check, examine, sentence
from .findings import Diagnosis, Finding
from .importing import import_failure, import_file
from .module_functions import Candidate, module_functions


def main(tell: Callable[..., None], path: str, names: list[str], options: dict[str, dict[str, str]], skip: int) -> None:
    """Import a file, and examine its Functions.

    Args:
        tell: takes each `step` in words, before it is done; and `failed` with a reason, or once
            `chosen` with the name and operation of each Function, and each `diagnosis`.
        path: the file.
        names: names of Functions, as `module_functions` takes them.
        options: "inputs" and "surrogates", each a dictionary: name of a Function -> Python expression.
        skip: how many Functions, from the first, other processes have examined.
    """
    torch.set_num_threads(1)
    tell(step=f"importing {Path(path).name}")
    try:
        result = import_file(Path(path))
    except BaseException as error:  # whatever a student's file does when it is imported
        return tell(failed=import_failure(error, path))
    module = result.module
    notes = [Finding("imported-in-part", note, None, "note") for note in result.notes]
    try:
        candidates = module_functions(module, names)
        own_names = [candidate.name for candidate in candidates]
        unknown = {name for option in options.values() for name in option} - {*own_names}
        if unknown:
            raise UserError(f"no Function {', '.join(sorted(unknown))}; there are {', '.join(own_names)}")
    except UserError as error:
        if result.failure is not None and not names:
            return tell(failed=import_failure(result.failure, path))
        return tell(failed=" ".join([f"{error}.", *result.notes]) if notes else str(error))
    operations = [each.operation.name if each.operation else ANY for each in candidates]
    tell(chosen=[*zip(own_names, operations, strict=True)])
    for number, candidate in enumerate(candidates[skip:], start=skip + 1):
        tell(step=f"examining {candidate.name} ({number} of {len(candidates)})")
        torch.manual_seed(0)
        expressions = {kind: option.get(candidate.name) for kind, option in options.items()}
        try:
            diagnosis = diagnose(candidate, module, expressions)
        except UserError as error:
            return tell(failed=str(error))
        findings = (*diagnosis.findings, *notes)
        tell(diagnosis=replace(diagnosis, function=candidate.name, findings=findings).as_dict())
    return None


def diagnose(candidate: Candidate, module: ModuleType, expressions: Mapping[str, str | None]) -> Diagnosis:
    """Return the diagnosis of a Function.

    Raises:
        UserError: an option, or what the file declares, is wrong.
    """
    name, function = candidate.name, candidate.function
    if function is None or candidate.obstacle:
        finding = Finding("not-examined", f"{name} {candidate.obstacle}.")
        return Diagnosis(name, ANY, "", (finding,))
    inputs, surrogate = expressions.get("inputs"), expressions.get("surrogates")
    if surrogate is None and not hasattr(function, "doctor"):
        match = re.search(r"\bsurrogate\s*[=:]\s*(lambda\b.*)", function.__doc__ or "")
        surrogate = match[1].rstrip("`. ") if match else None
    arguments: Sequence[Any] | None = evaluate(inputs, module, name) if inputs else None
    substitute = evaluate(surrogate, module, name)[0] if surrogate else None
    try:
        arguments = arguments or _sample_inputs(module, candidate)
        if candidate.operation is None or substitute is not None or declarations(function).get("reference"):
            return check(function, arguments, surrogate=substitute)
        diagnosis = examine(function, candidate.operation.name, candidate.definition)
        if diagnosis.verdict != "not examined" and (arguments is None or diagnosis.verdict != "correct"):
            return diagnosis
        # A Function that fits no definition is at least compared with its own forward.
        second = check(function, arguments)
        return diagnosis if second.verdict in ("correct", "not examined") else second
    except Exception as error:  # what the file declares is wrong: examine its other Functions all the same
        if inputs or surrogate or candidate.definition:
            raise UserError(str(error)) from error
        words = f"what the file says of {name} is not understood: {error}"
        return Diagnosis(name, ANY, "", (sentence("not-examined", words),))


def evaluate(expression: str, module: ModuleType, name: str) -> tuple[Any, ...]:
    """Return the value of a Python expression as a tuple: `randn(4, 3), randn(3)`.

    Torch's names need no `torch.`.

    Raises:
        UserError: it has no value.
    """
    torch.manual_seed(0)
    space = {**vars(torch), **vars(module), "torch": torch, "math": math}
    try:
        return tuple(eval(f"({expression}\n,)", space))
    except Exception as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{name}: `{expression}` gives no value: {words}") from error


def _sample_inputs(module: ModuleType, candidate: Candidate) -> Sequence[Any] | None:
    """Return the inputs that the file has for a Function: `sample_inputs = {"Bilinear": (randn(4, 3), ...)}`."""
    samples = getattr(module, "sample_inputs", None)
    samples = samples() if callable(samples) else samples
    if not isinstance(samples, Mapping):
        return None
    inputs = samples.get(candidate.name, samples.get(candidate.function))
    return cast(Sequence[Any] | None, inputs() if callable(inputs) else inputs)
