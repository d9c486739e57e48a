"""Commands that run other people's code, killed: nothing of it lives on, and what is said is one line."""

import configparser
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fifo import LONG

from amal.course import grading, labs, mutants
from amal.course.exercises import as_text, progress, source
from amal.doctor.isolation import examine_file, last_report
from amal.sandbox import Ending, Sandbox

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere than on Linux orphans are out of sight")

NASTY = "import os, foreign\nforeign.daemon_and_loop(None, os.environ['FIFO'])\n"
LAB = f'''"""Experiment 1.9: one that never ends.

Reported: nothing.
"""
{NASTY}'''
KILL_ITSELF = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def folder(tmp_path):
    """Files of every kind, which fork twice and never end."""
    (tmp_path / "lab.py").write_text(NASTY)
    (tmp_path / "mine").mkdir()
    for name, text in source.solution_files("tme1").items():
        (tmp_path / "mine" / name).write_text(NASTY if name == "functions.py" else text)
    (tmp_path / "test_lab.py").write_text("from functions import Linear\n" + NASTY)
    scripts = tmp_path / "course" / "tme1"  # a lab of its own, instead of the package's
    scripts.mkdir(parents=True)
    (scripts / "__init__.py").touch()
    for name in ("one", "two", "three"):
        (scripts / f"{name}.py").write_text(LAB)
    return tmp_path


COMMANDS = {
    "check FILE": "check lab.py --time-limit 1000",
    "check DIR": "check mine --time-limit 1000",
    "grade": "grade test_lab.py linear --time-limit 1000",
    "labs": "labs tme1 --jobs 2",
}


