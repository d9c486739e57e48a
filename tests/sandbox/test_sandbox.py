"""The sandbox, attacked: each test is one thing that foreign code, or a kill from outside, may do.

No test sleeps until something has surely happened: a FIFO that foreign code holds open closes when the last process
that holds it is gone.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fifo import LONG

from amal.sandbox import Ending, Limits, Sandbox, guard

ROOT = Path(__file__).parents[2]
GARBAGE = "closed, or wrote to, files that it had not opened"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere than on Linux orphans are out of sight")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(["foreign"]) as sandbox:
        yield sandbox


@pytest.fixture
def run(sandbox):
    """Run a function of foreign.py; return what it told, and how it ended."""

    def run(name, *arguments, **limits):
        *told, ending = sandbox.run(f"foreign:{name}", *arguments, limits=Limits(**limits))
        return told, ending

    return run


def test_what_it_tells_and_prints_comes_back(run):
    told, ending = run("behave", 1, "two", [3.0])
    assert told == [{"arguments": [1, "two", [3.0]]}]
    assert ending == Ending("exit", 0, "hello\n")


def test_garbage_is_collected_there_but_not_among_what_was_imported_before(run):
    (told,), _ = run("collect")
    assert told["enabled"]
    assert told["objects"] < 1000  # the whole of a bare Python is ten times as many


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (("leave", 3), "ended Python, with exit status 3"),
        (("end", signal.SIGSEGV), r"crashed Python \(SIGSEGV\)"),
        (("end", signal.SIGABRT), r"crashed Python \(SIGABRT\)"),
        (("end", signal.SIGKILL), r"was killed \(SIGKILL\): out of memory\?"),
        (("end", signal.SIGTERM), r"was killed \(SIGTERM\)"),
        (("end", signal.SIGRTMIN + 3), r"was killed \(signal \d+\)"),
        (("raise_it",), "ended Python, with exit status 1"),
        (("recurse",), "ended Python, with exit status 1"),
        (("exit_with", "words"), "ended Python, with exit status 1"),
        (("exit_with", 10**20), "ended Python, with exit status 0"),
        (("close_files", 10_000), GARBAGE),
        (("write_to_files", 10_000, "garbage\n"), GARBAGE),
        (("write_to_files", 10_000, '{"message": {"done": true}}\nover\n'), GARBAGE),
        (("write_a_line_without_end",), GARBAGE),
        (("replace_pipe",), "ended Python, with exit status 0"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_how_it_ends_is_told_in_words(run, attack, words):
    told, ending = run(*attack)
    assert told == []
    assert re.fullmatch(words, str(ending))
    assert ending.killed == ("was killed" in words)
    assert run("behave")[1] == Ending("exit", 0, "hello\n"), "the next run is not as the first"


@pytest.mark.parametrize(
    "attack", [("close_files", 1000), ("write_to_files", 1000, "garbage\n"), ("open_without_end",)], ids=str
)
def test_what_it_tells_goes_above_the_files_that_it_can_open(run, attack):
    assert run(*attack) == ([{"done": True}], Ending("exit", 0))


def test_output_that_is_replaced_hides_nothing(run):
    assert run("replace_output") == ([{"done": True}], Ending("exit", 0, "hello\n"))
    told, ending = run("replace_output_and_raise")
    assert (told, ending.number) == ([{"done": True}], 1)
    assert re.fullmatch(r"hello\n(?s:.*)ValueError: broken\n", ending.printed)


def test_an_exception_is_among_what_it_printed(run):
    assert "ValueError: broken" in run("raise_it")[1].printed


@pytest.mark.parametrize("attack", ["loop", "sleep", "ignore_and_loop"])
def test_what_does_not_end_is_ended(run, attack):
    told, ending = run(attack, step=0.5)
    assert (told, str(ending)) == ([{"begun": True}], "did not come to an end within 0.5 seconds")


@pytest.mark.parametrize("attack", ["tell_without_end", "print_without_end"])
def test_what_keeps_telling_or_printing_has_no_more_time(run, attack):
    _, ending = run(attack, step=5.0, total=0.5)
    assert str(ending) == "did not come to an end within 0.5 seconds"


def test_of_what_is_printed_the_beginning_and_the_end_are_kept(run):
    printed = run("print_without_end", total=0.5)[1].printed
    assert printed.startswith("beginning\nfloodflood")
    assert len(printed) < 30_000


def test_memory_is_bounded_over_all_processes(run):
    assert str(run("eat", 0.5, memory=0.2)[1]) == "used more than 0.2 GB of memory and was stopped"
    assert str(run("eat_in_children", memory=0.2)[1]) == "used more than 0.2 GB of memory and was stopped"


def test_memory_within_the_bound_is_left_alone(run):
    assert run("eat", 0.1, False, memory=1)[1] == Ending("exit", 0)


@LINUX
def test_memory_that_processes_share_counts_once(run):
    told, ending = run("share", 0.1, memory=0.4)
    assert (told, ending) == ([{"done": True}], Ending("exit", 0))


def test_a_fork_that_comes_back_tells_nothing_twice(run):
    assert run("fork_and_come_back")[0] in ([], [{"once": True}])  # the child may be the first to end it


def test_a_thread_that_is_left_does_not_keep_us(run):
    assert run("leave_a_thread") == ([{"done": True}], Ending("exit", 0))


def test_a_child_of_its_own_dies_with_it(run, fifo):
    run("fork", fifo.path, total=0.5)
    assert fifo.is_free()


@LINUX
@pytest.mark.parametrize("attack", ["daemon", "hop", "hop_away"])
def test_a_daemon_does_not_outlive_the_run(run, fifo, attack):
    told, _ = run(attack, fifo.path)
    assert told == [{"done": True}]
    assert fifo.is_free()


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
@pytest.mark.parametrize("group", [False, True])
def test_a_parent_that_is_killed_or_stopped_leaves_no_daemon(run, fifo, number, group):
    _, ending = run("signal_parent", fifo.path, number, group)
    assert str(ending) == "was killed (SIGKILL): out of memory?"
    assert fifo.is_free()
    assert run("behave")[1] == Ending("exit", 0, "hello\n")


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_supervisor_that_is_killed_is_replaced(run, number):
    assert run("signal_grandparent", number) == ([], Ending("signal", number))
    assert run("behave")[1] == Ending("exit", 0, "hello\n")


@LINUX
def test_the_parent_may_die_in_the_middle_of_a_message(run):
    told, ending = run("kill_parent_while_telling")
    assert str(ending) == "was killed (SIGKILL): out of memory?"
    assert all(message == {"text": "x" * 300_000} for message in told)


def test_a_run_that_nobody_wants_to_hear_to_its_end_is_ended(sandbox, run):
    for said in sandbox.run("foreign:sleep"):
        assert said == {"begun": True}
        break
    told = sandbox.run("foreign:sleep")
    next(told)
    with pytest.raises(KeyboardInterrupt):
        told.throw(KeyboardInterrupt)
    assert run("behave")[1] == Ending("exit", 0, "hello\n")


def test_a_signal_is_handed_on(sandbox):
    told = sandbox.run("foreign:wait_for_a_signal")
    assert next(told) == {"begun": True}
    sandbox.signal(signal.SIGINT)
    assert next(told) == Ending("exit", 42)


def test_a_signal_that_comes_first_is_for_the_next_run():
    with Sandbox() as sandbox:
        sandbox.signal(signal.SIGTERM)
        assert list(sandbox.run("foreign:loop")) == [Ending("signal", signal.SIGTERM)]


def test_what_cannot_be_imported_says_why():
    with Sandbox(["no_such_module"]) as sandbox:
        (ending,) = sandbox.run("no_such_module:f")
    assert "No module named 'no_such_module'" in ending.printed


def test_on_windows_it_is_refused_in_words(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(Exception, match="needs Linux or macOS"):
        Sandbox()


@pytest.mark.parametrize("linux", [pytest.param(True, marks=LINUX), False])
def test_the_table_of_processes_knows_us(linux, monkeypatch):
    monkeypatch.setattr(guard, "LINUX", linux)
    parent, group, memory = guard.processes()[os.getpid()]
    assert (parent, group) == (os.getppid(), os.getpgrp())
    assert 10**7 < memory < 10**11
    assert os.getpid() in guard.descendants(os.getppid())


# ---------------------------------------------------------------------------------- faults of our own


@LINUX
@pytest.mark.parametrize(
    ("fault", "attack", "memory", "kind"),
    [
        ("os.urandom = lambda number: b''", ("write_to_files", 10_000, "{}\n"), 1.0, "exit"),
        ("guard.FILES = 100", ("close_files", 1000), 1.0, "garbage"),
        ("guard.descendants = lambda pid: {}", ("eat", 0.3, False), 0.2, "exit"),
        ("guard.resident = lambda pid: guard.processes()[pid][2]", ("share", 0.1), 0.4, "memory"),
    ],
)
def test_a_fault_of_the_guard_would_be_seen_above(fault, attack, memory, kind):
    with Sandbox(["foreign", "planted"], {"FAULT": fault}) as sandbox:
        name, *arguments = attack
        *_, ending = sandbox.run(f"foreign:{name}", *arguments, limits=Limits(memory=memory))
    assert ending.kind == kind


# ---------------------------------------------------------------------------------- the end of the parent

DRIVER = """
from amal.sandbox import Sandbox
with Sandbox() as sandbox:
    print(*sandbox.run("foreign:daemon_and_loop", {fifo!r}))
"""


def started(*command, folder, **environment):
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_parent(fifo, tmp_path, number):
    with started("-c", DRIVER.format(fifo=fifo.path), folder=tmp_path) as parent:
        fifo.begun()
        parent.send_signal(number)
        assert fifo.is_free()
        parent.communicate(timeout=LONG)


@LINUX
def test_the_supervisor_that_is_asked_to_end_leaves_nothing(fifo):
    with Sandbox(["foreign"]) as sandbox:
        endings = []
        run = sandbox.run("foreign:daemon_and_loop", fifo.path)
        listener = threading.Thread(target=lambda: endings.extend(run))
        listener.start()
        fifo.begun()
        sandbox._supervisor.terminate()
        assert fifo.is_free()
        listener.join(LONG)
    assert len(endings) == 1
