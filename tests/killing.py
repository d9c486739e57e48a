"""A small experiment, and ways to kill it: what the tests of interruption run, stop, resume and compare.

Runs are forked from a server that has imported torch already: one starts in a tenth of a second. The experiment is also
an ordinary script, so that the command a stopped run prints can be tried: `python -m killing`.
"""

import builtins
import contextlib
import ctypes
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import time
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from amal import files
from amal.data import Split, Splits, four_gaussians
from amal.functional import cross_entropy, mse_loss
from amal.nn import Dropout, Linear, Sequential, Tanh
from amal.runs import Outcome, RunLogbook, launch
from amal.training import Checkpoints, Logbook, TrainingConfig, checkpoint, fit, log_weights, loop

SERVER = multiprocessing.get_context("forkserver")
SLOW_IMPORTS = ["amal.training", "torch._dynamo", "torch.utils.tensorboard", "matplotlib.backends.backend_agg"]
SERVER.set_forkserver_preload(SLOW_IMPORTS)
LONGEST = 120
"""Seconds after which a run that hangs ends itself."""


# ---------------------------------------------------------------------------------- the experiment


@dataclass(frozen=True)
class Config(TrainingConfig):
    epochs: int = 3
    batch_size: int | None = 50
    lr: float = 0.01
    checkpoint_every: int = 8
    progress: bool = False
    problem: Literal["gaussians", "digits"] = "gaussians"
    """A net of a few units for points in the plane, or one for pictures of 784 pixels."""
    runs: int = 1
    """Trainings: above one, each has a logbook of its own."""


def run(config: Config, logbook: Logbook) -> Outcome:
    if config.runs == 1:
        return train(config, logbook)
    for number in range(config.runs):
        book = logbook.child({"number": number})
        found = train(replace(config, seed=number), book)
        book.settings({"number": number, "batch_size": None}, found.metrics)
    logbook.chart("both", ["loss/test"])
    logbook.text("table", "| both |")
    return found


def train(config, logbook):
    if config.problem == "gaussians":
        data, loss = four_gaussians(seed=config.seed), mse_loss
        model = Sequential(Linear(2, 10), Tanh(), Dropout(0.1), Linear(10, 1))
    else:
        data, loss = pictures(), cross_entropy
        model = Sequential(Linear(784, 100), Tanh(), Dropout(0.1), Linear(100, 10))
    optimizer = torch.optim.Adam(model.parameters(), config.lr)
    gaussian = config.problem == "gaussians"
    scheduler = StepLR(optimizer, 7, 0.9) if gaussian else ReduceLROnPlateau(optimizer, patience=0)
    logbook.graph(model, data.train.input[:5])

    def observe(row):
        log_weights(logbook, model, row["step"])
        logbook.scalar("drawn", torch.rand(()) + random.random() + np.random.rand(), row["step"])  # noqa: NPY002

    checkpoints = Checkpoints(logbook.folder / "checkpoints")
    done = fit(model, loss, data, optimizer, config, logbook, checkpoints, scheduler=scheduler, observe=observe)
    logbook.text("table", "| loss |")
    logbook.figure("empty", Figure((1, 1)), done.step)
    logbook.pr_curve("curve", torch.tensor([0, 1, 1]), torch.tensor([0.2, 0.4, 0.8]), done.step)
    logbook.chart("drawn", ["drawn"])
    return Outcome("trained", {name: value for name, value in done.last_row.items() if name != "seconds"})


def pictures(n=6000):
    """Noise of the size of MNIST's pictures, and the digit that a fixed linear map sees in each."""
    fixed = torch.Generator().manual_seed(0)
    rows = torch.randn(n, 784, generator=fixed)
    digits = (rows @ torch.randn(784, 10, generator=fixed)).argmax(1)
    return Splits(*(Split(rows[part], digits[part]) for part in (slice(0, -1000), slice(-1000, -500), slice(-500, n))))


def litter():
    """Let the experiment be one that trains nothing, and spends its time where Python drops exceptions."""
    global run
    run = _litter


def _litter(config: Config, logbook: Logbook) -> Outcome:
    os.write(2, b"littering\n")
    for _ in range(300_000):  # some seconds
        drop()
    return Outcome("nobody stopped it", {})


def drop():
    """Spend nearly all of some microseconds in a finaliser, in a weak reference's callback and in one of C's."""

    def callback(*_):
        return sum(range(200))

    class Litter:
        __del__ = callback

    one, other = Litter(), Dropout()
    gone = weakref.ref(other, callback)
    del one, other
    ctypes.CFUNCTYPE(ctypes.c_int)(callback)()
    assert gone() is None


