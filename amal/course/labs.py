"""Every script of the labs, one beside another: run as its user would, then all of them in one table."""

import json
import os
import runpy
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

from amal.experiments import Experiment, new_run_dir
from amal.sandbox import Ending, Sandbox
from amal.text import columns

PRELOADED = ["torch.utils.tensorboard", "matplotlib.figure", "amal.nn", "amal.training"]
"""What every script of the labs imports: five seconds saved on each."""
PATIENCE = 10.0
"""Seconds that scripts have to end after a signal: they finish a step, and save."""


@dataclass(frozen=True)
class Row:
    """What one script did, for the table."""

    script: str
    experiment: Experiment
    measured: str
    seconds: float
    failed: bool
    printed: str
    """By the script; empty where it went to the terminal at once."""


def default_jobs() -> int:
    """Return how many scripts to run at once: one on each core, but no more than 8, as each holds a gigabyte."""
    return min(os.cpu_count() or 1, 8)


class Stopped(Exception):
    """A signal came; the scripts that ran have stopped, and no other was started.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Scripts:
    """What runs the scripts: sandboxes, each of which runs one at a time; and the signal that stops them all."""

    def __init__(self, sandboxes: list[Sandbox]) -> None:
        self.sandboxes = sandboxes
        self.free: SimpleQueue[Sandbox] = SimpleQueue()
        for sandbox in sandboxes:
            self.free.put(sandbox)
        self.stopped_by: int | None = None

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Within it, SIGINT and SIGTERM are handed on to the scripts that run, and nothing more is started.

        A script that has not ended some seconds later is killed.
        """

        def hand_on(number: int, _frame: FrameType | None = None) -> None:
            self.stopped_by = self.stopped_by or number
            for sandbox in self.sandboxes:
                sandbox.signal(number)

        last = threading.Timer(PATIENCE, hand_on, [signal.SIGKILL])

        def stop(number: int, frame: FrameType | None) -> None:
            if self.stopped_by is None:
                last.start()
            hand_on(number, frame)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            last.cancel()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raise Stopped after a signal."""
        if self.stopped_by is not None:
            raise Stopped(self.stopped_by)


def run_labs(experiments: Mapping[str, Experiment], runs: Path, progress: bool, jobs: int) -> Iterator[Row]:
    """Run scripts, `jobs` of them at once, each with its share of the cores; yield what each did when it is done.

    With one job, and for what measures time, nothing runs beside a script, and it prints to the terminal at once.

    Args:
        experiments: by script.
        runs: the folder below which each gets one of its own.
        progress: show how far a script that runs alone is.
        jobs: how many at once.

    Raises:
        Stopped: SIGINT or SIGTERM came. They are handed on to the scripts that run, and these are waited for.
    """
    parallel = [script for script, experiment in experiments.items() if jobs > 1 and not experiment.alone]
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ExitStack() as stack:
        sandboxes = [stack.enter_context(Sandbox(PRELOADED)) for _ in range(min(jobs, len(parallel)) or 1)]
        scripts = Scripts(sandboxes)
        stack.enter_context(scripts.stoppable())
        outputs = stack.enter_context(tempfile.TemporaryDirectory())
        pool = ThreadPoolExecutor(len(sandboxes))
        try:
            futures = [
                pool.submit(
                    run_script, scripts, script, experiments[script], runs, False, f"{outputs}/{script}", threads
                )
                for script in parallel
            ]
            for future in as_completed(futures):
                scripts.check()
                yield future.result()
        finally:  # whatever ends it: those that run are waited for, and nothing more is started
            pool.shutdown(cancel_futures=True)
        for script, experiment in experiments.items():
            if script not in parallel:
                row = run_script(scripts, script, experiment, runs, progress)
                scripts.check()
                yield row


def run_script(
    scripts: Scripts,
    script: str,
    experiment: Experiment,
    runs: Path,
    progress: bool,
    output: str | None = None,
    threads: int = 0,
) -> Row:
    """Run one script as its user would, in a new folder, and read what it measured from there.

    Args:
        scripts: what runs it.
        script: such as tme1.regression.
        experiment: what it declares.
        runs: the folder below which the new one is.
        progress: show how far it is.
        output: a file for what it prints; None for the terminal.
        threads: of torch; 0 for as many as torch takes.

    Raises:
        Stopped: a signal came before it began.
    """
    scripts.check()
    folder = new_run_dir(script, runs)
    arguments = [f"--run-dir={folder}", *([] if progress else ["--no-progress"])]
    command = f"$ python -m {script} {' '.join(arguments)}\n"
    if output is None:
        print(f"\n{experiment.number} {experiment.title}\n{command}", end="", flush=True)
    sandbox = scripts.free.get()
    started = time.perf_counter()
    try:
        (*_, ending) = sandbox.run("amal.course.labs:run_as_main", script, arguments, output, threads, apart=False)
    finally:
        scripts.free.put(sandbox)
    seconds = time.perf_counter() - started
    try:
        result = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        result = {"status": "nothing written", "measured": ""}
    failed = ending != Ending("exit", 0) or result["status"] != "completed"
    how = f"exit status {ending.number}" if isinstance(ending, Ending) and ending.kind == "exit" else f"it {ending}"
    measured = f"FAILED ({how}): {result['status']}" if failed else result["measured"]
    printed = command + _text(output) if output is not None else ""
    return Row(script, experiment, measured, seconds, failed, printed)


def _text(output: str) -> str:
    """Return what a script printed, if it came so far."""
    path = Path(output)
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def run_as_main(
    _tell: Callable[..., None], script: str, arguments: list[str], output: str | None, threads: int
) -> None:
    """Do what `python -m script arguments` does."""
    if output is not None:
        file = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, 1)
        os.dup2(file, 2)
    if threads:
        import torch

        torch.set_num_threads(threads)
    sys.argv = [script, *arguments]
    runpy.run_module(script, run_name="__main__", alter_sys=True)


def as_table(rows: Iterable[Row], width: int, seconds: float) -> str:
    """Format the rows as a table: experiment, reported, measured, seconds.

    Args:
        rows: in the order of the table.
        width: of the table, in characters.
        seconds: that all took, from the first to the last.
    """
    widths = [(width - 10) * share // 10 for share in (3, 3, 4)] + [5]
    rule = ["─" * size for size in widths]
    body = [
        (
            f"{row.experiment.number} {row.experiment.title}",
            row.experiment.reported,
            row.measured,
            f"{row.seconds:.1f}",
        )
        for row in rows
    ]
    head, foot = ("experiment", "documents report", "measured", "s"), ("", "", "from first to last", f"{seconds:.1f}")
    return "\n".join(columns([head, rule, *body, rule, foot], widths=widths))
