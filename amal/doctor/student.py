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

from .declarations import declared
from .examination import ANY, check, examine, sentence
from .findings import Diagnosis, Finding
from .importing import import_failure, import_file
from .module_functions import Chosen, functions_of


def main(tell: Callable[..., None], path: str, names: list[str], options: dict[str, dict[str, str]], done: int) -> None:
    """Import a file, examine the Functions in it, and tell of each step, so that it is known how far this came.

    Args:
        tell: takes `ready`; then `failed` with a reason, or `chosen` with a name and an operation of each, and each
            `diagnosis`.
        path: of the file.
        names: of the Functions, as `functions_of` takes them.
        options: "inputs" and "surrogates", each with a Python expression by the name of a Function.
        done: how many of the Functions, from the first, other processes have examined.
    """
    torch.set_num_threads(1)
    tell(ready=True)
    try:
        imported = import_file(Path(path))
    except BaseException as error:  # whatever a student's file does when it is imported
        return tell(failed=import_failure(error, path))
    module, notes = imported.module, [Finding("imported-in-part", of, None, "note") for of in imported.notes]
    try:
        chosen = functions_of(module, names)
        unknown = {name for given in options.values() for name in given} - {of.name for of in chosen}
        if unknown:
            raise UserError(
                f"no Function {', '.join(sorted(unknown))}; there are {', '.join(of.name for of in chosen)}"
            )
    except UserError as error:
        if imported.failure is not None and not names:
            return tell(failed=import_failure(imported.failure, path))
        return tell(failed=" ".join([f"{error}.", *imported.notes]) if imported.notes else str(error))
    chosen = chosen[done:]
    tell(chosen=[[of.name, of.operation.name if of.operation else ANY] for of in chosen])
    for of in chosen:
        torch.manual_seed(0)
        try:
            said = examined(of, module, {kind: given.get(of.name) for kind, given in options.items()})
        except UserError as error:
            return tell(failed=str(error))
        tell(diagnosis=replace(said, function=of.name, findings=(*said.findings, *notes)).as_dict())
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
        told = re.search(r"\bsurrogate\s*[=:]\s*(lambda\b.*)", chosen.function.__doc__ or "")
        surrogate = told[1].rstrip("`. ") if told else None
    said = [evaluated(words, module, chosen.name) if words else None for words in (inputs, surrogate)]
    try:
        given = said[0] or _sample_inputs(module, chosen)
        meant = said[1][0] if said[1] else None
        if chosen.operation is None or meant is not None or declared(chosen.function).get("reference"):
            return check(chosen.function, given, surrogate=meant)
        known = examine(chosen.function, chosen.operation.name, chosen.definition)
        if known.verdict != "not examined" and (given is None or known.verdict != "correct"):
            return known
        besides = check(chosen.function, given)  # what fits no definition is held against its own forward at least
        return known if besides.verdict in ("correct", "not examined") else besides
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
        said = " ".join(str(error).split())
        raise UserError(f"{name}: `{expression}` gives no value: {type(error).__name__}: {said}") from error


def _sample_inputs(module: ModuleType, chosen: Chosen) -> Sequence[Any] | None:
    """Return the inputs that the file gives for a Function: `sample_inputs = {"Bilinear": (randn(4, 3), ...)}`."""
    samples = getattr(module, "sample_inputs", None)
    samples = samples() if callable(samples) else samples
    if not isinstance(samples, Mapping):
        return None
    given = samples.get(chosen.name, samples.get(chosen.function))
    return cast(Sequence[Any] | None, given() if callable(given) else given)
