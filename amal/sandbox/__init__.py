"""The one way to run foreign code: a process of its own, bounded in time and memory, nothing left.

    this process  <-orders, answers->  supervisor  -fork->  guard  -fork->  foreign code

The supervisor imports once what every run needs, and forks a guard for each run. The guard forks
foreign code, and watches the clock, the memory, what it tells and prints, and this process. It is
the parent that foreign code sees, and may kill or stop: the supervisor leaves nothing of a run. On
Linux it adopts all orphans below it: neither a double fork nor setsid hides a process. POSIX only.
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
from types import MappingProxyType
from typing import Any, Final, Literal, NoReturn

from amal.errors import UserError

from . import guard

WHOLE: Final = 10
"""Time limits of one step that a whole file may take: it has many steps, but not without end."""
CRASHES: Final = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS"}
Kind = Literal["exit", "signal", "time", "memory", "garbage"]


@dataclass(frozen=True)
class Limits:
    """What a run may take: seconds between two messages, seconds in all, GB of resident memory."""

    step: float = math.inf
    total: float = math.inf
    memory: float = math.inf


@dataclass(frozen=True)
class Ending:
    """How a run ended; as text, what follows its name, such as `crashed Python (SIGSEGV)`."""

    kind: Kind
    number: float = 0
    """The exit status, the signal, or the limit that was passed."""
    printed: str = ""
    """The beginning and the end of what it printed."""
    seconds: float = field(default=0.0, compare=False)
    """How long it ran; the start of Python and of what is preloaded does not count."""

    @property
    def _name(self) -> str:
        names = {entry.value: entry.name for entry in signal.Signals}
        return names.get(int(self.number), f"signal {self.number:g}")

    @property
    def killed(self) -> bool:
        """Whether it may have been ended from outside: that says nothing of the code itself."""
        return self.kind == "signal" and self._name not in CRASHES

    def __str__(self) -> str:
        match self.kind:
            case "exit":
                return f"ended Python, with exit status {self.number:g}"
            case "signal":
                doubt = ": out of memory?" if self._name == "SIGKILL" else ""
                return f"{'was killed' if self.killed else 'crashed Python'} ({self._name}){doubt}"
            case "time":
                return f"did not come to an end within {self.number:.3g} seconds"
            case "memory":
                return f"used more than {self.number:g} GB of memory and was stopped"
            case "garbage":
                return "closed, or wrote to, files that it had not opened"


class Sandbox:
    """Where foreign code runs, one run after another.

    Args:
        preload: modules that are imported once, so that each run starts with them.
        variables: of the environment, besides those of this process.

    Raises:
        UserError: on Windows.
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        if not hasattr(os, "fork"):
            raise UserError("a process of its own needs Linux or macOS; on Windows, WSL")
        self._preload, self._environment = [*preload], {**os.environ, **variables}
        self._start()

    def _start(self) -> None:
        program = (
            f"import sys; sys.path[:] = {sys.path!r}; from amal import sandbox; "
            f"sandbox.supervise({self._preload}, {os.getpid()})"
        )
        self._channel, theirs = socket.socketpair()
        self._lines = self._channel.makefile("rb")
        with theirs:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=theirs.fileno(),
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for this process
            )

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
        """Run a function in a new process; yield its messages, and at last how it ended.

        Args:
            target: such as `amal.module:function`. Called with `tell`, which sends its keywords as
                a message, and the arguments.
            arguments: plain data.
            limits: what it may take, once all is imported that is preloaded; None for no limits.
            apart: keep what it prints for the ending, and do not wait for threads that it leaves.
                If not, it prints where this process does, and ends as a script does.
        """
        if self._supervisor.poll() is not None:  # an earlier run looked for it and killed it
            self.__exit__()
            self._start()
        order = {"target": target, "arguments": arguments, "apart": apart}
        ending = Ending("signal", signal.SIGKILL)  # of the guard, unless it says another one
        over = False
        try:
            self._send({**order, "limits": asdict(limits or Limits())})
            for answer in self._answers():
                match answer:
                    case {"message": message}:
                        yield message
                    case {"ending": fields}:
                        ending = Ending(**fields)
            over = True
        finally:
            if not over:  # the caller does not want to hear the rest
                self._send(0)
                for _ in self._answers():
                    pass
        yield ending

    def signal(self, number: int) -> None:
        """Send a signal to what runs; if nothing does, the next run ends as if by that signal."""
        self._send(number)

    def _send(self, order: Any) -> None:
        data = json.dumps(order).encode()
        with contextlib.suppress(OSError):  # `_answers` says that the supervisor has ended
            self._channel.sendall(len(data).to_bytes(4, "big") + data)

    def _answers(self) -> Iterator[dict[str, Any]]:
        """Yield what the guard says, until the supervisor says that nothing of the run is left."""
        with contextlib.suppress(OSError):
            for line in self._lines:
                if line == b"over\n":
                    return
                with contextlib.suppress(ValueError):  # what a guard said that was killed meanwhile
                    yield json.loads(line)
        status = self._supervisor.wait()
        late = status == -signal.SIGALRM
        number = guard.START_UP if late else -status or signal.SIGTERM
        yield {"ending": {"kind": "time" if late else "signal", "number": number}}


def supervise(preload: list[str], parent: int) -> NoReturn:
    """Import, then obey the orders on standard input, a socket, until it closes.

    An order is what to run, the number of a signal for it, or 0 to end it.
    """
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    for name in guard.ENDS:
        signal.signal(signal.Signals[name], lambda *_: _leave())
    guard.adopt_orphans()
    if guard.LINUX:  # elsewhere a fork is not safe with libraries such as torch: each run imports
        guard.die_with(parent)
        guard.import_all(preload)
        guard.die_with(None)  # from now on the end of the channel tells that of the parent
    early, supervisor = 0, os.getpid()
    while (order := guard.receive(channel)) is not None:
        if isinstance(order, int):
            early = order or early
            continue
        pid = os.fork()
        if pid == 0:
            guard.die_with(supervisor)
            guard.Guard(channel, order).watch(preload, early)
        os.waitpid(pid, os.WUNTRACED)  # until it has ended, or is stopped
        guard.kill_all_below()
        with contextlib.suppress(OSError):
            channel.sendall(b"\nover\n")
        early = 0
    _leave()


def _leave() -> NoReturn:
    guard.kill_all_below()
    os._exit(0)
