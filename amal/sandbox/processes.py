"""The table of processes: who is below whom, what they hold, and how all of them are ended."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
from typing import NamedTuple

LINUX = sys.platform == "linux"
PAGE = resource.getpagesize()
_PDEATHSIG, _CHILD_SUBREAPER = 1, 36


class Process(NamedTuple):
    """One row of the table."""

    parent: int
    group: int
    zombie: bool
    memory: int
    """Resident, in bytes."""


def table() -> dict[int, Process]:
    """Return all processes of this machine."""
    rows = {}
    if not LINUX:
        command = ["ps", "-axo", "pid=,ppid=,pgid=,stat=,rss="]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        for pid, parent, group, state, kilobytes in map(str.split, lines):
            rows[int(pid)] = Process(int(parent), int(group), state[0] == "Z", 1024 * int(kilobytes))
        return rows
    for name in filter(str.isdigit, os.listdir("/proc")):
        rows |= row(int(name))
    return rows


def row(pid: int) -> dict[int, Process]:
    """Return one row of the table on Linux, or nothing if the process is no more: a hundredth of the cost of all."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()  # a name may hold spaces, and brackets
        return {pid: Process(int(fields[1]), int(fields[2]), fields[0] in (b"Z", b"X"), PAGE * int(fields[21]))}
    return {}


def below(pid: int, without: int = 0) -> dict[int, Process]:
    """Return the living processes below one; a process to leave out has its children in the answer all the same."""
    rows, known = table(), {pid}
    found: dict[int, Process] = {}
    while more := {child: row for child, row in rows.items() if row.parent in known and child not in known}:
        known |= more.keys()
        found |= more
    return {child: row for child, row in found.items() if not row.zombie and child != without}


def kill(processes: dict[int, Process]) -> None:
    """Kill processes, with the groups they are in: a process that keeps forking cannot outrun that."""
    for group in {row.group for row in processes.values()} - {os.getpgrp()}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for pid in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def resident(processes: dict[int, Process]) -> int:
    """Return the bytes that processes hold, what several share counted once."""
    return sum(_proportional(pid) or row.memory for pid, row in processes.items())


def _proportional(pid: int) -> int:
    """Return the bytes that a process holds, each page divided among those that share it; 0 where nobody knows."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        return sum(1024 * int(line.split()[1]) for line in file if line.startswith(b"Pss:"))
    return 0


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends, where the system can do that."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Let this process be killed when its parent ends, where the system can do that."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)
