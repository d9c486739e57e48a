"""The process between ours and foreign code: it watches both, and leaves nothing alive."""

import contextlib
import json
import math
import os
import secrets
import select
import signal
import socket
import time
from dataclasses import asdict, replace
from typing import Any, Final, NoReturn

from . import Ending, Kind, Limits, processes
from .server import serve

START_UP: Final = 300.0
"""Seconds that Python and what is preloaded may take to start, on a slow or busy machine."""
HEAD, TAIL = 2_000, 20_000
"""Bytes kept of what is printed, of its beginning and of its end."""
LONGEST: Final = 1_000_000
"""Bytes of a line of results."""
OFTEN: Final = 0.05
"""Seconds between two looks at the memory."""
STUBBORN: Final = 5.0
"""Seconds after which a process that SIGKILL does not end is left: one that waits for a broken disk."""


def supervise(preload: list[str]) -> NoReturn:
    """Do what comes as orders on standard input, a socket, until it closes."""
    supervisor = Supervisor(preload)
    while True:
        supervisor.run(supervisor.next_order())


class Supervisor:
    """Starts what runs foreign code, hears its parent, and kills all below."""

    def __init__(self, preload: list[str]) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self.end())
        self.preload = preload
        self.channel = socket.socket(fileno=os.dup(0))
        self.heard = b""
        self.orders: list[dict[str, Any]] = []
        processes.adopt_orphans()
        self.start_server()

    def start_server(self) -> None:
        """Fork the process that imports what is preloaded, and forks foreign code."""
        me = os.getpid()
        self.status: int | None = None
        self.server, theirs = socket.socketpair()
        self.server_pid = os.fork()
        if self.server_pid == 0:
            self.server.close()
            self.channel.close()
            serve(theirs, self.preload, me)
        theirs.close()

    def next_order(self) -> dict[str, Any]:
        """Wait for something to run. A signal that came before it is for it; a wish to stop was for the run before."""
        while not (wanted := [order for order in self.orders if "target" in order]):
            self.listen()
        self.orders = [order for order in self.orders if "signal" in order]
        return wanted[0]

    def listen(self) -> None:
        """Take what comes from the parent; end where it is no more."""
        data = b""
        with contextlib.suppress(OSError):
            data = self.channel.recv(1 << 16)
        if not data:
            self.end()
        *lines, self.heard = (self.heard + data).split(b"\n")
        self.orders += map(json.loads, lines)

    def say(self, line: bytes) -> None:
        """Tell the parent; end where it is no more."""
        try:
            self.channel.sendall(line + b"\n")
        except OSError:
            self.end()

    def run(self, order: dict[str, Any]) -> None:
        """Run one function to its end, and leave nothing of it."""
        self.reap()
        if self.status is not None:
            self.start_server()
        run = Run(self, order)
        while run.ending is None:
            run.step()
        self.kill(run.pid)
        run.settle()
        run.drain()
        ending = replace(run.ending, printed=run.kept(), seconds=run.seconds)
        self.say(json.dumps({"ended": asdict(ending)}).encode())

    def below(self) -> dict[int, processes.Process]:
        """Return the living processes of a run."""
        self.reap()
        return processes.below(os.getpid(), without=self.server_pid)

    def server_status(self) -> int:
        """Return how the server ended, which has closed its socket; what has closed that alone is ended."""
        until = time.monotonic() + 1
        while self.status is None:
            if time.monotonic() > until:
                os.kill(self.server_pid, signal.SIGKILL)
            time.sleep(0.001)
            self.reap()
        return self.status

    def reap(self) -> int:
        """Take leave of the dead, the adopted ones among them; return how many they were."""
        count = 0
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                count += 1
                if ended[0] == self.server_pid:
                    self.status = ended[1]
        return count

    def kill(self, pid: int = 0) -> None:
        """Kill what is left of a run until nothing is.

        A process that forks and ends may be missed by a look at the table, but not what it leaves: somebody dead. And
        its group, whose number is the first process's, is killed as one.
        """
        until = time.monotonic() + STUBBORN
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid:
                os.killpg(pid, signal.SIGKILL)
        while ((left := self.below()) or self.reap()) and time.monotonic() < until:
            processes.kill(left)
            time.sleep(0.001)

    def end(self) -> NoReturn:
        """Kill all, and leave."""
        with contextlib.suppress(ProcessLookupError):
            if self.status is None:
                os.kill(self.server_pid, signal.SIGKILL)
        self.kill()
        os._exit(0)


