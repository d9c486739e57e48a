"""Examine a student's file in a sandbox: what the doctor says of each Function, and what became of the process."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from amal.errors import UserError
from amal.sandbox import WHOLE, Ending, Limits, Sandbox

from .findings import Diagnosis, Finding, diagnosis_from
from .sources import Place, functions_in

STUDENT = "amal.doctor.student"
ENVIRONMENT = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
NONE: Mapping[str, str] = {}
SHOWN = 2000
"""Characters of what the file printed that are kept."""


class Chosen(NamedTuple):
    """A Function to examine, and the operation that it is meant to be."""

    name: str
    operation: str


@dataclass
class Report:
    """What came of examining a file."""

    diagnoses: list[Diagnosis] = field(default_factory=list)
    printed: str = ""
    """The beginning of what the file itself printed."""
    seconds: float = 0.0
    """How long its processes ran; the start of Python and torch does not count."""

    def add(self, path: Path, chosen: Chosen, code: str, words: str) -> None:
        """Note a Function whose examination did not come to its end."""
        findings = (Finding(code, f"{chosen.name} {words}."),)
        diagnosis = Diagnosis(chosen.name, chosen.operation, "", findings)
        self.diagnoses.append(_placed(diagnosis, path))


def _placed(diagnosis: Diagnosis, path: Path) -> Diagnosis:
    """Return a diagnosis with the file, and with the line of the class, where it has none."""
    if diagnosis.file is not None:
        return diagnosis
    places: Mapping[str, Place] = {}
    with suppress(UserError):
        places = functions_in(path)
    names = [name for name in places if diagnosis.function in (name, name.split(".")[-1])]
    lines = [places[name].line for name in names]
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
    report, chosen, total = Report(), None, WHOLE * time_limit
    options = {"inputs": dict(inputs), "surrogates": dict(surrogates)}
    with examining() if sandbox is None else nullcontext(sandbox) as sandbox:
        while chosen is None or (len(report.diagnoses) < len(chosen) and report.seconds < total):
            limits = Limits(time_limit, total - report.seconds, memory_limit)
            arguments = str(path), [*names], options, len(report.diagnoses)
            answers = sandbox.run(f"{STUDENT}:main", *arguments, limits=limits)
            chosen = yield from _examine(path, chosen, answers, report)
    words = f"was not examined: the whole file took more than {total:g} seconds"
    for late in chosen[len(report.diagnoses) :]:
        report.add(path, late, "raises", words)
    yield report


def _examine(
    path: Path, chosen: list[Chosen] | None, answers: Iterator[Any], report: Report
) -> Generator[str, None, list[Chosen]]:
    """Take what one process says of the Functions that others have left; return all Functions."""
    ready = imported = False
    for answer in answers:
        match answer:
            case {"step": words}:
                ready = True
                yield words
            case {"failed": words}:
                raise UserError(words)
            case {"chosen": pairs}:
                imported, chosen = True, [Chosen(*pair) for pair in pairs]
            case {"diagnosis": fields}:
                report.diagnoses.append(_placed(diagnosis_from(fields), path))
            case Ending():
                ending = answer
    report.seconds += ending.seconds
    report.printed = (report.printed + ending.printed)[:SHOWN]
    if chosen is None and ready:
        raise UserError(f"{path} cannot be imported: it {ending}")
    if chosen is None:
        reason = f"{ending}: {ending.printed.strip()[-300:]}".rstrip(": ")
        raise UserError(f"the process that should examine {path} {reason}")
    left = chosen[len(report.diagnoses) :]
    for lost in left[:1] if imported else left:  # what ends the import once ends it for all
        report.add(path, lost, "killed" if ending.killed else "raises", str(ending))
    return chosen
