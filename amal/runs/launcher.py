"""From a script's command line to its run directory, and one clear line when something is wrong."""

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
from amal.experiments import board_command, new_run_dir, read_experiment
from amal.files import plain, write_json
from amal.locks import require_in_place
from amal.training import distributed
from amal.training.config import RunConfig, differences
from amal.training.device import choose_device, keep_freed_memory
from amal.training.logbook import Logbook, NullLogbook
from amal.training.prefixed import PrefixedLogbook
from amal.training.signals import Interrupted, interruptible, raise_if_stopped

from .folder import open_run_dir, withdraw
from .hparams import number_columns
from .logbook import RunLogbook
from .run_info import IRRELEVANT, RunInfo, as_markdown, non_default_settings

_C = TypeVar("_C", bound=RunConfig)
LOOK = "0 where to look"
"""The first group of TensorBoard's Text page: experiments, their commands, what to look at."""
PATIENCE = 15.0
"""Seconds that a process waits for the first one to say what is wrong."""


@dataclass(frozen=True)
class Outcome:
    """The results of an experiment."""

    measured: str
    """In a few words, beside what the course documents report."""
    metrics: Mapping[str, float]
    """The numbers by name, such as r2_test."""


@quiet_without_reader()
def launch(run: Callable[[_C, Logbook], Outcome], args: Sequence[str] | None = None) -> None:
    """Run an experiment from the command line, and record it in a run directory.

    Parses the command line into the config that `run` takes, seeds torch, Python and NumPy, opens
    the run directory, calls `run`, and writes its results: config.json before, metrics.json after
    (with a status that says how it ended), TensorBoard events in between. A run refused before it
    has anything to show leaves nothing behind. Under torchrun all processes do so together, and the
    first one writes.

    Args:
        run: the script's own function, taking its config and a logbook; its module's docstring
            declares the experiment.
        args: the command line; None for the process's own.

    Raises:
        SystemExit: 1 after a UserError or on a full disk, said in one line; 2 for a wrong command
            line; 130 or 143 when stopped by SIGINT or SIGTERM; 141 when nobody reads on what it
            prints.
    """
    script = sys.modules[run.__module__]
    name = script.__spec__.name if script.__spec__ else run.__module__
    args = sys.argv[1:] if args is None else list(args)
    run_dir = Path()
    try:
        with interruptible(), _quiet_threads(), _silent_beside_first():
            prog = f"python -m {name}"
            ask = partial(tyro.cli, get_type_hints(run)["config"], prog=prog, description=script.__doc__)
            config = read(lambda args: ask(args=args), args, prog)
            device = choose_device(getattr(config, "device", "cpu"))
            keep_freed_memory()
            with distributed.process_group(device):
                run_dir = distributed.run_on_first(lambda: _open(config, name))
                info = RunInfo(name, args, read_experiment(script.__doc__))
                outcome = _record(run, config, run_dir, info)
    except Unreadable as error:
        _end(str(error), 2)
    except UserError as error:
        _end(f"{name}: {error}", 1)
    except Interrupted as stop:
        if distributed.rank() > 0:  # the first one speaks; where all stop, its status is that of all
            raise SystemExit(0 if stop.agreed else 128 + stop.number) from None
        can_resume = "resume" in get_type_hints(get_type_hints(run)["config"])
        advice = "what was logged until now is kept"
        if stop.saved or (can_resume and run_dir != Path()):
            advice = f"go on with: {_resume_command(name, args, run_dir)}"
        _end(f"{name}: stopped by {stop}; {advice}", 128 + stop.number)
    except KeyboardInterrupt:
        _end(f"{name}: interrupted; what was logged until now is kept", 130)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            problem = f"the disk is full, and nothing more can be written to {run_dir}"
            _end(f"{name}: {problem}: make room, then --resume", 1)
        try:
            require_in_place(run_dir)
        except UserError as removed:
            _end(f"{name}: {removed}", 1)
        raise
    if distributed.rank() == 0:
        print(f"\n{outcome.measured}\nwritten to {run_dir}; to look at it: {board_command(run_dir)}")


def _open(config: RunConfig, name: str) -> Path:
    """Take the folder of a run; with --resume, see that the run there has the same settings."""
    resume = getattr(config, "resume", False)
    run_dir = config.run_dir or new_run_dir(name, settings=non_default_settings(config))
    run_dir = open_run_dir(run_dir, resume)
    path = run_dir / "config.json"
    if resume and path.exists():
        script, settings = _read_config(path)
        if script != name:
            raise UserError(f"--run-dir {run_dir} holds a run of {script!r}: choose another folder")
        if changes := differences(settings, plain(dataclasses.asdict(config))):
            changed = f"{run_dir} was set otherwise: {'; '.join(changes)}"
            raise UserError(f"--resume: {changed}; nothing was changed")
    return run_dir


