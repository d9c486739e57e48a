"""What runs in the sandbox for `amal check FILE`: a student's file, and the doctor who examines it."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch

from amal.errors import UserError

from .choice import Chosen, functions_of
from .declared import declared
from .examination import ANY, check, examine, sentence
from .findings import Diagnosis, Finding
from .importing import import_failure, import_file


def main(
    tell: Callable[..., None],
    path: str,
    names: list[str],
    options: dict[str, dict[str, str]],
    done: int,
) -> None:
    """Import a file, and examine the Functions in it.

    Args:
        tell: takes each `step` in words, before it is done; and `failed` with a reason, or once
            `chosen` with a name and an operation of each Function, and each `diagnosis`.
        path: of the file.
        names: of the Functions, as `functions_of` takes them.
        options: "inputs" and "surrogates", each with a Python expression by the name of a Function.
        done: how many of the Functions, from the first, other processes have examined.
    """
    torch.set_num_threads(1)
    tell(step=f"importing {Path(path).name}")
    try:
        imported = import_file(Path(path))
    except BaseException as error:  # whatever a student's file does when it is imported
        return tell(failed=import_failure(error, path))
    module = imported.module
    notes = [Finding("imported-in-part", note, None, "note") for note in imported.notes]
    try:
        functions = functions_of(module, names)
        all_names = [function.name for function in functions]
        others = {name for option in options.values() for name in option} - {*all_names}
        if others:
            listing = ", ".join(all_names)
            raise UserError(f"no Function {', '.join(sorted(others))}; there are {listing}")
    except UserError as error:
        if imported.failure is not None and not names:
            return tell(failed=import_failure(imported.failure, path))
        return tell(failed=" ".join([f"{error}.", *imported.notes]) if notes else str(error))
    operations = [each.operation.name if each.operation else ANY for each in functions]
    tell(chosen=[*zip(all_names, operations, strict=True)])
    for number, function in enumerate(functions[done:], start=done + 1):
        tell(step=f"examining {function.name} ({number} of {len(functions)})")
        torch.manual_seed(0)
        own = {kind: option.get(function.name) for kind, option in options.items()}
        try:
            diagnosis = examined(function, module, own)
        except UserError as error:
            return tell(failed=str(error))
        findings = (*diagnosis.findings, *notes)
        tell(diagnosis=replace(diagnosis, function=function.name, findings=findings).as_dict())
    return None


def examined(chosen: Chosen, module: ModuleType, options: Mapping[str, str | None]) -> Diagnosis:
    """Return the diagnosis.

    Raises:
        UserError: what was said of it, in the file or by the options, is not understood.
    """
    if chosen.function is None or chosen.unable:
        return Diagnosis(chosen.name, ANY, "", (Finding("not-examined", f"{chosen.name} {chosen.unable}."),))
    inputs, surrogate = options.get("inputs"), options.get("surrogates")
    if surrogate is None and not hasattr(chosen.function, "doctor"):
        match = re.search(r"\bsurrogate\s*[=:]\s*(lambda\b.*)", chosen.function.__doc__ or "")
        surrogate = match[1].rstrip("`. ") if match else None
    texts = inputs, surrogate
    values = [evaluated(text, module, chosen.name) if text else None for text in texts]
    try:
        samples = values[0] or _sample_inputs(module, chosen)
        meaning = values[1][0] if values[1] else None
        reference = declared(chosen.function).get("reference")
        if chosen.operation is None or meaning is not None or reference:
            return check(chosen.function, samples, surrogate=meaning)
        diagnosis = examine(chosen.function, chosen.operation.name, chosen.definition)
        doubtful = ("not examined",) if samples is None else ("not examined", "correct")
        if diagnosis.verdict not in doubtful:
            return diagnosis
        second = check(chosen.function, samples)  # what fits no definition has its own forward
        return diagnosis if second.verdict in ("correct", "not examined") else second
    except Exception as error:  # of what the file says of it: the other Functions are examined all the same
        if inputs or surrogate or chosen.definition:
            raise UserError(str(error)) from error
        words = f"what the file says of {chosen.name} is not understood: {error}"
        return Diagnosis(chosen.name, ANY, "", (sentence("not-examined", words),))


def evaluated(expression: str, module: ModuleType, name: str) -> tuple[Any, ...]:
    """Return what a Python expression gives, as a tuple: `randn(4, 3), randn(3)`; torch's names need no `torch.`.

    Raises:
        UserError: it gives nothing.
    """
    torch.manual_seed(0)
    space = {**vars(torch), **vars(module), "torch": torch, "math": math}
    try:
        return tuple(eval(f"({expression}\n,)", space))
    except Exception as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{name}: `{expression}` gives no value: {words}") from error


def _sample_inputs(module: ModuleType, chosen: Chosen) -> Sequence[Any] | None:
    """Return the inputs that the file gives for a Function: `sample_inputs = {"Bilinear": (randn(4, 3), ...)}`."""
    samples = getattr(module, "sample_inputs", None)
    samples = samples() if callable(samples) else samples
    if not isinstance(samples, Mapping):
        return None
    sample = samples.get(chosen.name, samples.get(chosen.function))
    return cast(Sequence[Any] | None, sample() if callable(sample) else sample)
