"""The command `amal labs`: run the experiments, and show what they measured."""

import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import tyro

from amal.course.labs import Stopped, as_table, default_jobs, run_labs
from amal.errors import UserError
from amal.experiments import LABS, board_command, find_experiments
from amal.text import terminal_width


def labs(
    names: Annotated[tuple[Literal["tme1", "tme2", "tme3"], ...], tyro.conf.Positional] = LABS,
    /,
    runs: Path = Path("runs"),
    progress: bool = True,
    jobs: int = 0,
) -> None:
    """Run every experiment of the labs with its default settings, then compare with the course documents.

    Each script runs in a process of its own; one that fails does not stop the others, and the exit status is then 1.
    Several run at once, and what one prints is shown when it is done; those that measure time come last, alone.

    Args:
        names: the labs to run.
        runs: where the runs are written, each to a new folder below.
        progress: show the progress of a script that runs alone.
        jobs: scripts at once; 0 for one on each core, at most 8. With 1, each prints as it goes.
    """
    if jobs < 0:
        raise UserError(f"--jobs {jobs}: expected at least 1, or 0 for one on each core")
    file = next((path for path in (runs, *runs.parents) if path.exists() and not path.is_dir()), None)
    if file:
        raise UserError(f"--runs {runs}: {file} is no folder")
    experiments, jobs = find_experiments(names), jobs or default_jobs()
    if jobs > 1:
        print(f"{len(experiments)} scripts, {jobs} at once; what one prints is shown when it is done", flush=True)
    started, rows, status = time.perf_counter(), {}, 1
    try:
        for row in run_labs(experiments, runs, progress, jobs):
            rows[row.script] = row
            if row.printed:
                print(f"\n{row.experiment.number} {row.experiment.title}\n{row.printed}", end="")
            print(f"[{len(rows)}/{len(experiments)}] {row.script}: {row.seconds:.0f} s", flush=True)
    except Stopped as stop:
        status = 128 + stop.number
        cause = "interrupted" if stop.number == signal.SIGINT else f"stopped by {stop}"
        rest = "; what the finished scripts measured:" if rows else ""
        print(f"amal labs: {cause}{rest}", file=sys.stderr)
    in_order = [rows[script] for script in experiments if script in rows]
    if in_order:
        print("\n" + as_table(in_order, terminal_width(), time.perf_counter() - started))
    if len(rows) < len(experiments):
        raise SystemExit(status)
    print(f"\nTo see the curves and pictures: {board_command(runs)}")
    failures = [row.script for row in in_order if row.failed]
    if failures:
        print(f"failed: {', '.join(failures)}", file=sys.stderr)
        raise SystemExit(1)
