"""What runs foreign code: a process that has imported what is slow to import, and forks one process for each run."""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from . import CLOSED
from .processes import LINUX, die_with


def serve(channel: socket.socket, preload: list[str], parent: int) -> NoReturn:
    """Fork a process for each order, and tell of its number and its end.

    Elsewhere than on Linux, where a fork is not safe with such libraries, this very process obeys, once.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    die_with(parent)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    gc.disable()  # what a module makes on import stays: to look for garbage takes a sixth of the import of torch
    for module in preload:
        with contextlib.suppress(Exception):  # what imports it for its own use will say why
            importlib.import_module(module)
    gc.freeze()  # no run goes through all of torch's objects
    gc.enable()
    dead = 0
    while True:
        order, files = receive(channel)
        if dead:
            os.waitpid(dead, 0)
        me = os.getpid()
        pid = os.fork() if LINUX else 0
        if pid == 0:
            if LINUX:
                die_with(me)
            else:
                channel.sendall(b'{"pid": %d}\n' % me)
            channel.close()
            obey(order, *files)
        for file in files:
            os.close(file)
        channel.sendall(b'{"pid": %d}\n' % pid)
        ended = os.waitid(
            os.P_PID, pid, os.WEXITED | os.WNOWAIT
        )  # its number is its group's, until all of it is killed
        assert ended is not None
        exited = ended.si_code == os.CLD_EXITED
        channel.sendall(b'{"code": %d}\n' % (ended.si_status if exited else -ended.si_status))
        dead = pid


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return the next order, and the files that come with it; end where there is none any more."""
    data, files, *_ = socket.recv_fds(channel, 1 << 16, 2)
    while data and not data.endswith(b"\n"):
        data += channel.recv(1 << 16)
    if not data:
        os._exit(0)
    return json.loads(data), files


def obey(order: dict[str, Any], results: int, printed: int) -> NoReturn:
    """Call what is ordered, in this process, which is for nothing else."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if order["apart"]:
        os.dup2(printed, 1)
        os.dup2(printed, 2)
    os.close(printed)
    me = os.getpid()

    def tell(**said: Any) -> None:
        """Tell the parent: one line, at once."""
        if os.getpid() != me:  # foreign code has forked, and its child has come back to where we are
            os._exit(0)
        line = f"{order['word']} {json.dumps(said)}\n".encode()
        try:
            while line:
                line = line[os.write(results, line) :]
        except OSError:
            os._exit(CLOSED)

    status = 0
    try:
        module, _, function = order["target"].partition(":")
        getattr(importlib.import_module(module), function)(tell, *order["arguments"])
    except SystemExit as stop:
        if not order["apart"]:
            raise
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        status = 1
        with contextlib.suppress(Exception):
            traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    if not order["apart"]:
        sys.exit(status)
    os._exit(status)  # whatever it left running does not keep us
