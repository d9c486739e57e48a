"""TensorBoard on a folder of runs, for a browser on this machine; it ends with the command."""

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from amal.errors import UserError

from .board_server import TICKED, ticks_every_run

HOST = "127.0.0.1"
DEFAULT_PORT = 6006
"""TensorBoard's own port, taken if it is free."""
PATIENCE = 120.0
"""Seconds that TensorBoard may take to answer, on a machine that has much else to do."""
VIEWS = {
    "what each run is, and what to look at": "/#text",
    "train and test in one chart": "/#custom_scalars&_smoothingWeight=0",
    "the curves, as they are (no smoothing)": "/?smoothing=0#timeseries",
}


def tell(line: str) -> None:
    """Print a line, at once: the command goes on for hours."""
    print(line, flush=True)


def serve(runs: Path, port: int | None = None, browser: bool = False, say: Callable[[str], None] = tell) -> None:
    """Serve TensorBoard on a folder of runs, print its addresses, and wait for its end or Ctrl-C.

    Args:
        runs: a folder with runs, or one run.
        port: to listen on; None for a free one.
        browser: whether to open a browser there.
        say: prints a line.

    Raises:
        UserError: there are no runs, the port is taken, or TensorBoard does not start.
    """
    count = count_runs(runs)
    port = free_port() if port is None else require_free(port)
    with (
        silent_stop(),
        tempfile.TemporaryFile("w+") as complaints,
        tensorboard_process(runs, port, complaints) as process,
    ):
        wait_for(process, port, complaints)
        say(f"TensorBoard on {runs}, {count} {'run' if count == 1 else 'runs'}:")
        for what, place in VIEWS.items():
            say(f"  {what:<40} http://{HOST}:{port}{place}")
        if count > TICKED and not ticks_every_run():
            say(f"Above {TICKED} runs most pages begin with none ticked: tick some, or name a folder below {runs}.")
        say("Ctrl-C stops it.")
        if browser:
            webbrowser.open(f"http://{HOST}:{port}{next(iter(VIEWS.values()))}")
        process.wait()
        raise UserError(f"TensorBoard ended: {last_line(complaints)}")


def count_runs(runs: Path) -> int:
    """Return how many runs TensorBoard finds in a folder.

    Raises:
        UserError: none.
    """
    if not runs.is_dir():
        raise UserError(f"{runs} is no folder: `amal labs` writes runs to ./runs, or name another folder")
    count = len({path.parent for path in runs.rglob("events.out.tfevents.*")})
    if not count:
        raise UserError(f"{runs} holds no run yet: `amal labs` writes some, or `python -m tme1.classification` one")
    return count


def free_port() -> int:
    """Return TensorBoard's usual port if it is free, and another one otherwise."""
    for port in (DEFAULT_PORT, 0):
        with contextlib.suppress(OSError):
            return _bound(port)
    raise UserError("no port is free on this machine")


def require_free(port: int) -> int:
    """Return the port.

    Raises:
        UserError: it is no port, is taken, or is not for users.
    """
    if not 1 <= port <= 65535:
        raise UserError(f"--port {port}: expected 1 to 65535")
    try:
        return _bound(port)
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror}; without --port a free one is found") from None


def _bound(port: int) -> int:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one left a minute ago is free
        listener.bind((HOST, port))
        listener.listen()
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def silent_stop() -> Iterator[None]:
    """Let Ctrl-C, and SIGTERM too, end what is inside, without a word."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def tensorboard_process(runs: Path, port: int, complaints: IO[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run this installation's TensorBoard; on leaving, stop it."""
    command = [sys.executable, "-m", "amal.runs.board_server", f"--logdir={runs}", f"--host={HOST}", f"--port={port}"]
    # In a session of its own: Ctrl-C comes to this process alone, which stops TensorBoard in order.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=complaints, stderr=complaints, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for(process: "subprocess.Popen[bytes]", port: int, complaints: IO[str]) -> None:
    """Wait until TensorBoard answers.

    Raises:
        UserError: it ended, or took too long.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise UserError(f"TensorBoard does not start: {last_line(complaints)}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=5):
            return
        time.sleep(0.1)
    raise UserError(f"TensorBoard does not answer after {PATIENCE:.0f} seconds")


def last_line(complaints: IO[str]) -> str:
    """Return the last line that TensorBoard wrote."""
    complaints.seek(0)
    lines = complaints.read().strip().splitlines()
    return lines[-1] if lines else "it says nothing of why"
