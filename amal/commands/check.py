"""The command `amal check`: examine the Functions in a file, or say how far an exercise is done."""

import sys
import textwrap
from pathlib import Path
from typing import Annotated, Literal

import tyro

from amal.commandline import require_limits
from amal.errors import UserError
from amal.text import terminal_width

from .waiting import WaitingLine


def check(
    file: Annotated[Path, tyro.conf.Positional],
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    /,
    format: Literal["text", "json", "sarif", "github"] = "text",
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    inputs: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    surrogate: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    time_limit: float = 30.0,
    memory_limit: float = 4.0,
) -> None:
    """Examine the autograd Functions in a Python file, and say in words what is wrong with each.

    Of a folder that `amal exercise` has written, tell how far it is done, question by question.

    A Function is known by its name, whatever its case, with or without the ending "Function": MSE, Linear, Tanh, ReLU,
    Softmax, CrossEntropy, Conv2d, MaxPool, Highway, BatchNorm and others. One of another name is held against its own
    forward, with inputs given here or in the file (`sample_inputs = {"Bilinear": (randn(6, 4), ...)}`), or found by
    trying. The file is run in a process of its own.

    What takes more than two seconds is told meanwhile on a terminal (text only), and taken away at the end.

    The exit status is 0 if all are correct (or done), 1 if something is wrong (or to do), 3 if something could not be
    examined and nothing is wrong, 2 if nothing can be said: there is nothing to examine, or its process was killed by
    another program or for want of memory.

    Args:
        file: the file, or the folder of an exercise.
        names: the Functions to examine; all if none. `Name=operation` says what a Function is meant to be,
            `Name=operation:definition` which definition it follows, such as `Linear=linear:row-bias`, and `Name=any`
            that it is none that is known.
        format: `text`, to read; `json`, a list of diagnoses; `sarif`, a log for code scanning services; `github`,
            commands with which a workflow of GitHub marks the lines.
        as_json: short for --format json.
        inputs: what to call a Function with, as Python: `--inputs 'Bilinear=randn(6, 4), randn(4, 3), randn(6, 3)'`;
            once for each Function.
        surrogate: for a gradient that is wrong on purpose, the function whose derivative it is meant to be:
            `--surrogate 'Round=lambda x: x'`; once for each Function.
        time_limit: seconds for the import of a file, and for each Function or test, by the clock on the wall, the start
            of Python and torch not counted. Whatever it does, a file (of an exercise, a lab) has ten times as long.
        memory_limit: GB that all processes of the file may hold together.
    """
    from amal.doctor import annotations, findings
    from amal.doctor.isolation import Report, examine_file

    require_limits(time_limit, memory_limit)
    if as_json and format not in ("text", "json"):
        raise UserError(f"--json and --format {format}: give one of them")
    format = "json" if as_json else format
    if file.is_dir():
        raise SystemExit(check_folder(file, names, format, time_limit, memory_limit))
    status, diagnoses = 0, []
    try:
        options = expressions(inputs, "--inputs"), expressions(surrogate, "--surrogate")
        with WaitingLine("starting torch", is_shown=format == "text") as line:
            for step in examine_file(file, names, time_limit, memory_limit, *options):
                if isinstance(step, Report):
                    report = step
                else:
                    line.words = findings.printable(step)
    except UserError as error:
        print(f"amal check: {findings.printable(str(error))}", file=sys.stderr)
        status = 2
        if format in ("sarif", "github"):  # its reader sees no standard error
            diagnoses = [annotations.failure(file, str(error))]
    else:
        diagnoses = report.diagnoses
        if report.printed and format == "text":
            printed = findings.printable(report.printed.rstrip())
            print(f"{file} printed:\n{textwrap.indent(printed, '  ')}\n", file=sys.stderr)
    match format:
        case "json":
            print(findings.as_json(diagnoses))
        case "sarif":
            print(annotations.as_sarif(diagnoses))
        case "github":
            print(annotations.as_github(diagnoses))
        case _ if diagnoses:
            print(findings.as_text(diagnoses, terminal_width()))
    codes = {finding.code for diagnosis in diagnoses for finding in diagnosis.findings}
    if status or "killed" in codes:
        raise SystemExit(2)
    verdicts = {diagnosis.verdict for diagnosis in diagnoses}
    if verdicts - {"correct"}:
        raise SystemExit(3 if verdicts <= {"correct", "not examined"} else 1)


def expressions(texts: tuple[str, ...], option: str) -> dict[str, str]:
    """Return name -> expression, for an option that is written `Name=expression`.

    Raises:
        UserError: a text is no such pair.
    """
    pairs = [(name.strip(), expression.strip()) for name, _, expression in (text.partition("=") for text in texts)]
    if not all(name and expression for name, expression in pairs):
        raise UserError(f"{option}: expected Name=EXPRESSION, such as 'Bilinear=randn(6, 4), randn(4, 3), randn(6, 3)'")
    return dict(pairs)


def check_folder(folder: Path, names: tuple[str, ...], format: str, time_limit: float, memory_limit: float) -> int:
    """Print how far the exercise in a folder is done; return the exit status.

    Raises:
        UserError: the format is for files alone.
    """
    from amal.course import exercises
    from amal.doctor import findings
    from amal.doctor.source_functions import files_with_functions

    if format not in ("text", "json"):
        raise UserError(f"--format {format} is for a file; how far an exercise is can be told as text or json")
    as_json = format == "json"
    if names or not exercises.is_exercise(folder):
        reason = "holds no exercise: `amal exercise tme1 DIR` writes one, or give a file"
        if names:
            reason = "is a folder: give a file with names"
        elif files := files_with_functions(folder):
            rest = f" and {len(files) - 3} more" if len(files) > 3 else ""
            reason += (
                f", such as {', '.join(map(str, files[:3]))}{rest}; `python -m pytest --doctor {folder}` examines all"
            )
        print(f"amal check: {folder} {reason}", file=sys.stderr)
        print("[]" if as_json else "", end="\n" if as_json else "")
        return 2
    with WaitingLine(findings.printable(f"trying what is in {folder}"), is_shown=not as_json):
        answers = exercises.progress(folder, time_limit, memory_limit)
    text = exercises.as_json(answers) if as_json else exercises.as_text(answers, terminal_width())
    print(findings.printable(text))
    states = {answer.state for answer in answers}
    return 2 if "killed" in states else int(states != {"done"})