def _read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the script and the settings of a run from its config.json."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        script, settings = content.get("script"), content.get("config")
        if isinstance(script, str) and isinstance(settings, dict):
            return script, settings
    raise UserError(f"{path} is damaged, so this run cannot be resumed: choose another --run-dir")


def _record(run: Callable[[_C, Logbook], Outcome], config: _C, run_dir: Path, info: RunInfo) -> Outcome:
    """Run an experiment, with its files before and after."""
    writes = distributed.rank() == 0
    settings = dataclasses.asdict(config) | {"run_dir": run_dir}
    path = run_dir / "config.json"
    if writes:
        write_json(path, info.record() | {"config": settings, "environment": environment()})
    shared, resume = info.shared_settings(settings), getattr(config, "resume", False)
    columns = number_columns(config)
    book = RunLogbook(run_dir, resume, shared, columns) if writes else NullLogbook(run_dir)
    logbook: Logbook = PrefixedLogbook(book, info.experiment.number) if info.experiment else book
    started = time.perf_counter()

    def finish(status: str, outcome: Outcome) -> None:
        seconds = round(time.perf_counter() - started, 3)
        result: dict[str, Any] = {"status": status, "measured": outcome.measured, "seconds": seconds}
        if writes:
            require_in_place(path)
            result |= {"metrics": outcome.metrics}
            write_json(run_dir / "metrics.json", info.record() | result)

    try:
        book.text(f"{LOOK}/{shared['experiment']}", info.description())
        book.text(f"settings/{shared['experiment']}", as_markdown(settings))
        torch.manual_seed(config.seed)
        random.seed(config.seed)
        np.random.seed(config.seed % 2**32)  # noqa: NPY002 (a library may draw from it)
        outcome = run(config, logbook)
        raise_if_stopped()
        relevant = {name: value for name, value in settings.items() if name not in IRRELEVANT}
        logbook.settings(relevant, outcome.metrics)
        book.close()  # now: what is missing is seen before the run is called complete
    except BaseException as error:
        with contextlib.suppress(OSError, UserError):  # the first error is the one to report
            book.close()
        with contextlib.suppress(OSError, UserError):
            if isinstance(error, UserError) and book.is_blank:
                if writes:
                    require_in_place(path)
                    withdraw(run_dir)  # refused before it began: the same folder can be used again
            else:
                finish(_status(error), Outcome("", {}))
        raise
    finish("completed", outcome)
    return outcome


def _status(error: BaseException) -> str:
    if isinstance(error, UserError):
        return f"stopped: {error}"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def _resume_command(name: str, args: Sequence[str], run_dir: Path) -> str:
    """Return the command line that goes on with a run."""
    options = re.sub(r"(^| )(--resume|--run-dir[= ]\S+)", "", shlex.join(args)).strip()
    program = "python" if distributed.size() == 1 else f"torchrun --nproc-per-node {distributed.size()}"
    resume = f"--resume --run-dir {shlex.quote(str(run_dir))}"
    return " ".join(filter(None, [program, "-m", name, options, resume]))


def _end(message: str, status: int) -> NoReturn:
    """End with a line on standard error.

    The first of several processes speaks for all, and torchrun ends the others. One that goes wrong
    alone is not ended: after a while it speaks for itself.
    """
    if distributed.rank() > 0:
        time.sleep(PATIENCE)
    print(message, file=sys.stderr)
    raise SystemExit(status) from None


@contextlib.contextmanager
def _silent_beside_first() -> Iterator[None]:
    """Let only the first of several processes print."""
    with Path(os.devnull).open("w") as nowhere, contextlib.ExitStack() as silence:
        if distributed.rank() > 0:
            silence.enter_context(contextlib.redirect_stdout(nowhere))
        yield


@contextlib.contextmanager
def _quiet_threads() -> Iterator[None]:
    """Hide what TensorBoard's writing thread says of a full disk: the next write fails too."""
    previous = threading.excepthook
    threading.excepthook = lambda args: None if issubclass(args.exc_type, OSError) else previous(args)
    try:
        yield
    finally:
        threading.excepthook = previous
