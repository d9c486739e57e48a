"""A run that is killed and resumed, wherever and however often, ends as if nothing had happened."""

import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import killing
import pytest
from killing import LONGEST, DieAt, HangAt, Run, complete, differing, newest_step, remains, shown
from running import ROOT, command

from amal.files import write_whole
from amal.runs import Outcome, RunLogbook, launch
from amal.runs.event_files import find_tail
from amal.runs.records import event_files, records
from amal.training import Checkpoints, Logbook, RunConfig
from amal.training.signals import Interrupted, finish_step_first, interruptible

SETTINGS = {
    "gaussians": ["--epochs", "20"],
    "digits": ["--problem", "digits", "--batch-size", "100", "--epochs", "10"],
}
STOPPING = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What runs of one length or another leave when nobody interrupts them."""
    made = {}

    def of(*args):
        if args not in made:
            made[args] = complete(tmp_path_factory.mktemp("whole") / "run", *args)
        return made[args]

    return of


# ---------------------------------------------------------------------------------- killed at any instant


def kill(settings, times, folder, above=0):
    """Kill runs at random instants and resume them, to their ends; return what they left, and the steps between.

    So many times, and on until so many kills came after step 0: a busy machine starts slowly.
    """
    args, began = [*settings, "--resume"], time.perf_counter()
    complete(folder / "timed", *args)
    seconds = time.perf_counter() - began
    chance, left, steps = random.Random(0), [], []

    def enough_is_missing():
        assert len(steps) < 10 * times, "hardly any kill comes after step 0"
        return len(steps) < times or sum(step > 0 for step in steps) < above

    while enough_is_missing():
        run_dir = folder / f"{len(left)}"
        while enough_is_missing() and Run(run_dir, *args).is_killed_after(chance.uniform(0, seconds)):
            steps.append(newest_step(run_dir))
        left.append(complete(run_dir, *args))
    return left, steps


@pytest.mark.slow
def test_three_kills_leave_no_trace(tmp_path, whole):
    expected = whole("--epochs", "8")
    left, _ = kill(["--epochs", "8"], 3, tmp_path)
    assert [differing(expected, one) for one in left] == [[]] * len(left)


@pytest.mark.slow
@pytest.mark.parametrize("problem", SETTINGS)
def test_fifty_kills_leave_no_trace(tmp_path, whole, problem):
    expected = whole(*SETTINGS[problem])
    left, steps = kill(SETTINGS[problem], 50, tmp_path, above=30)
    print(f"{problem}: {len(steps)} kills of {len(left)} runs, {sum(map(bool, steps))} resumed above step 0")
    assert [differing(expected, one) for one in left] == [[]] * len(left)


def test_no_event_is_missing_or_doubled(whole):
    losses = {tag: readers for tag, readers in whole().items() if tag.startswith("tensorboard.loss")}
    steps = {tag: [step for step, _ in readers["data server"]] for tag, readers in losses.items()}
    epochs = list(range(0, 37, 12))
    assert steps == {f"tensorboard.loss/{part}": epochs for part in ("train", "validation", "test")} | {
        "tensorboard.loss/step": list(range(10, 37, 10))
    }


# ---------------------------------------------------------------------------------- killed at every touch of the disk


@pytest.fixture(scope="module")
def touches(tmp_path_factory):
    """The operations on files that one run makes."""
    run = Run(tmp_path_factory.mktemp("touches") / "run", follow=True)
    operations = list(run.operations())
    assert run.end() == (0, "")
    assert {operation.split()[0] for operation in operations} == {"mkdir", "open", "write", "fsync", "rename", "remove"}
    return operations


def left_after_death_at(touch, run_dir):
    """Kill a run when it touches the disk for the n-th time, resume it, and return what it leaves."""
    assert Run(run_dir, act=DieAt(touch)).end() == (-signal.SIGKILL, "")
    return complete(run_dir, "--resume", later=10)


@pytest.mark.slow
def test_death_at_some_touches_of_the_disk_leaves_no_trace(tmp_path, whole, touches):
    for touch in range(len(touches) // 6, len(touches), len(touches) // 3):
        assert differing(whole(), left_after_death_at(touch, tmp_path / f"{touch}")) == [], touches[touch - 1]


@pytest.mark.slow
def test_death_at_every_touch_of_the_disk_leaves_no_trace(tmp_path, whole, touches):
    wrong = {}
    for touch, operation in enumerate(touches, 1):
        wrong[touch, operation] = differing(whole(), left_after_death_at(touch, tmp_path / f"{touch}"))
    print(f"{len(touches)} crash points")
    assert {where: names for where, names in wrong.items() if names} == {}


# ---------------------------------------------------------------------------------- killed after the last checkpoint


def killed_after(whole, step, folder, every):
    """Make runs that were killed after a checkpoint, each after one more record or in its middle; return how many.

    A kill leaves the beginning of what is written; what it left of the other files does not count.
    """
    tail = find_tail(whole, step).begin
    ends = [end for end, _ in records(tail.path) if end >= tail.byte]
    sizes = sorted([*ends, *((begin + end) // 2 for begin, end in pairwise(ends))])[::every]
    for size in sizes:
        killed = Path(shutil.copytree(whole, folder / f"{step}-{size}"))
        (killed / "metrics.json").unlink()
        for path in Checkpoints(killed / "checkpoints").paths():
            if path.name > f"step-{step:08d}~":
                path.unlink()
        os.truncate(killed / tail.path.name, size)
        (killed / tail.path.name).rename(killed / "events.out.tfevents.0000000001.here.1.0")
    return len(sizes)


def resumed_after(tmp_path, every, forget=None):
    """Resume runs that were killed after their last checkpoint; return what is wrong with them, and their number."""
    complete(tmp_path / "whole", "--checkpoint-every", "16", forget=forget)
    count = sum(killed_after(tmp_path / "whole", step, tmp_path, every) for step in (32, 36))
    for run_dir in tmp_path.glob("3*-*"):
        assert Run(run_dir, "--checkpoint-every", "16", "--resume", forget=forget).end() == (0, "")
    runs = shown(tmp_path)
    assert len(runs) == count + 1
    return {run: names for run, found in runs.items() if (names := differing(runs["whole"], found))}, count


@pytest.mark.slow
def test_death_at_some_records_after_the_last_checkpoint_leaves_no_trace(tmp_path):
    assert resumed_after(tmp_path, every=29)[0] == {}


@pytest.mark.slow
def test_death_at_every_record_after_the_last_checkpoint_leaves_no_trace(tmp_path):
    wrong, count = resumed_after(tmp_path, every=1)
    print(f"{count} kills, {count - len(wrong)} identical through three readers")
    assert wrong == {}


@pytest.mark.slow
def test_death_of_several_runs_after_the_last_checkpoint_leaves_no_trace(tmp_path):
    args = ["--runs", "2", "--epochs", "1", "--checkpoint-every", "5"]
    run = Run(tmp_path / "whole", *args, follow=True)
    touches = list(run.operations())
    assert run.end() == (0, "")
    last = max(
        touch for touch, operation in enumerate(touches) if operation.startswith("rename") and ".pt" in operation
    )
    for touch in range(last, len(touches)):
        assert Run(tmp_path / f"{touch}", *args, act=DieAt(touch + 1)).end() == (-signal.SIGKILL, "")
        assert Run(tmp_path / f"{touch}", *args, "--resume", later=10).end() == (0, "")
    runs = shown(tmp_path)
    for below in ("", "/number=0", "/number=1"):
        left = {touch: runs[f"{touch}{below}"] for touch in range(last, len(touches))}
        assert {
            touch: names for touch, found in left.items() if (names := differing(runs[f"whole{below}"], found))
        } == {}
    print(f"{len(touches) - last} kills, all identical through three readers")


def test_a_logbook_cut_anywhere_is_completed(tmp_path):
    def write(folder, resume=False):
        logbook = RunLogbook(folder, resume)
        logbook.text("note", "**bold**")
        logbook.scalar("loss", 1.0, 0)
        logbook.chart("losses", ["loss"])
        logbook.settings({"lr": 0.1}, {"score": 2.0})
        logbook.close()

    write(tmp_path / "whole")
    [events] = event_files(tmp_path / "whole")
    for size in range(0, events.stat().st_size, 40):
        folder = tmp_path / f"{size}"
        folder.mkdir()
        (folder / "events.out.tfevents.0000000001.here.1.0").write_bytes(events.read_bytes()[:size])
        write(folder, resume=True)
    runs = shown(tmp_path)
    assert [run for run, found in runs.items() if differing(runs["whole"], found)] == []


# ---------------------------------------------------------------------------------- asked to stop


def stop(run_dir, number, touch):
    """Signal a run when it touches the disk for the n-th time; return what it said to do."""
    status, said = Run(run_dir, *SETTINGS["gaussians"], act=DieAt(touch, of=number)).end()
    assert status == 128 + number
    assert f"stopped by {number.name}; go on with: " in said
    return said.splitlines()[-1].partition("go on with: ")[2]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_told_to_stop_saves_and_says_how_to_go_on(tmp_path, whole, number):
    advice = stop(tmp_path / "run", number, touch=200)
    assert advice == f"python -m killing --epochs 20 --resume --run-dir {tmp_path / 'run'}"
    left = complete(tmp_path / "run", "--epochs", "20", "--resume")
    assert differing(whole(*SETTINGS["gaussians"]), left) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", STOPPING)
def test_a_run_told_to_stop_always_does(tmp_path, whole, number):
    chance = random.Random(0)
    for attempt in range(20):
        run_dir = tmp_path / f"{attempt}"
        advice = stop(run_dir, number, touch=chance.randrange(60, 700))
        went_on = command(*shlex.split(advice)[2:], cwd=ROOT / "tests")  # as a user would type it
        assert (went_on.returncode, went_on.stderr) == (0, "")
        assert differing(whole(*SETTINGS["gaussians"]), remains(run_dir)) == []


@pytest.mark.parametrize(
    "moment", ["rename .config.json", pytest.param("rename .metrics.json", marks=pytest.mark.slow)]
)
def test_a_run_stopped_before_or_after_its_training_says_how_to_go_on(tmp_path, whole, moment):
    status, said = Run(tmp_path / "run", act=DieAt(1, moment, of=signal.SIGTERM)).end()
    assert status == 128 + signal.SIGTERM
    assert differing(whole(), complete(tmp_path / "run", "--resume", later=10)) == []
    assert "go on with" in said


def test_a_second_interrupt_quits_at_once(tmp_path):
    run = Run(tmp_path / "run", act=HangAt(1, "fsync checkpoints$"))
    lines = iter(run.stderr.readline, "")
    assert "still waiting\n" in lines
    run.signal(signal.SIGINT)
    assert "finishing this step, then saving; Ctrl-C again to quit at once\n" in lines
    assert "still waiting\n" in lines
    run.signal(signal.SIGINT)
    assert run.end()[0] == 128 + signal.SIGINT  # or it would hang until an alarm ends it


def test_a_second_interrupt_may_come_while_the_first_is_told(monkeypatch):
    def write(*_):
        monkeypatch.setattr(os, "write", lambda *_: None)
        signal.raise_signal(signal.SIGINT)

    quits = []
    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "_exit", quits.append)
    with pytest.raises(KeyboardInterrupt), finish_step_first():
        signal.raise_signal(signal.SIGINT)
    assert quits == [128 + signal.SIGINT]


@pytest.mark.slow
@pytest.mark.parametrize("times", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_a_stop_is_not_lost_where_python_drops_exceptions(tmp_path, times):
    chance, seen = random.Random(0), []
    for attempt in range(times):
        run = Run(tmp_path / f"{attempt}", forget=killing.litter)
        assert run.stderr.readline() == "littering\n"
        time.sleep(chance.uniform(0, 0.02))
        run.signal(signal.SIGINT)
        seen.append(run.end())
    said = "killing: stopped by SIGINT; go on with: python -m killing --resume --run-dir "
    assert seen == [(130, f"{said}{tmp_path / str(attempt)}\n") for attempt in range(times)]


def drop_until_stopped(seconds):
    """Have the signal come after so many seconds, and go on no longer than some tenths of one after it."""
    sender = threading.Thread(target=lambda: (time.sleep(seconds), os.kill(os.getpid(), signal.SIGINT)))
    try:
        with interruptible():
            sender.start()
            while sender.is_alive():
                killing.drop()
            for _ in range(20_000):
                killing.drop()
    finally:
        sender.join()


@pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_none_of_many_stops_is_lost_where_python_drops_exceptions(capsys, times):
    chance = random.Random(0)
    for _ in range(times):
        with pytest.raises(Interrupted):
            drop_until_stopped(chance.uniform(0, 0.01))
    assert capsys.readouterr() == ("", "")


def drop_in_a_callback(logbook):
    """Python tells that it drops the exception, and the signal is sent again."""

    class Litter:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    Litter()
    time.sleep(LONGEST)


def take_all(logbook):
    """Some library takes every exception."""
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


def take_all_and_write(logbook):
    take_all(logbook)
    logbook.scalar("loss", 1.0, 0)
    raise AssertionError("it went on")


def take_all_and_train(logbook):
    take_all(logbook)
    with finish_step_first():
        raise AssertionError("it went on")


def stop_too_late(logbook):
    """A training's last steps are done when the signal comes."""
    with finish_step_first():
        signal.raise_signal(signal.SIGTERM)
    raise AssertionError("it went on")