# ---------------------------------------------------------------------------------- one run of it


class Run:
    """A process that runs the experiment, from now on.

    Args:
        run_dir: where it writes.
        args: further ones of its command line.
        act: called in the process at each operation on a file, such as "write checkpoints/step…".
        forget: called in the process first, to put a fault into amal.
        follow: whether `operations` is going to be read.
        later: seconds by which the process's clock is ahead.
    """

    def __init__(self, run_dir, *args, act=None, forget=None, follow=False, later=0):
        said, stderr = SERVER.Pipe(duplex=False)
        self._told, tell = SERVER.Pipe(duplex=False) if follow else (None, None)
        args = ["--run-dir", str(run_dir), *args]
        self._process = SERVER.Process(target=_live, args=(args, stderr, act, forget, tell, later))
        self._process.start()
        self.stderr = os.fdopen(os.dup(said.fileno()))
        for end in (said, stderr, tell):
            if end:
                end.close()
        weakref.finalize(self, _leave_nothing, self._process, self.stderr, self._told)

    def operations(self):
        """Yield each operation on a file as it comes."""
        with self._told, contextlib.suppress(EOFError):
            while True:
                yield self._told.recv()

    def signal(self, number):
        os.kill(self._process.pid, number)

    def end(self):
        """Wait, and return the exit status (negative: the signal that killed it) and what was said on stderr."""
        with self.stderr:
            said = self.stderr.read()
        self._process.join()
        return self._process.exitcode, said

    def is_killed_after(self, seconds):
        """Kill it at an instant; return whether it was still running."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
        status, said = self.end()
        assert (status, said) in [(0, ""), (-signal.SIGKILL, "")]
        return status != 0


def _leave_nothing(process, *pipes):
    """After a test that failed before the end of its run: neither the process nor a warning in another test."""
    process.kill()
    for pipe in filter(None, pipes):
        pipe.close()


def _live(args, stderr, act, forget, tell, later):
    signal.alarm(LONGEST)
    os.dup2(stderr.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    torch.set_num_threads(1)
    clock = time.time
    time.time = lambda: clock() + later
    if forget:
        forget()
    if act or tell:
        _watch_files(Path(args[1]), [step for step in (tell and tell.send, act) if step])
    launch(run, args)


class DieAt:
    """At the n-th operation whose name matches, the process is sent a signal: in the middle, if that is a write."""

    def __init__(self, n, matching="", of=signal.SIGKILL):
        self.left, self.matching, self.of = n, matching, of

    def __call__(self, operation):
        self.left -= bool(re.search(self.matching, operation))
        if self.left == 0:
            os.kill(os.getpid(), self.of)


class HangAt(DieAt):
    """At the n-th operation whose name matches, the process waits for ever, and says so."""

    def __call__(self, operation):
        self.left -= bool(re.search(self.matching, operation))
        while self.left == 0:
            os.write(2, b"still waiting\n")
            time.sleep(0.05)


class RemoveAt(DieAt):
    """At the n-th operation whose name matches, somebody removes what a pattern finds in a folder, or puts back a stub.

    Args:
        folder, pattern: what is removed; "." is the folder itself.
        stub: whether another run begins in the folder.
    """

    def __init__(self, n, matching, folder, pattern, stub=False):
        super().__init__(n, matching)
        self.folder, self.pattern, self.stub = folder, pattern, stub

    def __call__(self, operation):
        self.left -= bool(re.search(self.matching, operation))
        if self.left != 0:
            return
        self.left = -1  # to remove something is an operation too
        for path in [self.folder] if self.pattern == "." else list(self.folder.glob(self.pattern)):
            while path.is_dir():  # a thread may write into it meanwhile
                shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        if self.stub:
            self.folder.mkdir()
            (self.folder / "config.json").write_text("{}")


def _watch_files(folder, watchers):
    """Call the watchers before every operation that changes a folder, and in the middle of every write."""

    def report(operation, file):
        path = os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else os.fsdecode(file)
        if Path(path).is_relative_to(folder):
            for watch in watchers:
                watch(f"{operation} {os.path.relpath(path, folder)}")

    def audit(event, args):
        if event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            report("open", args[0])
        elif event in ("os.mkdir", "os.rename", "os.remove"):
            report(event[3:], args[0])

    class InHalves(io.FileIO):
        def write(self, data):
            half = len(data) // 2
            written = super().write(data[:half])
            report("write", self.name)
            return written + super().write(data[half:])

    def opened(file, mode="r", buffering=-1, *args, opener=None, **options):
        if set(mode) & set("wax") and "b" in mode:
            raw = InHalves(file, mode.replace("b", ""), opener=opener)
            return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return plain_open(file, mode, buffering, *args, opener=opener, **options)

    def synced(descriptor):
        report("fsync", descriptor)
        plain_fsync(descriptor)

    plain_open, plain_fsync = io.open, os.fsync
    io.open = builtins.open = opened
    os.fsync = synced
    sys.addaudithook(audit)


# ---------------------------------------------------------------------------------- what a trainer may forget


def nothing():
    pass


def random_states():
    loop.restore_random_states = lambda *_: None


def optimizer_state():
    def emptied(state):
        return {name: torch.zeros_like(value) if name.startswith("exp_avg") else value for name, value in state.items()}

    def changed(state):
        states = {number: emptied(each) for number, each in state.optimizer["state"].items()}
        return replace(state, optimizer=state.optimizer | {"state": states})

    _save(changed)


def position_in_the_epoch():
    def from_the_first_batch(*where, skip):
        return plain_batches(*where, skip=0)

    plain_batches, loop.epoch_batches = loop.epoch_batches, from_the_first_batch


def layout():
    def flush(logbook, step):
        charts, logbook._charts = logbook._charts, logbook._records.charts
        plain_flush(logbook, step)
        logbook._charts = charts

    plain_flush, RunLogbook.flush = RunLogbook.flush, flush


def rename():
    def write_in_place(path, content):
        with open(path, "wb") as file:
            file.write(content)

    checkpoint.write_whole = files.write_whole = write_in_place


def _save(changed):
    def save(checkpoints, step, state):
        plain_save(checkpoints, step, changed(state))

    plain_save, Checkpoints.save = Checkpoints.save, save


# ---------------------------------------------------------------------------------- what it leaves


def complete(run_dir, *args, **options):
    """Run the experiment to its end, silently, and return what it leaves."""
    assert Run(run_dir, *args, **options).end() == (0, "")
    return remains(run_dir)


def remains(run_dir):
    """Return all that a run leaves, times and the command line apart, as {name: value}."""
    metrics = json.loads((run_dir / "metrics.json").read_text())
    told = {"metrics.json": {name: metrics[name] for name in ("script", "status", "measured", "metrics")}}
    return saved(run_dir / "checkpoints") | flat(told) | shown(run_dir)["."]


def shown(folder):
    """Return what TensorBoard's readers find in each run of a folder, as {name: value of each reader}."""
    from readers import read_all  # a second to import: not for each process that is killed

    readers = read_all(folder)
    return {run: {f"tensorboard.{tag}": of_each(readers, run, tag) for tag in tags} for run, tags in tags_of(readers)}


