"""Examine a student's file in a process of its own, which may crash, exit, print without end, or never come back."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from amal.errors import UserError
from amal.findings import Diagnosis, Finding, diagnosis_from
from amal.processes import kill_group

START_UP: Final = 300.0
"""Seconds that Python and torch may take to start, on a slow or busy machine."""
SHOWN: Final = 2000
"""Characters of what the file printed that are kept."""


@dataclass
class Report:
    """What came of examining a file."""

    diagnoses: list[Diagnosis] = field(default_factory=list)
    printed: str = ""
    """The beginning of what the file itself printed."""


def examine_file(path: Path, names: tuple[str, ...] = (), time_limit: float = 30.0) -> Report:
    """Examine the Functions of a file.

    Args:
        path: a Python file.
        names: of the Functions, such as `Linear` or `MyLayer=linear`; all whose name is known if there are none.
        time_limit: seconds for the import, and for each Function.

    Raises:
        UserError: the file is not there, cannot be imported, or holds no Function that is known.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there" if not path.exists() else f"{path} is not a file")
    report = Report()
    waiting: list[str] | None = list(names) or None
    while waiting is None or waiting:
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "results"
            results.touch()
            with _running(results, path, waiting or [], report) as process:
                left = _listen(process, results, path, time_limit, report, waiting)
        if left is None:
            break
        waiting = left
    return report


@contextmanager
def _running(results: Path, path: Path, names: list[str], report: Report) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the process; end it, with all that it started."""
    command = [sys.executable, "-W", "ignore", "-m", "amal.checking.doctor.student", str(results), str(path), *names]
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    reader = threading.Thread(target=_drain, args=(process.stdout, report), daemon=True)
    reader.start()
    try:
        yield process
    finally:
        kill_group(process)
        process.wait()
        reader.join(timeout=5)


def _drain(stream: IO[bytes], report: Report) -> None:
    """Read all that is printed, so that nobody waits, and keep the beginning."""
    with stream:
        while chunk := stream.read(4096):
            if len(report.printed) < SHOWN:
                report.printed = (report.printed + chunk.decode(errors="replace"))[:SHOWN]


def _listen(
    process: "subprocess.Popen[bytes]",
    results: Path,
    path: Path,
    time_limit: float,
    report: Report,
    waiting: list[str] | None,
) -> list[str] | None:
    """Follow what the process does; return the names that are left if it must be started again, None if all is done."""
    read, stage = 0, "starting"
    chosen: list[tuple[str, str]] = []  # names, and the operations that they are meant to be
    done = 0
    since = time.monotonic()
    while True:
        over = process.poll() is not None
        lines = results.read_text(encoding="utf-8")[read:].splitlines(keepends=True)
        for line in lines:
            if not line.endswith("\n"):
                break
            read += len(line)
            since = time.monotonic()
            entry: dict[str, Any] = json.loads(line)
            match entry["what"]:
                case "ready":
                    stage = "import"
                case "failed":
                    raise UserError(entry["said"])
                case "imported":
                    stage, chosen = "functions", list(zip(entry["names"], entry["operations"], strict=True))
                case "examined":
                    report.diagnoses.append(diagnosis_from(entry["diagnosis"]))
                    done += 1
            if stage == "functions" and done == len(chosen):
                return None
        limit = START_UP if stage == "starting" else time_limit
        if (over and not lines) or time.monotonic() - since > limit:
            break
        if not lines:
            time.sleep(0.01)
    what = _ending(process, time_limit)
    if stage == "starting":
        raise UserError(f"the process that should examine {path} {what}: {report.printed.strip()[-300:]}")
    if stage == "import":
        raise UserError(f"{path} cannot be imported: it {what}")
    name, operation = chosen[done]
    report.diagnoses.append(Diagnosis(name, operation, "", (Finding("raises", f"{name} {what}."),)))
    words = waiting or [name for name, _ in chosen]  # as they were asked for, with what each is meant to be
    return words[done + 1 :] or None


def _ending(process: "subprocess.Popen[bytes]", time_limit: float) -> str:
    """Say how a process ended that should have gone on."""
    status = process.poll()
    if status is None:
        return f"did not come to an end within {time_limit:g} seconds"
    if status < 0:
        return f"crashed Python ({signal.Signals(-status).name})"
    return f"ended Python, with exit status {status}"
