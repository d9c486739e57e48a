"""Every script of the labs, one beside another: run as its user would, then all of them in one table."""

import json
import os
import runpy
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from amal.experiments import Experiment, new_run_dir
from amal.processes import preloaded_process

PRELOADED = ["torch.utils.tensorboard", "matplotlib.figure", "amal.nn", "amal.training"]
"""What every script of the labs imports: five seconds saved on each."""


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


def at_once() -> int:
    """Return how many scripts to run at once: one on each core, but no more than 8, as each holds a gigabyte."""
    return min(os.cpu_count() or 1, 8)


def run_labs(experiments: Mapping[str, Experiment], runs: Path, progress: bool, jobs: int) -> Iterator[Row]:
    """Run scripts, `jobs` of them at once, each with its share of the cores; yield what each did when it is done.

    With one job, and for what measures time, nothing runs beside a script, and it prints to the terminal at once.

    Args:
        experiments: by script.
        runs: the folder below which each gets one of its own.
        progress: show how far a script that runs alone is.
        jobs: how many at once.

    A KeyboardInterrupt reaches the scripts from the terminal; it is raised here when those that ran have stopped.
    """
    beside = [script for script, experiment in experiments.items() if jobs > 1 and not experiment.alone]
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with tempfile.TemporaryDirectory() as outputs:
        pool = ThreadPoolExecutor(jobs)
        try:
            waiting = [
                pool.submit(run_script, script, experiments[script], runs, False, Path(outputs, script), threads)
                for script in beside
            ]
            for done in as_completed(waiting):
                yield done.result()
        finally:  # whatever ends it: those that run are waited for, and nothing more is started
            pool.shutdown(cancel_futures=True)
    for script, experiment in experiments.items():
        if script not in beside:
            yield run_script(script, experiment, runs, progress)


def run_script(
    script: str, experiment: Experiment, runs: Path, progress: bool, output: Path | None = None, threads: int = 0
) -> Row:
    """Run one script as its user would, in a new folder, and read what it measured from there.

    Args:
        script: such as tme1.regression.
        experiment: what it declares.
        runs: the folder below which the new one is.
        progress: show how far it is.
        output: a file for what it prints; None for the terminal.
        threads: of torch; 0 for as many as torch takes.
    """
    folder = new_run_dir(script, runs)
    arguments = [f"--run-dir={folder}", *([] if progress else ["--no-progress"])]
    command = f"$ python -m {script} {' '.join(arguments)}\n"
    if output is None:
        print(f"\n{experiment.number} {experiment.title}\n{command}", end="", flush=True)
    started = time.perf_counter()
    process = preloaded_process(PRELOADED, target=run_as_main, args=(script, arguments, output, threads))
    process.start()
    process.join()
    status, seconds = process.exitcode, time.perf_counter() - started
    try:
        result = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        result = {"status": "nothing written", "measured": ""}
    failed = status != 0 or result["status"] != "completed"
    measured = f"FAILED (exit status {status}): {result['status']}" if failed else result["measured"]
    printed = command + output.read_text(encoding="utf-8", errors="replace") if output and output.exists() else ""
    return Row(script, experiment, measured, seconds, failed, printed)


def run_as_main(script: str, arguments: list[str], output: Path | None, threads: int) -> None:
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
    """Set the rows as a table: experiment, reported, measured, seconds.

    Args:
        rows: in the order of the table.
        width: of the table, in characters.
        seconds: that all took, from the first to the last.
    """
    titles = ("experiment", "documents report", "measured", "s")
    widths = [(width - 10) * share // 10 for share in (3, 3, 4)] + [5]

    def line(*texts: str) -> str:
        wrapped = [textwrap.wrap(text, size) or [""] for text, size in zip(texts, widths, strict=True)]
        height = max(map(len, wrapped))
        columns = [cell + [""] * (height - len(cell)) for cell in wrapped]
        return "\n".join(
            "  ".join(text.ljust(size) for text, size in zip(texts, widths, strict=True)).rstrip()
            for texts in zip(*columns, strict=True)
        )

    rule = "  ".join("─" * size for size in widths)
    body = [
        line(
            f"{row.experiment.number} {row.experiment.title}",
            row.experiment.reported,
            row.measured,
            f"{row.seconds:.1f}",
        )
        for row in rows
    ]
    return "\n".join([line(*titles), rule, *body, rule, line("", "", "from first to last", f"{seconds:.1f}")])
