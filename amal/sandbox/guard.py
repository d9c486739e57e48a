"""What stands between a sandbox and foreign code: the guard of one run; and the table of processes.

What foreign code tells comes through a pipe with a number above those that foreign code can open,
a line each. It begins with a secret of the run: any other line ends the run.
"""

import contextlib
import gc
import importlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Final, NoReturn

LINUX = sys.platform == "linux"
ENDS: Final = ("SIGINT", "SIGHUP", "SIGTERM")
START_UP: Final = 300
"""Seconds that the imports before a run may take, on a slow or busy machine."""
HEAD, TAIL = 2_000, 20_000
"""Bytes to keep of what is printed: of its beginning, and of its end."""
LONGEST: Final = 1_000_000
"""Bytes of a message."""
STUBBORN: Final = 5.0
"""Seconds after which a process that SIGKILL does not end is left: it waits for a broken disk."""
FILES: Final = 4095
"""Files that foreign code may have open at most."""
CLOSED: Final = 97
"""Exit status of foreign code that has closed the pipe of its messages."""
Processes = dict[int, tuple[int, int, int]]  # number -> that of the parent, of the group; bytes
_PDEATHSIG, _CHILD_SUBREAPER = 1, 36


class Guard:
    """Runs foreign code, and says to the parent what it tells, and how it ended."""

    def __init__(self, channel: socket.socket, order: dict[str, Any]) -> None:
        os.setsid()  # foreign code that kills its parent's group does not meet the supervisor
        for name in ENDS:
            signal.signal(signal.Signals[name], signal.SIG_DFL)
        self.channel, self.order, self.limits = channel, order, order["limits"]
        self.ending: dict[str, Any] | None = None
        self.secret, self.received, self.printed = os.urandom(8).hex().encode(), b"", b""
        self.began = self.end = self.step_end = self.next_look = math.inf

    def watch(self, preload: list[str], early: int) -> NoReturn:
        """Run foreign code to its end, or to a limit; not at all, if a signal came before."""
        if early:
            self.finish("signal", early)
        else:
            self.start(preload)
        while self.ending is None:
            self.step()
        printed = self.printed.decode(errors="replace")
        self.say(json.dumps({"ending": {**self.ending, "printed": printed}}).encode())
        os._exit(0)

    def start(self, preload: list[str]) -> None:
        """Fork foreign code."""
        self.messages, messages = os.pipe()
        self.prints, prints = os.pipe()
        self.wake, wake = os.pipe()
        me, self.pid = os.getpid(), os.fork()
        if self.pid == 0:
            die_with(me)
            for file in (self.channel.detach(), self.messages, self.prints, self.wake, wake):
                os.close(file)
            if self.order["apart"]:
                os.dup2(prints, 1)
                os.dup2(prints, 2)
            os.close(prints)
            _obey(self.order, preload, _teller(messages, self.secret))
        for file in (self.messages, self.prints, self.wake, wake):
            os.set_blocking(file, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def step(self) -> None:
        """Wait until something happens, or is due, and do what follows."""
        due = min(self.end, self.step_end, self.next_look) - time.monotonic()
        files = [self.channel.fileno(), self.messages, self.prints, self.wake]
        ready, _, _ = select.select(files, [], [], min(max(due, 0), 60))
        dead, status = os.waitpid(self.pid, os.WNOHANG)  # first, so that all it wrote is read
        _read(self.wake)
        self.printed += _read(self.prints)
        if len(self.printed) > HEAD + TAIL:
            self.printed = self.printed[:HEAD] + b"\n...\n" + self.printed[-TAIL:]
        *lines, self.received = (self.received + _read(self.messages)).split(b"\n")
        for line in lines:
            self.relay(line)
        if len(self.received) > LONGEST:
            self.finish("garbage")
        if dead:
            code = os.waitstatus_to_exitcode(status)
            kind = "garbage" if code == CLOSED else "signal" if code < 0 else "exit"
            self.finish(kind, abs(code))
        elif self.channel.fileno() in ready:
            number = receive(self.channel)
            if number and self.began < math.inf:
                os.kill(self.pid, number)
            else:  # nobody wants to hear the rest, or it has not begun
                self.finish("signal", number or signal.SIGKILL)
        self.check_limits()

    def relay(self, line: bytes) -> None:
        """Pass a message on; what is none ends the run."""
        if not line.startswith(self.secret):
            self.finish("garbage")
        if self.ending is not None:
            return
        now = time.monotonic()
        self.step_end = now + self.limits["step"]
        if self.began < math.inf:
            self.say(b'{"message": %b}' % line.removeprefix(self.secret))
        else:  # the first one is ours
            self.began, self.end = now, now + self.limits["total"]
            self.next_look = now if self.limits["memory"] < math.inf else math.inf

    def check_limits(self) -> None:
        """End what has passed a limit."""
        now, limits = time.monotonic(), self.limits
        for end, limit in ((self.end, limits["total"]), (self.step_end, limits["step"])):
            if now > end:
                self.finish("time", limit)
        if now > self.next_look:
            started = time.process_time()  # by which a busy machine does not make looks rare
            rows = descendants(os.getppid())
            rows.pop(os.getpid(), None)
            most = sum(row[2] for row in rows.values())
            if most > limits["memory"] * 1e9 < sum(map(resident, rows)):
                self.finish("memory", limits["memory"])
            self.next_look = now + max(0.05, 20 * (time.process_time() - started))

    def finish(self, kind: str, number: float = 0) -> None:
        """Note the ending; the first one holds."""
        if self.ending is None:
            seconds = max(time.monotonic() - self.began, 0.0)
            self.ending = {"kind": kind, "number": number, "seconds": seconds}

    def say(self, line: bytes) -> None:
        """Tell the parent, if it is there."""
        with contextlib.suppress(OSError):
            self.channel.sendall(line + b"\n")


def receive(channel: socket.socket) -> Any:
    """Return the next order, or None at the end."""
    with contextlib.suppress(OSError, ValueError):
        size = int.from_bytes(channel.recv(4, socket.MSG_WAITALL), "big")
        return json.loads(channel.recv(size, socket.MSG_WAITALL))
    return None


def import_all(modules: list[str]) -> None:
    """Import modules, in START_UP seconds at most."""
    signal.alarm(START_UP)
    gc.disable()  # what a module makes on import stays: a search takes a sixth of torch's import
    for module in modules:
        with contextlib.suppress(Exception):  # what imports it for its own use will say why
            importlib.import_module(module)
    gc.freeze()  # no run searches all of torch's objects
    gc.enable()
    signal.alarm(0)


def _read(file: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(file, 1 << 16)  # all that a pipe can hold
    return b""


def _obey(order: dict[str, Any], preload: list[str], tell: Callable[..., None]) -> NoReturn:
    """Call what is ordered, in this process, which is for nothing else."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not LINUX:
        import_all(preload)
    tell()
    status: Any = 0
    try:
        module, _, function = order["target"].partition(":")
        getattr(importlib.import_module(module), function)(tell, *order["arguments"])
    except SystemExit as stop:
        status = stop.code
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        status = 1
        with contextlib.suppress(BaseException):
            traceback.print_exc(file=sys.__stderr__)  # foreign code may have replaced the other one
    if not order["apart"]:
        sys.exit(status)
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        with contextlib.suppress(BaseException):
            stream.flush()  # type: ignore[union-attr]  # or None
    os._exit(status & 255 if isinstance(status, int) else status is not None)  # with all threads


def _teller(file: int, secret: bytes) -> Callable[..., None]:
    """Return what sends a message, through a pipe above all files that can be opened later."""
    import fcntl  # absent on Windows, as is the next one
    import resource

    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(limit - 1, FILES) if limit > 0 else FILES  # unlimited is -1
    pipe, pid = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, limit), os.getpid()
    os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def tell(**message: Any) -> None:
        if os.getpid() != pid:  # a child of foreign code has come back to where we are
            os._exit(0)
        data = secret + json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(pipe, data) :]
        except OSError:
            os._exit(CLOSED)

    return tell


def processes() -> Processes:
    """Return all processes of this machine."""
    rows, page = {}, os.sysconf("SC_PAGE_SIZE")
    if not LINUX:
        command = ["ps", "-axo", "pid=,ppid=,pgid=,rss="]
        table = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        for pid, parent, group, size in (map(int, line.split()) for line in table.splitlines()):
            rows[pid] = parent, group, 1024 * size
        return rows
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # a name may hold spaces, and brackets
            rows[int(name)] = int(fields[1]), int(fields[2]), page * int(fields[21])
    return rows


def descendants(pid: int) -> Processes:
    """Return the processes below one: its children, theirs, and so on."""
    tree: Processes = {}
    rows, parents = processes(), {pid}
    while parents:
        children = {child: row for child, row in rows.items() if row[0] in parents}
        parents = children.keys() - tree.keys()
        tree |= children
    return tree


def resident(pid: int) -> int:
    """Return the bytes that a process holds, of what several hold its share, where that is known."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        return sum(1024 * int(line.split()[1]) for line in file if line.startswith(b"Pss:"))
    return processes().get(pid, (0, 0, 0))[2]  # 0 if it has ended meanwhile


def kill_all_below() -> None:
    """Kill until this process has no child; groups as one, since a loop of forks is too fast."""
    deadline = time.monotonic() + STUBBORN
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            rows = descendants(os.getpid())
            groups = {row[1] for row in rows.values() if row[1] > 1} - {os.getpgrp()}
            for number in [*(-group for group in groups), *rows]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.001)


def adopt_orphans() -> None:
    """Become the parent of each process below this one whose own parent ends (Linux)."""
    _control(_CHILD_SUBREAPER, 1)


def die_with(parent: int | None) -> None:
    """Let this process be killed when its parent, or the thread that started it, ends (Linux).

    Args:
        parent: its number; None to live on.
    """
    _control(_PDEATHSIG, 0 if parent is None else signal.SIGKILL)
    if parent not in (None, os.getppid()):  # it has ended already
        os._exit(1)


def _control(option: int, value: int) -> None:
    if LINUX:
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
