"""The one way to run foreign code: a process of its own, bounded in time and memory, and nothing left behind.

    this process  <-orders, results->  supervisor  ->  server, which has imported torch  -fork->  foreign code

The supervisor is small and runs nothing foreign. On Linux it adopts every orphan below it, so that neither a double
fork nor setsid hides a process from it. When a run is over, or this process is no more, however it ended, it kills all
that is left. What foreign code tells comes through a pipe, a line each, marked with a word of the run: any other line
ends the run. Plain Python, for every room; POSIX only.
"""

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from amal.errors import UserError

WHOLE: Final = 10
"""Time limits of one step that a whole file may take: it has many steps, but not without end."""
CLOSED: Final = 97
"""Exit status of foreign code that has closed the pipe of its results."""
CRASHES: Final = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS")
}  # fmt: skip
Kind = Literal["exit", "signal", "time", "memory", "garbage", "stopped"]
_NOTHING: Final[dict[str, Any]] = {}


@dataclass(frozen=True)
class Limits:
    """What a run may take: seconds from one thing told to the next, seconds in all, GB of resident memory."""

    step: float = math.inf
    total: float = math.inf
    memory: float = math.inf


@dataclass(frozen=True)
class Ending:
    """How a run ended; as text, what is said after its name, such as `crashed Python (SIGSEGV)`."""

    kind: Kind
    number: float = 0
    """The exit status, the signal, or the limit that was passed."""
    printed: str = ""
    """The beginning and the end of what it printed."""
    seconds: float = field(default=0.0, compare=False)
    """That it ran, the start of Python and of what is preloaded not counted."""

    @property
    def killed(self) -> bool:
        """Whether it was ended from outside, for all that can be known: that says nothing of the code itself."""
        return self.kind == "signal" and self.number not in CRASHES

    def __str__(self) -> str:
        match self.kind:
            case "time":
                return f"did not come to an end within {self.number:.3g} seconds"
            case "memory":
                return f"used more than {self.number:g} GB of memory and was stopped"
            case "signal":
                name = signal.Signals(int(self.number)).name
                doubt = ": out of memory?" if name == "SIGKILL" else ""
                return f"was killed ({name}){doubt}" if self.killed else f"crashed Python ({name})"
            case "exit" if self.number != CLOSED:
                return f"ended Python, with exit status {self.number:g}"
            case "stopped":
                return "was stopped"
        return "closed, or wrote to, files that it had not opened"


class Sandbox:
    """Where foreign code runs, one run after another.

    Args:
        preload: modules that are imported once, so that each run starts with them.
        environment: variables to set.

    Raises:
        UserError: on Windows.
    """

    def __init__(self, preload: Sequence[str] = (), environment: Mapping[str, str] = _NOTHING) -> None:
        if not hasattr(os, "fork"):
            raise UserError("a process of its own needs Linux or macOS; on Windows, WSL")
        program = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from amal.sandbox.supervisor import supervise; supervise({[*preload]})"
        )
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=theirs.fileno(),
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is for this process
            )
        self._lines = self._channel.makefile("rb")

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        """End it, with all that runs in it."""
        self._lines.close()
        self._channel.close()
        self._supervisor.wait()

    def run(
        self, target: str, *arguments: Any, limits: Limits | None = None, apart: bool = True
    ) -> Iterator[dict[str, Any] | Ending]:
        """Run a function in a new process; yield what it tells, and at last how it ended.

        Args:
            target: such as `amal.module:function`. Called with `tell`, which takes keywords, and the arguments.
            arguments: plain data.
            limits: what it may take, from where all is imported that is preloaded; None for no limits.
            apart: keep what it prints for the ending, and do not wait for threads that it leaves. If not, it prints
                where this process does, and ends as a script does.
        """
        order = {"target": target, "arguments": arguments, "apart": apart, "limits": asdict(limits or Limits())}
        over = False
        try:
            self._send(order)
            for line in self._lines:
                said = json.loads(line)
                over = "ended" in said
                yield Ending(**said["ended"]) if over else said["told"]
                if over:
                    return
            over = True
            yield Ending("signal", -self._supervisor.wait())  # nothing but a signal ends the supervisor first
        finally:
            if not over:  # the caller has heard enough
                self._send({"stop": True})
                any("ended" in json.loads(line) for line in self._lines)

    def signal(self, number: int) -> None:
        """Send a signal to the process that runs; where none has begun, the next run ends as if by that signal."""
        self._send({"signal": number})

    def _send(self, order: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the supervisor's end is what is read next
            self._channel.sendall(json.dumps(order).encode() + b"\n")
