"""From a script's command line to its run directory, and back to one clear line when something is wrong."""

import contextlib
import dataclasses
import errno
import io
import json
import os
import random
import re
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_type_hints

import numpy as np
import torch
import tyro

from amal.environment import environment
from amal.errors import UserError
from amal.experiments import board_command, declared, new_run_dir

from . import distributed
from .config import RunConfig, differences
from .device import choose_device, keep_freed_memory
from .files import Refused, open_run_dir, plain, require_in_place, write_json, write_whole
from .identity import UNINTERESTING, Identity, as_markdown, asked, common
from .logbook import Logbook, RunLogbook, Silent
from .signals import Interrupted, interruptible

_C = TypeVar("_C", bound=RunConfig)
PATIENCE = 15.0
"""Seconds that a process gives the first one to say what is wrong."""


@dataclass(frozen=True)
class Outcome:
    """What an experiment found."""

    measured: str
    """In a few words, to stand beside what the course documents report."""
    metrics: Mapping[str, float]
    """The numbers by name, such as r2_test."""


def launch(run: Callable[[_C, Logbook], Outcome], args: Sequence[str] | None = None) -> None:
    """Run an experiment from the command line, and record it in a run directory.

    Parses the command line into the config that `run` takes, seeds torch, Python and NumPy, opens the run directory,
    calls `run`, and writes down what it found: config.json before, metrics.json after (with a status that tells how it
    ended), TensorBoard events in between. Under torchrun all processes do so together, and the first one writes.

    Args:
        run: the script's own function, taking its config and a logbook; its module's docstring declares the experiment.
        args: the command line; None for the process's own.

    Raises:
        SystemExit: 1 after a UserError or on a full disk, told in one line; 2 for a wrong command line; 130 or 143 when
            stopped by SIGINT or SIGTERM.
    """
    script = sys.modules[run.__module__]
    name = script.__spec__.name if script.__spec__ else run.__module__
    args = sys.argv[1:] if args is None else list(args)
    run_dir = Path()
    try:
        with interruptible(), _quiet_threads(), _one_voice():
            config = _parse(get_type_hints(run)["config"], args, prog=f"python -m {name}", description=script.__doc__)
            device = choose_device(getattr(config, "device", "cpu"))
            keep_freed_memory()
            with distributed.joined(device):
                run_dir = distributed.agreed(lambda: _open(config, name))
                outcome = _record(run, config, run_dir, Identity(name, args, declared(script.__doc__)))
    except _Unreadable as error:
        _end(str(error), 2)
    except UserError as error:
        _end(f"{name}: {error}", 1)
    except Interrupted as stop:
        if stop.saved and distributed.rank() > 0:
            raise SystemExit(0) from None  # all have stopped: the first one tells, and its status is that of all
        can_go_on = stop.saved or ("resume" in get_type_hints(get_type_hints(run)["config"]) and run_dir != Path())
        how = f"go on with: {_command(name, args, run_dir)}" if can_go_on else "what was logged until now is kept"
        _end(f"{name}: stopped by {stop}; {how}", 128 + stop.number)
    except KeyboardInterrupt:
        _end(f"{name}: interrupted; what was logged until now is kept", 130)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _end(f"{name}: the disk is full, and nothing more can be written to {run_dir}: make room, then --resume", 1)
        try:
            require_in_place(run_dir)
        except UserError as removed:
            _end(f"{name}: {removed}", 1)
        raise
    if distributed.rank() == 0:
        print(f"\n{outcome.measured}\nwritten to {run_dir}; to look at it: {board_command(run_dir)}")


class _Unreadable(UserError):
    """A command line is wrong."""


def _parse(config: type[_C], args: Sequence[str], prog: str, description: str | None) -> _C:
    """Read a command line into a config."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(config, args=args, prog=prog, description=description)
    except SystemExit as stop:
        if stop.code:
            raise _Unreadable(f"{prog}: {_one_line(complaint.getvalue())} (--help lists the options)") from None
        raise


def _one_line(box: str) -> str:
    """Return the message of the first box that tyro draws around an error, without the box."""
    uncoloured = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip("│╭╮╰╯─ ") for line in uncoloured.splitlines()[1:]]
    message = lines[: lines.index("")] if "" in lines else lines
    return " ".join(message).rstrip(".")


def _open(config: RunConfig, name: str) -> Path:
    """Take the run's folder, and see that what lies there can be gone on with, if that is asked."""
    resume = getattr(config, "resume", False)
    run_dir = open_run_dir(config.run_dir or new_run_dir(name, settings=asked(config)), resume)
    path = run_dir / "config.json"
    if resume and path.exists():
        script, settings = _read_config(path)
        if script != name:
            raise UserError(f"--run-dir {run_dir} holds a run of {script!r}: choose another folder")
        differing = differences(settings, plain(dataclasses.asdict(config)))
        if differing:
            raise UserError(f"--resume: {run_dir} was set otherwise: {'; '.join(differing)}; nothing was changed")
    return run_dir


