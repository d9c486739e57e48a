"""From a script's command line to its run directory, and back to one clear line when something is wrong."""

import contextlib
import dataclasses
import io
import platform
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
import tyro

import amal
from amal.errors import UserError
from amal.experiments import Experiment, declared, new_run_dir

from .config import RunConfig
from .logbook import Logbook, RunLogbook, open_run_dir, write_json

_C = TypeVar("_C", bound=RunConfig)


@dataclass(frozen=True)
class Outcome:
    """What an experiment found."""

    measured: str
    """In a few words, to stand beside what the course documents report."""
    metrics: Mapping[str, float]
    """The numbers by name, such as r2_test."""


def launch(run: Callable[[_C, Logbook], Outcome], args: Sequence[str] | None = None) -> None:
    """Run an experiment from the command line, and record it in a run directory.

    Parses the command line into the config that `run` takes, seeds torch, opens the run directory, calls `run`, and
    writes down what it found: config.json before, metrics.json after (with a status that tells how it ended),
    TensorBoard events in between.

    Args:
        run: the script's own function, taking its config and a logbook; its module's docstring declares the experiment.
        args: the command line; None for the process's own.

    Raises:
        SystemExit: 1 after a UserError, printed as one line; 2 for a wrong command line; 130 when interrupted.
    """
    script = sys.modules[run.__module__]
    name = script.__spec__.name if script.__spec__ else run.__module__
    args = sys.argv[1:] if args is None else list(args)
    try:
        config = parse(get_type_hints(run)["config"], args, prog=f"python -m {name}", description=script.__doc__)
        run_dir = open_run_dir(config.run_dir or new_run_dir(name))
        outcome = _record(
            run, config, run_dir, f"python -m {name} {shlex.join(args)}".rstrip(), declared(script.__doc__)
        )
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"{name}: interrupted; what was logged until now is kept", file=sys.stderr)
        raise SystemExit(130) from None
    print(f"\n{outcome.measured}\nwritten to {run_dir}; to look at it: tensorboard --logdir {run_dir}")


def parse(config: type[_C], args: Sequence[str], prog: str, description: str | None = None) -> _C:
    """Read a command line into a config, or say in one line what is wrong with it and exit with status 2."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(config, args=args, prog=prog, description=description)
    except SystemExit as stop:
        if stop.code:
            print(f"{prog}: {_one_line(complaint.getvalue())} (--help lists the options)", file=sys.stderr)
        raise


def _one_line(box: str) -> str:
    """Return the message of the first box that tyro draws around an error, without the box."""
    uncoloured = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip("│╭╮╰╯─ ") for line in uncoloured.splitlines()[1:]]
    message = lines[: lines.index("")] if "" in lines else lines
    return " ".join(message).rstrip(".")


def _record(
    run: Callable[[_C, Logbook], Outcome], config: _C, run_dir: Path, command: str, experiment: Experiment | None
) -> Outcome:
    settings = dataclasses.asdict(config) | {"run_dir": run_dir}
    record = {"command": command, "experiment": experiment and dataclasses.asdict(experiment)}
    write_json(run_dir / "config.json", record | {"config": settings, "environment": _environment()})
    logbook = RunLogbook(run_dir)
    logbook.text("config", _as_markdown(command, experiment, settings))
    torch.manual_seed(config.seed)
    started, outcome, status = time.perf_counter(), Outcome("", {}), "failed"
    try:
        outcome = run(config, logbook)
        status = "completed"
    except UserError as error:
        status = f"stopped: {error}"
        raise
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        seconds = round(time.perf_counter() - started, 3)
        result = {"status": status, "measured": outcome.measured, "seconds": seconds, "metrics": outcome.metrics}
        write_json(run_dir / "metrics.json", record | result)
        logbook.close()
    return outcome


def _as_markdown(command: str, experiment: Experiment | None, settings: Mapping[str, Any]) -> str:
    title = f"**{experiment.number} {experiment.title}**\n\nReported: {experiment.reported}\n\n" if experiment else ""
    rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
    return f"{title}`{command}`\n\n| setting | value |\n|---|---|\n{rows}"


def _environment() -> dict[str, str]:
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    versions = {"amal": amal.__version__, "torch": torch.__version__, "python": platform.python_version()}
    return {**versions, "machine": platform.platform(), "cuda": cuda}
