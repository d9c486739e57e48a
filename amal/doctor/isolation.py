"""Examine a student's file in a sandbox: what the doctor says of each Function, and what became of the process."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from amal.errors import UserError
from amal.sandbox import WHOLE, Ending, Limits, Sandbox

from .findings import Diagnosis, Finding, diagnosis_from
from .source_functions import functions_in

STUDENT = "amal.doctor.student"
ENVIRONMENT = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
NONE: Mapping[str, str] = {}
SHOWN = 2000
"""Characters of what the file printed that are kept."""


@dataclass
class Report:
    """What came of examining a file."""

    diagnoses: list[Diagnosis] = field(default_factory=list)
    printed: str = ""
    """The beginning of what the file itself printed."""
    seconds: float = 0.0
    """That its processes ran, the start of Python and torch not counted."""

    def add(self, path: Path, chosen: "Chosen", code: str, words: str) -> None:
        """Note a Function whose examination did not come to its end."""
        findings = (Finding(code, f"{chosen.name} {words}."),)
        self.diagnoses.append(_placed(Diagnosis(chosen.name, chosen.operation, "", findings), path))


def _placed(diagnosis: Diagnosis, path: Path) -> Diagnosis:
    """Return a diagnosis with the file, and with the line of the class, where it has none."""
    if diagnosis.file is not None:
        return diagnosis
    try:
        places = functions_in(path).items()
    except UserError:
        places = {}.items()
    lines = [of.line for name, of in places if diagnosis.function in (name, name.split(".")[-1])]
    return replace(diagnosis, file=str(path.resolve()), line=next(iter(lines), None))


def examining() -> Sandbox:
    """Return a sandbox to examine files in: it starts torch once, and each file is run in a process of its own."""
    return Sandbox([STUDENT], ENVIRONMENT)


def examine_file(
    path: Path,
    names: tuple[str, ...] = (),
    time_limit: float = 30.0,
    memory_limit: float = 4.0,
    inputs: Mapping[str, str] = NONE,
    surrogates: Mapping[str, str] = NONE,
    sandbox: Sandbox | None = None,
) -> Report:
    """Return what comes of examining a file; see `examination_of`, which takes the same."""
    *_, report = examination_of(path, names, time_limit, memory_limit, inputs, surrogates, sandbox)
    assert isinstance(report, Report)
    return report


def examination_of(
    path: Path,
    names: tuple[str, ...] = (),
    time_limit: float = 30.0,
    memory_limit: float = 4.0,
    inputs: Mapping[str, str] = NONE,
    surrogates: Mapping[str, str] = NONE,
    sandbox: Sandbox | None = None,
) -> Iterator[str | Report]:
    """Examine the Functions of a file; yield what is done next, in words, and at last the report.

    A Function that crashes, exits, or does not end is followed by a process for the rest.

    Args:
        path: a Python file.
        names: of the Functions, such as `Linear` or `MyLayer=linear`; all if there are none.
        time_limit: seconds for the import, and for each Function; the whole file has ten times as long.
        memory_limit: GB that the file's processes may hold together.
        inputs: name of a Function -> a Python expression, what to call it with: "randn(4, 3), randn(3)".
        surrogates: name of a Function -> a Python expression, the function whose derivative is meant.
        sandbox: of `examining`, for more files than one; None for one of its own.

    Raises:
        UserError: the file is not there, cannot be imported, or holds no Function.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there" if not path.exists() else f"{path} is not a file")
    report, left = Report(), None
    options = {"inputs": dict(inputs), "surrogates": dict(surrogates)}
    with examining() if sandbox is None else nullcontext(sandbox) as sandbox:
        while left is None or (left and report.seconds < WHOLE * time_limit):
            limits = Limits(time_limit, WHOLE * time_limit - report.seconds, memory_limit)
            left = yield from _examine(sandbox, path, names, left, limits, report, options)
    too_long = f"was not examined: the whole file took more than {WHOLE * time_limit:g} seconds"
    for of in left:
        report.add(path, of, "raises", too_long)
    yield report


class Chosen(NamedTuple):
    """A Function to examine, and the operation that it is meant to be."""

    name: str
    operation: str


def _examine(
    sandbox: Sandbox,
    path: Path,
    names: Sequence[str],
    left: list[Chosen] | None,
    limits: Limits,
    report: Report,
    options: dict[str, dict[str, str]],
) -> Generator[str, None, list[Chosen]]:
    """Examine in one process what it can, of what is left by those before; return what is left for another one."""
    ready = False
    chosen, done = left, 0
    begun = False  # with the Functions: the import is over
    done_before = len(report.diagnoses)
    for said in sandbox.run(f"{STUDENT}:main", str(path), [*names], options, done_before, limits=limits):
        match said:
            case {"ready": _}:
                ready = True
                yield f"importing {path.name}"
            case {"failed": words}:
                raise UserError(words)
            case {"chosen": pairs}:
                begun = True
                chosen = [Chosen(*pair) for pair in pairs]
                yield from _next(chosen, done, done_before)
            case {"diagnosis": entry}:
                report.diagnoses.append(_placed(diagnosis_from(entry), path))
                done += 1
                yield from _next(chosen or [], done, done_before)
            case Ending():
                ending = said
    report.seconds += ending.seconds
    report.printed = (report.printed + ending.printed)[:SHOWN]
    if chosen is None:
        if not ready:
            reason = f"{ending}: {ending.printed.strip()[-300:]}".rstrip(": ")
            raise UserError(f"the process that should examine {path} {reason}")
        raise UserError(f"{path} cannot be imported: it {ending}")
    if done == len(chosen):
        return []
    lost = chosen[done : done + 1] if begun else chosen  # what ends the import once more ends it for all
    for of in lost:
        report.add(path, of, "killed" if ending.killed else "raises", str(ending))
    return chosen[done + len(lost) :]


def _next(chosen: Sequence[Chosen], done: int, before: int) -> Iterator[str]:
    """Yield which Function is examined after so many in this process, and some before, if one is left."""
    if done < len(chosen):
        yield f"examining {chosen[done].name} ({before + done + 1} of {before + len(chosen)})"