@pytest.mark.parametrize("lose", [drop_in_a_callback, take_all, take_all_and_write, take_all_and_train, stop_too_late])
def test_a_stop_that_is_swallowed_stops_none_the_less(tmp_path, capsys, lose):
    def run(config: RunConfig, logbook: Logbook) -> Outcome:
        lose(logbook)
        return Outcome("went on", {})

    with pytest.raises(SystemExit, match="143"):
        launch(run, ["--run-dir", str(tmp_path / "run")])
    assert capsys.readouterr().err == "test_interruption: stopped by SIGTERM; what was logged until now is kept\n"
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["status"] == "interrupted"
    with finish_step_first():  # nothing of it is left
        pass


def test_what_else_python_drops_is_told_as_ever():
    class Litter:
        def __del__(self):
            raise ValueError("its own fault")

    told, before = [], sys.unraisablehook
    sys.unraisablehook = told.append
    try:
        with interruptible():
            Litter()
    finally:
        sys.unraisablehook = before
    assert [str(what.exc_value) for what in told] == ["its own fault"]


def test_a_stop_when_a_file_is_written_already_leaves_the_file(tmp_path, monkeypatch):
    def replace(*args):
        rename(*args)
        raise Interrupted(signal.SIGINT)

    rename = os.replace
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Interrupted):
        write_whole(tmp_path / "file", b"whole")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


