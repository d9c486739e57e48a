"""From a script's command line to its run directory, and back to one clear line when something is wrong."""

import contextlib
import dataclasses
import errno
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
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_type_hints

import numpy as np
import torch
import tyro

from amal.commandline import Unreadable, quiet_without_reader, read
from amal.environment import environment
from amal.errors import UserError
from amal.experiments import board_command, declared, new_run_dir
from amal.files import plain, write_json
from amal.locks import require_in_place
from amal.training import distributed
from amal.training.config import RunConfig, differences
from amal.training.device import choose_device, keep_freed_memory
from amal.training.logbook import Logbook, Silent
from amal.training.prefixed import Prefixed
from amal.training.signals import Interrupted, interruptible, stop_if_asked

from .folder import open_run_dir, withdraw
from .hparams import number_columns
from .logbook import RunLogbook
from .run_info import UNINTERESTING, Identity, as_markdown, asked, common

_C = TypeVar("_C", bound=RunConfig)
LOOK = "0 where to look"
"""The first group of TensorBoard's Text page: what each experiment is, the command, and what to look at."""
PATIENCE = 15.0
"""Seconds that a process gives the first one to say what is wrong."""


@dataclass(frozen=True)
class Outcome:
    """What an experiment found."""

    measured: str
    """In a few words, to stand beside what the course documents report."""
    metrics: Mapping[str, float]
    """The numbers by name, such as r2_test."""


@quiet_without_reader()
def launch(run: Callable[[_C, Logbook], Outcome], args: Sequence[str] | None = None) -> None:
    """Run an experiment from the command line, and record it in a run directory.

    Parses the command line into the config that `run` takes, seeds torch, Python and NumPy, opens the run directory,
    calls `run`, and writes down what it found: config.json before, metrics.json after (with a status that tells how it
    ended), TensorBoard events in between. A run refused before it has anything to show leaves nothing behind. Under
    torchrun all processes do so together, and the first one writes.

    Args:
        run: the script's own function, taking its config and a logbook; its module's docstring declares the experiment.
        args: the command line; None for the process's own.

    Raises:
        SystemExit: 1 after a UserError or on a full disk, told in one line; 2 for a wrong command line; 130 or 143 when
            stopped by SIGINT or SIGTERM; 141 when nobody reads on what it prints.
    """
    script = sys.modules[run.__module__]
    name = script.__spec__.name if script.__spec__ else run.__module__
    args = sys.argv[1:] if args is None else list(args)
    run_dir = Path()
    try:
        with interruptible(), _quiet_threads(), _one_voice():
            prog = f"python -m {name}"
            ask = partial(tyro.cli, get_type_hints(run)["config"], prog=prog, description=script.__doc__)
            config = read(lambda args: ask(args=args), args, prog)
            device = choose_device(getattr(config, "device", "cpu"))
            keep_freed_memory()
            with distributed.joined(device):
                run_dir = distributed.agreed(lambda: _open(config, name))
                outcome = _record(run, config, run_dir, Identity(name, args, declared(script.__doc__)))
    except Unreadable as error:
        _end(str(error), 2)
    except UserError as error:
        _end(f"{name}: {error}", 1)
    except Interrupted as stop:
        if distributed.rank() > 0:  # the first one tells; where all stop, its status is that of all
            raise SystemExit(0 if stop.agreed else 128 + stop.number) from None
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
    if writes:
        write_json(path, identity.record() | {"config": settings, "environment": environment()})
    shared, resume = common(identity, settings), getattr(config, "resume", False)
    columns = number_columns(config)
    book = RunLogbook(run_dir, resume, shared, columns) if writes else Silent(run_dir)
    logbook: Logbook = Prefixed(book, identity.experiment.number) if identity.experiment else book
    started = time.perf_counter()

    def finish(status: str, outcome: Outcome) -> None:
        seconds = round(time.perf_counter() - started, 3)
        result = {"status": status, "measured": outcome.measured, "seconds": seconds, "metrics": outcome.metrics}
        if writes:
            require_in_place(path)
            write_json(run_dir / "metrics.json", identity.record() | result)

    try:
        book.text(f"{LOOK}/{shared['experiment']}", identity.about())
        book.text(f"settings/{shared['experiment']}", as_markdown(settings))
        torch.manual_seed(config.seed)
        random.seed(config.seed)
        np.random.seed(config.seed % 2**32)  # noqa: NPY002 (a library may draw from it)
        outcome = run(config, logbook)
        stop_if_asked()
        logbook.settings({key: settings[key] for key in settings if key not in UNINTERESTING}, outcome.metrics)
        book.close()  # now: what is missing is seen before the run is called complete
    except BaseException as error:
        with contextlib.suppress(OSError, UserError):  # of a full disk, say: what went wrong first is what is told
            book.close()
        with contextlib.suppress(OSError, UserError):
            if isinstance(error, UserError) and book.is_blank:
                if writes:
                    require_in_place(path)
                    withdraw(run_dir)  # refused before it began: what is mended can be run in the same folder
            else:
                finish(_status(error), Outcome("", {}))
        raise
    finish("completed", outcome)
    return outcome


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
