"""How far a student has come: question by question, done, wrong and why, or still to do.

The tests are the package's, not the student's copy of them. They run in a process of their own, with a time limit, so
that nothing which a student writes can take the checker down: what hangs, exits or crashes is an answer like another.
"""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from amal.experiments import LABS
from amal.sandbox import WHOLE, Ending, Limits, Sandbox

from . import source

State = Literal["done", "wrong", "to do", "killed"]
TRIAL = "amal.course.exercises.trial:main"
SYMBOLIC = "torch.fx.experimental.symbolic_shapes"  # imported at the first gradient with a grad_output
PRELOADED = ["torch", SYMBOLIC, "amal.doctor.examination", "amal.nn", "amal.course.exercises.trial"]
MARKS = {"done": "✓", "wrong": "✗", "to do": "·", "killed": "?"}


class Answer(NamedTuple):
    """The state of one question."""

    question: str
    title: str
    state: State
    said: str
    """What is wrong or missing; empty if the question is done."""
    file: str
    lab: str


def labs_in(folder: Path) -> list[str]:
    """Return the labs whose files a folder holds."""
    return [lab for lab in LABS if any((folder / name).is_file() for name in _files(lab))]


def is_exercise(folder: Path) -> bool:
    """Tell whether a folder holds an exercise."""
    return bool(labs_in(folder))


def progress(folder: Path, seconds: float = 30.0, memory: float = 4.0) -> list[Answer]:
    """Try all that a folder holds of the exercises; return an answer for each question, in their order.

    A question is wrong if one of its tests fails, to do if one meets NotImplementedError, else done. It is killed if
    one of its tests was, from outside, or for want of memory on this machine: that says nothing of the student.

    Args:
        folder: where the student's files lie; nothing is written there.
        seconds: how long the import of a file, and each test, may take; a lab has ten times as long.
        memory: GB that the processes of a lab may hold together.
    """
    folder = folder.resolve()
    answers = []
    for lab in labs_in(folder):
        texts = source.solution_files(lab)
        tests = [test for file, text in texts.items() for test in source.tests(file, text)]
        results = dict(_results(folder, texts, tests, Limits(seconds, WHOLE * seconds, memory)))
        for part in (part for file, text in texts.items() for part in source.parts(file, text)):
            state: State = "to do"
            words = f"{part.file} is not there"
            if (folder / part.file).is_file():
                names = [test.name for test in tests if test.question == part.question]
                state, words = _worst([results[name] for name in names if name in results])
            answers.append(Answer(part.question, part.title, state, words, part.file, lab))
    return answers


def as_text(answers: list[Answer], width: int = 100) -> str:
    """Format the answers for the terminal: a line for each question, and below it what is wrong."""
    lines, indent = [], " " * 16
    names, files = (max((len(text) for text in texts), default=0) for texts in _columns(answers))
    for answer in answers:
        missing = answer.said.rpartition(": ")[2] if answer.state == "to do" else ""
        line = f"{MARKS[answer.state]} {answer.state:6} {answer.question:>5}  {answer.title:{names}}  "
        lines.append(f"{line}{answer.file:{files}}  {missing}".rstrip())
        if answer.state == "wrong":
            lines += textwrap.wrap(answer.said, width, initial_indent=indent, subsequent_indent=indent)
    count = sum(answer.state == "done" for answer in answers)
    return "\n".join([*lines, "", f"{count} of {len(answers)} done"])


def as_json(answers: list[Answer]) -> str:
    """Format the answers as JSON: a list of question, title, state, said, file, lab."""
    return json.dumps([answer._asdict() for answer in answers], indent=2, ensure_ascii=False)


def _columns(answers: list[Answer]) -> tuple[list[str], list[str]]:
    return [answer.title for answer in answers], [answer.file for answer in answers]


def _files(lab: str) -> list[str]:
    return [name for name, text in source.read(lab).items() if source.parts(name, text)]


def _worst(results: list[tuple[State, str]]) -> tuple[State, str]:
    """Return the first of what is wrong, then of what is to do: one thing at a time."""
    order: tuple[State, ...] = ("wrong", "killed", "to do", "done")
    return min(results, key=lambda result: order.index(result[0]))


def _results(
    folder: Path, texts: dict[str, str], tests: list[source.Test], limits: Limits
) -> Iterator[tuple[str, tuple[State, str]]]:
    """Yield the name and the result of each test. A process that dies is followed by another."""
    remaining, seconds = list(tests), limits.total
    with Sandbox(PRELOADED, {"MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore"}) as sandbox:
        while remaining and seconds > 0:
            current, unit = remaining[0], "file"  # what the end of the process takes with it
            arguments = str(folder), texts, [(test.file, test.name) for test in remaining]
            for answer in sandbox.run(TRIAL, *arguments, limits=replace(limits, total=seconds)):
                match answer:
                    case {"importing": file}:
                        current, unit = next(test for test in remaining if test.file == file), "file"
                    case {"trying": name}:
                        current, unit = next(test for test in remaining if test.name == name), "question"
                    case {"name": name, "state": state, "said": words}:
                        yield name, (state, words)
                        remaining = [test for test in remaining if test.name != name]
                        current = (remaining or [current])[0]
                    case Ending():
                        seconds -= answer.seconds
                        fate: State = "killed" if answer.killed else "wrong"
                        same = getattr(current, unit)  # what hangs once would hang in each of them
                        interrupted = [test for test in remaining if getattr(test, unit) == same]
                        for test in interrupted:
                            yield test.name, (fate, f"it {answer}")
                        remaining = [test for test in remaining if test not in interrupted]
    for test in remaining:
        words = f"it was not tried: the whole lab took more than {limits.total:g} seconds"
        yield test.name, ("wrong", words)