# ---------------------------------------------------------------------------------- the comparison would see a fault


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("forget", "seen"),
    [
        (killing.nothing, None),
        (killing.random_states, "random.0.torch"),
        pytest.param(killing.optimizer_state, "optimizer.state.0.exp_avg", marks=pytest.mark.slow),
        (killing.position_in_the_epoch, "model.0.weight"),
    ],
)
def test_what_a_trainer_forgets_is_seen(tmp_path, whole, forget, seen):
    Run(tmp_path / "run", forget=forget, act=DieAt(2, r"write .*\.pt")).end()
    assert newest_step(tmp_path / "run") == 8
    different = differing(whole(), complete(tmp_path / "run", "--resume", forget=forget, later=10))
    assert seen in different if seen else different == []


@pytest.mark.slow
def test_a_layout_that_waits_for_the_end_is_lost(tmp_path):
    wrong, _ = resumed_after(tmp_path, every=60, forget=killing.layout)
    assert "tensorboard.custom_scalars__config__" in {name for names in wrong.values() for name in names}


def test_without_the_rename_a_checkpoint_is_lost(tmp_path):
    Run(tmp_path / "run", forget=killing.rename, act=DieAt(1, r"write .*\.pt")).end()
    status, said = Run(tmp_path / "run", "--resume", forget=killing.rename).end()
    assert status == 1
    assert "is damaged" in said
    assert "none of the 1 checkpoints" in said
