"""Processes beside this one: quick to start, and certain to end. Plain Python, for every room."""

import multiprocessing
import multiprocessing.process
import os
import signal
import subprocess
import sys
from typing import Any


def preloaded_process(modules: list[str], **what: Any) -> multiprocessing.process.BaseProcess:
    """Return a process that starts with modules imported already: seconds saved where torch is among them.

    It is forked from a server that has imported them and done nothing else. Elsewhere than on Linux, where a fork is
    not there or not safe with such libraries, it starts anew.

    Args:
        modules: what to import; the first call of a process decides for all later ones.
        what: target and args, as multiprocessing.Process takes them.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn").Process(**what)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(modules)
    return context.Process(**what)


def kill_group(process: "subprocess.Popen[Any] | multiprocessing.process.BaseProcess") -> None:
    """End a process that leads a group of its own, and all that it started, whatever they are doing."""
    try:
        if process.pid is not None and hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):  # no group of that number, or none of it is left
        process.kill()