class Run:
    """One run of foreign code: its pipes, its clocks, and at last its ending."""

    def __init__(self, supervisor: Supervisor, order: dict[str, Any]) -> None:
        self.supervisor = supervisor
        self.limits = Limits(**order["limits"])
        self.word = secrets.token_hex(8).encode()
        self.ending: Ending | None = None
        self.pid = 0
        self.over = False  # as the server says, or no longer says
        self.length = 0  # of what was printed
        self.line = self.heard = self.head = self.tail = b""
        self.next_look, self.next_table, self.step_end = math.inf, 0.0, math.inf
        self.end = time.monotonic() + START_UP
        self.results, results = os.pipe()
        self.printed, printed = os.pipe()
        self.open = {self.results, self.printed}
        text = json.dumps({**order, "word": self.word.decode()}).encode() + b"\n"
        with contextlib.suppress(OSError):  # its end is what is heard next
            sent = socket.send_fds(supervisor.server, [text], [results, printed])
            supervisor.server.sendall(text[sent:])
        os.close(results)
        os.close(printed)

    def step(self) -> None:
        """Wait until something happens, or is due; what the parent has asked for before comes first."""
        self.obey()
        if self.ending is not None:
            return
        wait = min(self.step_end, self.end, self.next_look) - time.monotonic()
        server, channel = self.supervisor.server, self.supervisor.channel
        files = [server.fileno(), channel.fileno(), *self.open]
        ready, _, _ = select.select(files, [], [], min(max(wait, 0), 60))
        for file in self.open & {*ready}:
            self.read(file)
        if channel.fileno() in ready:
            self.supervisor.listen()
            self.obey()
        if server.fileno() in ready:
            self.hear()
        now = time.monotonic()
        if now > self.end:
            self.finish("time", self.limits.total if self.pid else START_UP)
        if now > self.step_end:
            self.finish("time", self.limits.step)
        if now > self.next_look:
            self.look()

    def finish(self, kind: Kind, number: float = 0) -> None:
        """Note the ending; the first one holds."""
        if self.ending is None:
            self.ending = Ending(kind, number)
            self.seconds = time.monotonic() - self.began if self.pid else 0.0

    def hear(self) -> None:
        """Take what the server says: that foreign code runs now, or how it ended."""
        data = b""
        with contextlib.suppress(OSError):
            data = self.supervisor.server.recv(1 << 12)
        if not data:
            self.finish_by(os.waitstatus_to_exitcode(self.supervisor.server_status()))
        *lines, self.heard = (self.heard + data).split(b"\n")
        for said in map(json.loads, lines):
            if "code" in said:
                self.finish_by(said["code"])
            else:
                self.pid = said["pid"]
                self.began = now = time.monotonic()
                self.end, self.step_end = now + self.limits.total, now + self.limits.step
                self.next_look = now if self.limits.memory < math.inf else math.inf

    def finish_by(self, code: int) -> None:
        """Note the ending that an exit status tells, or a signal, which is negative."""
        self.over = True
        if code < 0:
            self.finish("signal", -code)
        self.finish("exit", code)

    def obey(self) -> None:
        """Do what the parent asks for meanwhile."""
        orders, self.supervisor.orders = self.supervisor.orders, []
        for order in orders:
            if "stop" in order:
                self.finish("stopped")
            elif not self.pid:
                self.finish("signal", order["signal"])
            elif self.ending is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, order["signal"])

    def look(self) -> None:
        """See what memory is held: by the first process often, by all as often as it costs a hundredth of the time."""
        limit, now = self.limits.memory * 1e9, time.monotonic()
        self.next_look = now + OFTEN
        if now < self.next_table and processes.LINUX:
            found = processes.row(self.pid)
        else:
            began = time.process_time()  # not by the clock on the wall: a busy machine does not make looks rare
            found = self.supervisor.below()
            self.next_table = now + max(OFTEN, 100 * (time.process_time() - began))
        if sum(row.memory for row in found.values()) > limit and processes.resident(found) > limit:
            self.finish("memory", self.limits.memory)

    def read(self, file: int) -> None:
        """Take what foreign code tells, or prints."""
        data = os.read(file, 1 << 16)
        if not data:
            self.open.remove(file)
        elif file == self.printed:
            room = HEAD - len(self.head)
            self.head, self.tail = self.head + data[:room], (self.tail + data[room:])[-TAIL:]
            self.length += len(data)
        else:
            *lines, self.line = (self.line + data).split(b"\n")
            for line in lines:
                self.relay(line)
            if len(self.line) > LONGEST:
                self.finish("garbage")

    def relay(self, line: bytes) -> None:
        """Pass on what foreign code tells, if it is that."""
        word, _, said = line.partition(b" ")
        if word != self.word or self.ending is not None:
            return self.finish("garbage")
        try:
            told = json.loads(said)
        except ValueError:
            return self.finish("garbage")
        self.step_end = time.monotonic() + self.limits.step
        return self.supervisor.say(json.dumps({"told": told}).encode())

    def settle(self) -> None:
        """Hear the server's last word of this run; where it has none to say, it is replaced by the next run."""
        supervisor = self.supervisor
        while self.pid and not self.over and select.select([supervisor.server], [], [], STUBBORN)[0]:
            self.hear()
        if not self.over and supervisor.status is None:
            os.kill(supervisor.server_pid, signal.SIGKILL)
            supervisor.server_status()

    def drain(self) -> None:
        """Take what is left in the pipes, now that nobody writes there any more."""
        while self.open and (ready := select.select([*self.open], [], [], 1.0)[0]):
            for file in ready:
                self.read(file)
        os.close(self.results)
        os.close(self.printed)

    def kept(self) -> str:
        """Return what was printed, without its middle where it is long."""
        cut = b"\n...\n" if self.length > HEAD + TAIL else b""
        return (self.head + cut + self.tail).decode(errors="replace")