def _read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the script and the settings of a run from its config.json."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        before = None
    if isinstance(before, dict):
        script, settings = before.get("script"), before.get("config")
        if isinstance(script, str) and isinstance(settings, dict):
            return script, settings
    raise UserError(f"{path} is damaged, so this run cannot be resumed: choose another --run-dir")


def _record(run: Callable[[_C, Logbook], Outcome], config: _C, run_dir: Path, identity: Identity) -> Outcome:
    writes = distributed.rank() == 0
    settings = dataclasses.asdict(config) | {"run_dir": run_dir}
    path = run_dir / "config.json"
    earlier, before = _contents(run_dir), path.read_bytes() if path.exists() else b""
    if writes:
        write_json(path, identity.record() | {"config": settings, "environment": environment()})
    shared, resume = common(identity, settings), getattr(config, "resume", False)
    logbook = RunLogbook(run_dir, resume, identity.about(), shared) if writes else Silent(run_dir)
    started = time.perf_counter()

    def finish(status: str, outcome: Outcome) -> None:
        seconds = round(time.perf_counter() - started, 3)
        result = {"status": status, "measured": outcome.measured, "seconds": seconds, "metrics": outcome.metrics}
        if writes:
            require_in_place(path)
            write_json(run_dir / "metrics.json", identity.record() | result)

    try:
        logbook.text("config", as_markdown(settings))
        torch.manual_seed(config.seed)
        random.seed(config.seed)
        np.random.seed(config.seed % 2**32)  # noqa: NPY002 (a library may draw from it)
        outcome = run(config, logbook)
        logbook.settings({key: settings[key] for key in settings if key not in UNINTERESTING}, outcome.metrics)
        logbook.close()  # now: what is missing is seen before the run is called complete
    except BaseException as error:
        if isinstance(error, Refused) and writes and _contents(run_dir) == earlier:
            write_whole(path, before)
            raise
        with contextlib.suppress(OSError, UserError):  # of a full disk, say: what went wrong first is what is told
            logbook.close()
        with contextlib.suppress(OSError, UserError):
            finish(_status(error), Outcome("", {}))
        raise
    finish("completed", outcome)
    return outcome


def _contents(run_dir: Path) -> dict[Path, int]:
    """Return when each file of a run was written, but for config.json, which tells how it was asked for."""
    return {
        path: path.stat().st_mtime_ns for path in run_dir.rglob("*") if path.is_file() and path.name != "config.json"
    }


def _status(error: BaseException) -> str:
    if isinstance(error, UserError):
        return f"stopped: {error}"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def _command(name: str, args: Sequence[str], run_dir: Path) -> str:
    """Return the command line that goes on with a run."""
    given = re.sub(r"(^| )(--resume|--run-dir[= ]\S+)", "", shlex.join(args)).strip()
    program = "python" if distributed.size() == 1 else f"torchrun --nproc-per-node {distributed.size()}"
    return " ".join(filter(None, [program, "-m", name, given, f"--resume --run-dir {shlex.quote(str(run_dir))}"]))


def _end(message: str, status: int) -> NoReturn:
    """End with a line on standard error. The first of several processes speaks for all, and torchrun ends the others.

    One that goes wrong alone is not ended: after a while it speaks for itself.
    """
    if distributed.rank() > 0:
        time.sleep(PATIENCE)
    print(message, file=sys.stderr)
    raise SystemExit(status) from None


@contextlib.contextmanager
def _one_voice() -> Iterator[None]:
    """Let only the first of several processes print."""
    with Path(os.devnull).open("w") as nowhere, contextlib.ExitStack() as silence:
        if distributed.rank() > 0:
            silence.enter_context(contextlib.redirect_stdout(nowhere))
        yield


@contextlib.contextmanager
def _quiet_threads() -> Iterator[None]:
    """Leave out what TensorBoard's writing thread says of a full disk: the next write meets it too, and tells."""
    loud = threading.excepthook
    threading.excepthook = lambda what: None if issubclass(what.exc_type, OSError) else loud(what)
    try:
        yield
    finally:
        threading.excepthook = loud
