"""Examine a student's file in a sandbox: the diagnosis of each Function, and how the process ended."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from amal.errors import UserError
from amal.sandbox import WHOLE, Ending, Limits, Sandbox

from .findings import Diagnosis, Finding, diagnosis_from
from .source_functions import functions_in

STUDENT = "amal.doctor.student"
ENVIRONMENT = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
NONE: Mapping[str, str] = {}
OUTPUT = 2000
"""Characters of the file's own output to keep."""


class Task(NamedTuple):
    """A Function to examine, and its operation."""

    name: str
    operation: str


@dataclass
class Report:
    """The result of examining a file."""

    diagnoses: list[Diagnosis] = field(default_factory=list)
    printed: str = ""
    """The beginning of the file's own output."""
    seconds: float = 0.0
    """How long its processes ran, without the start of Python and torch."""

    def add(self, path: Path, task: Task, code: str, words: str) -> None:
        """Add the diagnosis of a Function whose examination did not end."""
        findings = (Finding(code, f"{task.name} {words}."),)
        self.diagnoses.append(_locate(Diagnosis(task.name, task.operation, "", findings), path))


def _locate(diagnosis: Diagnosis, path: Path) -> Diagnosis:
    """Return a diagnosis with the file and the line of the class, if it has none."""
    if diagnosis.file is not None:
        return diagnosis
    try:
        places = functions_in(path).items()
    except UserError:
        places = {}.items()
    lines = [place.line for name, place in places if diagnosis.function in (name, name.split(".")[-1])]
    return replace(diagnosis, file=str(path.resolve()), line=next(iter(lines), None))


def examining() -> Sandbox:
    """Return a sandbox to examine files in: it starts torch once, and each file is run in a process of its own."""
    return Sandbox([STUDENT], ENVIRONMENT)


def last_report(steps: Iterable[str | Report]) -> Report:
    """Go through all steps of `examine_file`, and return its report."""
    *_, report = steps
    assert isinstance(report, Report)
    return report


def examine_file(
    path: Path,
    names: tuple[str, ...] = (),
    time_limit: float = 30.0,
    memory_limit: float = 4.0,
    inputs: Mapping[str, str] = NONE,
    surrogates: Mapping[str, str] = NONE,
    sandbox: Sandbox | None = None,
) -> Iterator[str | Report]:
    """Examine the Functions of a file; yield each step in words, and the report last.

    If a Function crashes, exits, or does not end, another process examines the rest.

    Args:
        path: a Python file.
        names: of the Functions, such as `Linear` or `MyLayer=linear`; all if there are none.
        time_limit: seconds for the import, and for each Function; the whole file has ten times as long.
        memory_limit: GB that the file's processes may hold together.
        inputs: name of a Function -> a Python expression, its inputs: "randn(4, 3), randn(3)".
        surrogates: name of a Function -> a Python expression, the function whose derivative
            backward gives.
        sandbox: of `examining`, for several files; None for one of its own.

    Raises:
        UserError: the file does not exist, cannot be imported, or holds no Function.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there" if not path.exists() else f"{path} is not a file")
    report, tasks, total = Report(), None, WHOLE * time_limit
    options = {"inputs": dict(inputs), "surrogates": dict(surrogates)}
    with examining() if sandbox is None else nullcontext(sandbox) as sandbox:
        while tasks is None or (len(report.diagnoses) < len(tasks) and report.seconds < total):
            limits = Limits(time_limit, total - report.seconds, memory_limit)
            arguments = str(path), [*names], options, len(report.diagnoses)
            answers = sandbox.run(f"{STUDENT}:main", *arguments, limits=limits)
            tasks = yield from _examine(path, tasks, answers, report)
    words = f"was not examined: the whole file took more than {total:g} seconds"
    for task in tasks[len(report.diagnoses) :]:
        report.add(path, task, "raises", words)
    yield report


def _examine(
    path: Path, tasks: list[Task] | None, answers: Iterator[Any], report: Report
) -> Generator[str, None, list[Task]]:
    """Take the answers of one process, which examines what others did not; return all Functions.

    The tasks are None for the first process, which finds them.
    """
    ready = complete = False
    for answer in answers:
        match answer:
            case {"step": words}:
                ready = True
                yield words
            case {"failed": words}:
                raise UserError(words)
            case {"chosen": pairs}:
                complete, tasks = True, [Task(*pair) for pair in pairs]
            case {"diagnosis": fields}:
                report.diagnoses.append(_locate(diagnosis_from(fields), path))
            case Ending():
                ending = answer
    report.seconds += ending.seconds
    report.printed = (report.printed + ending.printed)[:OUTPUT]
    if tasks is None and ready:
        raise UserError(f"{path} cannot be imported: it {ending}")
    if tasks is None:
        reason = f"{ending}: {ending.printed.strip()[-300:]}".rstrip(": ")
        raise UserError(f"the process that should examine {path} {reason}")
    rest = tasks[len(report.diagnoses) :]
    for task in rest[:1] if complete else rest:  # a second failure of the import is one for all
        report.add(path, task, "killed" if ending.killed else "raises", str(ending))
    return tasks