def started(command, folder, **environment):
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    return subprocess.Popen(
        [sys.executable, "-m", "amal", *COMMANDS[command].split()],
        cwd=folder / "course" if command == "labs" else folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "FIFO": str(folder / "fifo"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("command", "number", "status", "said"),
    [
        ("check FILE", signal.SIGINT, 130, "amal check: interrupted\n"),
        ("check DIR", signal.SIGTERM, 143, "amal check: stopped by SIGTERM\n"),
        pytest.param("grade", signal.SIGINT, 130, "amal grade: interrupted\n", marks=pytest.mark.slow),
        pytest.param("grade", signal.SIGKILL, -9, "", marks=pytest.mark.slow),
        ("labs", signal.SIGKILL, -9, ""),
    ],
)
def test_a_command_that_is_killed_leaves_nothing(folder, fifo, command, number, status, said):
    with started(command, folder) as amal:
        fifo.begun()
        amal.send_signal(number)
        assert fifo.is_free()
        _, complaint = amal.communicate(timeout=LONG)
    assert (amal.returncode, complaint) == (status, said)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status", "said"), [(2, 130, "interrupted"), (15, 143, "stopped by SIGTERM")])
def test_labs_hand_a_signal_on_and_end_with_their_scripts(folder, fifo, number, status, said):
    waiting = "import os, signal, foreign\nforeign.hold(os.environ['FIFO'])\nsignal.pause()\n"
    for script in (folder / "course" / "tme1").glob("[!_]*.py"):
        script.write_text(LAB.replace(NASTY, waiting))
    with started("labs", folder) as amal:
        fifo.begun()
        amal.send_signal(number)
        assert fifo.is_free()
        printed, complaint = amal.communicate(timeout=LONG)
    assert (amal.returncode, complaint) == (status, f"amal labs: {said}\n")
    assert "measured" not in printed


def test_a_script_that_ignores_the_signal_is_killed(fifo, monkeypatch):
    monkeypatch.setattr(labs, "PATIENCE", 0.1)
    with Sandbox() as sandbox:
        scripts = labs.Scripts([sandbox])
        run = sandbox.run("foreign:daemon_and_loop", fifo.path, apart=False)
        with scripts.stoppable():
            killer = threading.Thread(target=lambda: (fifo.begun(), os.kill(os.getpid(), signal.SIGTERM)))
            killer.start()
            assert [*run] == [Ending("signal", signal.SIGKILL)]
            killer.join()
    assert fifo.is_free()
    with pytest.raises(labs.Stopped):
        scripts.check()


@pytest.mark.parametrize(("number", "status", "said"), [(2, 130, "interrupted"), (15, 143, "stopped by SIGTERM")])
def test_every_command_is_stopped_in_one_line(number, status, said):
    """Whatever it does: the handlers are there before anything is imported, and raise no exception."""
    program = (
        "import sys, time, amal.cli, amal.__main__; sys.argv = ['amal', 'show', 'linear']\n"
        "class Quiet:\n"
        "    def __del__(self):\n"
        "        print('ready', flush=True); time.sleep(1000)\n"  # where an exception would be lost
        "amal.cli.main = lambda: Quiet()\n"
        "amal.__main__.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as amal:
        assert amal.stdout.readline() == "ready\n"
        amal.send_signal(number)
        _, complaint = amal.communicate(timeout=LONG)
    assert (amal.returncode, complaint) == (status, f"amal show: {said}\n")


def test_the_command_begins_where_its_handlers_are_set():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert "amal = amal.__main__:main" in settings["options.entry_points"]["console_scripts"]


# ---------------------------------------------------------------------------------- what is not the student's fault

SQUARE = """
import os, signal
from torch.autograd import Function
class Square(Function):
    @staticmethod
    def forward(ctx, x):
        {forward}
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, grad_output):
        return 2 * ctx.saved_tensors[0] * grad_output
class MySquare(Square): pass
"""


@pytest.mark.slow
def test_a_function_that_is_killed_is_not_called_wrong(tmp_path, monkeypatch, capsys):
    from amal import cli

    (tmp_path / "lab.py").write_text(SQUARE.format(forward=f"if 'My' not in ctx.name(): {KILL_ITSELF}"))
    with pytest.raises(SystemExit) as stop:
        cli.app.cli(args=["check", str(tmp_path / "lab.py")])
    assert stop.value.code == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert re.search(r"ERROR Square \(square\) .*killed Square was killed \(SIGKILL\): out of memory\?\.", printed)
    assert "CORRECT MySquare" in printed


def test_a_file_of_too_much_memory_is_told_so(tmp_path):
    (tmp_path / "lab.py").write_text("import foreign\n" + SQUARE.format(forward="foreign.eat(dict, 2)"))
    report = last_report(examine_file(tmp_path / "lab.py", ("Square",), memory_limit=1.0))
    (diagnosis,) = report.diagnoses
    assert (diagnosis.verdict, diagnosis.findings[0].code) == ("error", "raises")
    assert diagnosis.findings[0].message == "Square used more than 1 GB of memory and was stopped."


CHEAT = """
from amal.doctor import findings, student
student.examine = lambda *_: findings.Diagnosis("Square", "square", "", ())
"""


def test_code_that_replaces_its_examiner_is_believed_as_the_documents_say(tmp_path):
    wrong = SQUARE.format(forward="pass").replace("return 2 *", "return 3 *")
    verdicts = []
    for text in (wrong, wrong + CHEAT):
        (tmp_path / "lab.py").write_text(text)
        report = last_report(examine_file(tmp_path / "lab.py", ("Square",)))
        verdicts += [diagnosis.verdict for diagnosis in report.diagnoses]
    assert verdicts == ["wrong", "correct"]
    for page in ("README.md", "docs/DOCTOR.md"):
        assert "code that replaces the examiner" in " ".join((ROOT / page).read_text().split())


def test_a_question_that_is_killed_is_not_called_wrong(tmp_path):
    for name, text in source.solution_files("tme1").items():
        (tmp_path / name).write_text(text.replace("return X @ W + b", f"{KILL_ITSELF}; return X @ W + b"))
    answers = {answer.question: answer for answer in progress(tmp_path)}
    assert (answers["6b"].state, answers["6b"].said) == ("killed", "it was killed (SIGKILL): out of memory?")
    assert answers["6a"].state == "done"
    assert "? killed    6b  Linear" in as_text([*answers.values()])


def test_an_endless_import_takes_the_time_limit_and_no_longer(tmp_path):
    for name, text in source.solution_files("tme1").items():
        (tmp_path / name).write_text("while True: print('x')\n" if name == "functions.py" else text)
    began = time.monotonic()
    answers = progress(tmp_path, seconds=1.0)
    assert {answer.said for answer in answers} == {"it did not come to an end within 1 seconds"}
    assert time.monotonic() - began < 100  # 245 s where each file had two minutes


@pytest.mark.slow
def test_a_mutant_whose_run_is_killed_is_not_killed_by_the_tests(tmp_path, monkeypatch):
    known = {"relu": tuple(mutants.find("relu", name) for name in ("absolute",))}
    monkeypatch.setattr(mutants, "MUTANTS", mutants.MUTANTS | known)
    wrong = (
        "import torch\nfrom functions import relu\ndef test():\n    if relu.apply(torch.tensor(-1.0)) > 0:\n        "
    )
    path = tmp_path / "test_lab.py"
    path.write_text(wrong + KILL_ITSELF)
    (outcome,) = grading.grade(path, "relu", 60)
    assert (outcome.killed, outcome.how) == (None, "it was killed (SIGKILL): out of memory?")
    assert '"killed": null' in grading.as_json("relu", [outcome])
    assert re.match(r"UNKNOWN +absolute .*\[it was killed", grading.as_text([outcome]))
    path.write_text(wrong + "b = [b'x' * 10**7 for _ in range(200)]; import time; time.sleep(1000)")
    (outcome,) = grading.grade(path, "relu", 60, memory_limit=1.0)
    assert (outcome.killed, outcome.how) == (True, "the memory limit")


# ---------------------------------------------------------------------------------- a hundred kills


def ours(mark):
    """The processes that carry a mark in their environment: all that a command has started, whoever their parent is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes() and b") Z " not in (path.parent / "stat").read_bytes():
                found.append(int(path.parent.name))
    return found


@pytest.mark.slow
def test_a_hundred_kills_at_random_instants_leave_nothing_and_no_traceback(folder, fifo):
    """SIGINT, SIGTERM and SIGKILL in turn, over each command, while it starts and while foreign code loops."""
    instants, late = random.Random(0), []
    for number in range(int(os.environ.get("AMAL_KILLS", "100"))):
        command = [*COMMANDS][number % 4]
        with_signal = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[number % 3]
        mark = f"MARK=kill-{os.getpid()}-{number}"
        seconds = instants.uniform(0.1, 8.0)
        with started(command, folder, **dict([mark.split("=")])) as amal:
            time.sleep(seconds)
            amal.send_signal(with_signal)
            killed = time.monotonic()
            amal.wait(LONG)
            ended = time.monotonic()
            while (left := ours(mark)) and time.monotonic() - ended < 2:
                time.sleep(0.01)
            late.append((time.monotonic() - ended, ended - killed, command, with_signal.name, round(seconds, 1)))
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            _, complaint = amal.communicate(timeout=LONG)
        assert not left, (command, with_signal, seconds)
        assert "Traceback" not in complaint, (command, with_signal, seconds, complaint)
        assert complaint.count("\n") <= 1, complaint
    print(
        f"{len(late)} kills; the slowest three (after the end, from the kill to the end):", *sorted(late)[-3:], sep="\n"
    )
