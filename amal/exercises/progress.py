"""How far a student has come: question by question, done, wrong and why, or still to do.

The tests are the package's, not the student's copy of them. They run in a process of their own, with a time limit, so
that nothing which a student writes can take the checker down: what hangs, exits or crashes is an answer like another.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from amal.experiments import LABS
from amal.processes import kill_group

from . import source, trial

State = Literal["done", "wrong", "to do"]
SECONDS, SECONDS_TO_IMPORT = 30.0, 120.0
"""How long one test may take, and the import of a student's file, torch included."""
MARKS = {"done": "✓", "wrong": "✗", "to do": "·"}


class Answer(NamedTuple):
    """What is known of one question."""

    question: str
    title: str
    state: State
    said: str
    """What is wrong, or what is missing; nothing where all is done."""
    file: str
    lab: str


def labs_in(folder: Path) -> list[str]:
    """Return the labs of which a folder holds files."""
    return [lab for lab in LABS if any((folder / name).is_file() for name in _files(lab))]


def is_exercise(folder: Path) -> bool:
    """Tell whether a folder holds an exercise."""
    return bool(labs_in(folder))


def progress(folder: Path, seconds: float = SECONDS) -> list[Answer]:
    """Try all that a folder holds of the exercises; return an answer for each question, in their order.

    A question is wrong if one of its tests fails, to do if one meets NotImplementedError, else done.

    Args:
        folder: where the student's files lie; nothing is written there.
        seconds: how long one test may take.
    """
    folder = folder.resolve()
    answers = []
    for lab in labs_in(folder):
        texts = source.solved(lab)
        tests = [test for file, text in texts.items() for test in source.tests(file, text)]
        found = dict(_results(folder, texts, tests, seconds))
        for part in (part for file, text in texts.items() for part in source.parts(file, text)):
            if (folder / part.file).is_file():
                mine = [found[test.name] for test in tests if test.question == part.question and test.name in found]
                state, said = _worst(mine)
            else:
                state, said = "to do", f"{part.file} is not there"
            answers.append(Answer(part.question, part.title, state, said, part.file, lab))
    return answers


def as_text(answers: list[Answer], width: int = 100) -> str:
    """Set the answers as a list for the terminal: a line for each question, and below it what is wrong."""
    lines, indent = [], " " * 16
    names, files = (max((len(text) for text in texts), default=0) for texts in _columns(answers))
    for answer in answers:
        missing = answer.said.rpartition(": ")[2] if answer.state == "to do" else ""
        line = f"{MARKS[answer.state]} {answer.state:6} {answer.question:>5}  {answer.title:{names}}  "
        lines.append(f"{line}{answer.file:{files}}  {missing}".rstrip())
        if answer.state == "wrong":
            lines += textwrap.wrap(answer.said, width, initial_indent=indent, subsequent_indent=indent)
    done = sum(answer.state == "done" for answer in answers)
    return "\n".join([*lines, "", f"{done} of {len(answers)} done"])


def as_json(answers: list[Answer]) -> str:
    """Set the answers as JSON: a list of objects with question, title, state, said, file, lab."""
    return json.dumps([answer._asdict() for answer in answers], indent=2, ensure_ascii=False)


def _columns(answers: list[Answer]) -> tuple[list[str], list[str]]:
    return [answer.title for answer in answers], [answer.file for answer in answers]


def _files(lab: str) -> list[str]:
    return [name for name, text in source.read(lab).items() if source.parts(name, text)]


def _worst(results: list[tuple[State, str]]) -> tuple[State, str]:
    """Return the first of what is wrong, then of what is to do: one thing at a time."""
    order: tuple[State, ...] = ("wrong", "to do", "done")
    return min(results, key=lambda result: order.index(result[0]))


def _results(
    folder: Path, texts: dict[str, str], tests: list[source.Test], seconds: float
) -> Iterator[tuple[str, tuple[State, str]]]:
    """Yield the name and the result of the tests. A process that hangs or dies is followed by one for the rest."""
    left = list(tests)
    while left:
        at, importing = left[0], True
        for answer in _answers(folder, texts, left, seconds):
            if "fate" in answer:
                lost = [test for test in left if (test.file if importing else test.question) == _key(at, importing)]
                for test in lost:  # what hangs once would hang in each of them
                    yield test.name, ("wrong", answer["fate"])
                left = [test for test in left if test not in lost]
            elif "importing" in answer:
                importing = True
            elif "trying" in answer:
                at, importing = next(test for test in left if test.name == answer["trying"]), False
            else:
                yield answer["name"], (answer["state"], answer["said"])
                left = [test for test in left if test.name != answer["name"]]
                at, importing = (left or [at])[0], False


def _key(test: source.Test, importing: bool) -> str:
    return test.file if importing else test.question


def _answers(folder: Path, texts: dict[str, str], tests: list[source.Test], seconds: float) -> Iterator[dict[str, Any]]:
    """Yield what a process tells, and at last its fate, if that was not its natural end."""
    order = {"folder": str(folder), "texts": texts, "tests": [(test.file, test.name) for test in tests]}
    root = str(Path(__file__).parents[2])  # where amal lies, in case it is not installed
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", trial.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))},
        start_new_session=True,  # Ctrl-C is for us, and what it starts ends with it
    )
    assert process.stdin is not None
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    patience = SECONDS_TO_IMPORT
    try:
        with process.stdin as stdin:
            json.dump(order, stdin)
        answered = 0
        while line := lines.get(timeout=patience):
            answer = json.loads(line)
            answered += "name" in answer
            patience = max(seconds, SECONDS_TO_IMPORT) if "importing" in answer else seconds
            yield answer
        if answered < len(tests):
            yield {"fate": _end(process.wait())}
    except queue.Empty:
        yield {"fate": f"it does not come to an end: stopped after {patience:g} seconds"}
    finally:
        _kill(process)


def _read(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    assert process.stdout is not None
    with process.stdout as stdout:
        for line in stdout:
            lines.put(line)
    lines.put(None)


def _kill(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        kill_group(process)
    process.wait()


def _end(status: int) -> str:
    if status < 0:
        return f"it crashes Python itself ({signal.Signals(-status).name})"
    return f"it ends Python (exit status {status})"
