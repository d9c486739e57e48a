"""What a terminal shows while a file is examined: what is done and for how long, and nothing of it at the end."""

import os
import select
import sys
import threading

import pytest
import torch
from fifo import LONG
from torch.autograd import Function

from amal import cli
from amal.checking import check
from amal.commands import waiting
from amal.course.mutants import SOLUTIONS
from amal.doctor import isolation

CRASH = """
import os
from torch.autograd import Function

class Crash(Function):
    @staticmethod
    def forward(ctx, x):
        os.abort()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output
"""


class Terminal:
    """The other side of a terminal."""

    def __init__(self, file, stream):
        self.file, self.stream, self.text = file, stream, ""

    def check(self, path, **options):
        """Run the command, for which this is the terminal; as pytest sets standard error for each test, only now."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", self.stream)
            cli.check(path, **options)

    def until(self, words):
        """Read what is written there until some words are."""
        while words not in self.text:
            assert select.select([self.file], [], [], LONG)[0], f"no {words!r} in {self.text!r}"
            self.text += os.read(self.file, 1000).decode()

    @property
    def left(self):
        """What stands in the line once all is written."""
        while select.select([self.file], [], [], 0)[0]:
            self.text += os.read(self.file, 1000).decode()
        line = {}
        for written in self.text.split("\r"):
            line |= dict(enumerate(written))
        return "".join(line.values()).rstrip()


@pytest.fixture
def terminal():
    reader, writer = os.openpty()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield Terminal(reader, stream)
    os.close(reader)


@pytest.fixture
def examination(monkeypatch):
    """Put steps in the place of an examination; each may do something first."""

    def put(steps, after=0.0):
        monkeypatch.setattr(waiting, "DELAY", after)
        monkeypatch.setattr(isolation, "examine_file", lambda *_: steps())

    return put


def lines():
    """The threads that show a line."""
    return [thread for thread in threading.enumerate() if thread.name == waiting.__name__]


def test_a_terminal_shows_what_is_examined_and_then_nothing(terminal, examination, tmp_path):
    def steps():
        terminal.until("starting torch, 0 s")
        yield "examining Linear (1 of 2)"
        terminal.until("examining Linear (1 of 2), ")
        yield "examining MSE (2 of 2)\x1b[31m" + 1000 * "E"
        terminal.until(r"examining MSE (2 of 2)\x1b[31mEEE")
        terminal.until("E, ")
        yield isolation.Report()

    examination(steps)
    terminal.check(tmp_path / "lab.py")
    assert terminal.left == ""
    assert max(map(len, terminal.text.split("\r"))) < 200
    assert not lines()


def test_what_is_soon_over_shows_nothing(terminal, examination, tmp_path):
    def steps():
        assert lines()
        yield isolation.Report()

    examination(steps, after=LONG)
    terminal.check(tmp_path / "lab.py")
    assert terminal.text + terminal.left == ""


@pytest.mark.parametrize("format", ["json", "sarif", "github"])
def test_what_a_program_reads_is_not_waited_for_in_words(terminal, examination, tmp_path, format):
    def steps():
        assert not lines()
        yield isolation.Report()

    examination(steps)
    terminal.check(tmp_path / "lab.py", format=format)
    assert terminal.text + terminal.left == ""


def test_a_pipe_shows_nothing(examination, tmp_path, capfd):
    def steps():
        assert not lines()
        yield isolation.Report()

    examination(steps)
    cli.check(tmp_path / "lab.py")
    assert capfd.readouterr() == ("", "")


def test_an_exercise_is_waited_for_too(terminal, monkeypatch, tmp_path):
    from amal.course import exercises

    def progress(*_):
        terminal.until(f"trying what is in {tmp_path}"[:60])
        return []

    monkeypatch.setattr(waiting, "DELAY", 0.0)
    monkeypatch.setattr(exercises, "is_exercise", lambda _: True)
    monkeypatch.setattr(exercises, "progress", progress)
    with pytest.raises(SystemExit):
        terminal.check(tmp_path)
    assert terminal.left == ""


@pytest.mark.slow
def test_each_function_is_named_before_it_is_examined_and_counted_over_all_processes(tmp_path):
    path = tmp_path / "lab.py"
    path.write_text(CRASH + SOLUTIONS["mse"], encoding="utf-8")
    *steps, report = isolation.examine_file(path)
    begun = "importing lab.py"
    assert steps == [begun, "examining Crash (1 of 2)", begun, "examining MSE (2 of 2)"]
    assert [diagnosis.verdict for diagnosis in report.diagnoses] == ["error", "correct"]


def test_the_library_prints_nothing(capfd, caplog):
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output

    assert check(Same, (torch.randn(3),)).verdict == "correct"
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