def tags_of(readers):
    for run in {run: None for runs in readers.values() for run in runs}:
        yield run, {tag: None for runs in readers.values() for tag in runs.get(run, {})}


def of_each(readers, run, tag):
    """Return the series of a tag in each reader, which must agree on its steps."""
    series = {name: runs.get(run, {}).get(tag, []) for name, runs in readers.items()}
    steps = {name: [step for step, _ in values] for name, values in series.items()}
    assert len(set(map(str, steps.values()))) == 1, f"{run}, {tag}: {steps}"
    return series


def saved(folder):
    """Return what the newest checkpoint in a folder holds, times and settings apart, as {name: value}."""
    content = torch.load(Checkpoints(folder).paths()[0], weights_only=True)
    return flat({name: value for name, value in content.items() if name != "config"})


def newest_step(run_dir):
    """Return the step that a run would go on from."""
    return max((int(path.name[5:13]) for path in Checkpoints(run_dir / "checkpoints").paths()), default=0)


def flat(content):
    """Return nested dictionaries and lists as {dotted name: value}, times apart; of tensors the bits."""
    found = {}
    for name, value in content.items() if isinstance(content, dict) else enumerate(content):
        numbers = isinstance(value, (list, tuple)) and all(isinstance(entry, (int, float)) for entry in value)
        if isinstance(value, torch.Tensor):
            found[f"{name}"] = value.dtype, value.shape, value.cpu().numpy().tobytes()
        elif isinstance(value, (dict, list, tuple)) and not numbers:
            found |= {f"{name}.{inner}": entry for inner, entry in flat(value).items()}
        elif name != "seconds":
            found[f"{name}"] = value
    return found


def differing(one, other):
    """Return the names under which two runs left different things."""
    return sorted(name for name in {**one, **other} if name not in one or name not in other or one[name] != other[name])


if __name__ == "__main__":
    launch(run)
