"""What Ctrl-C and a polite kill do to a training: it finishes its step, saves, and only then ends."""

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)
SOON = 0.01
"""Seconds after which a signal whose Interrupted Python has dropped is sent again."""


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop by a signal.

    Args:
        number: of the signal.
        saved: whether the run can go on from where it was.
        agreed: whether all processes that train together stop, and not this one alone.
    """

    def __init__(self, number: int, saved: bool = False, agreed: bool = False) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.saved = saved
        self.agreed = agreed


class Stop:
    """Whether this process was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.number: int | None = None


_asked = Stop()
"""What `interruptible` was asked, until it ends."""
_sending = threading.Lock()
"""Held while a signal is sent again, so that none is when `interruptible` has ended."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, SIGINT and SIGTERM raise Interrupted at once.

    An exception may get lost: Python drops one that leaves a finaliser or the callback of a weak reference or of a C
    library, and a bare `except:` takes all. So the signal is remembered. It is sent again where Python says that it
    dropped its exception; otherwise `stop_if_asked` raises it, at the latest on leaving.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _asked.number = number
        raise Interrupted(number)

    _asked.number = None
    with _handled_by(interrupt), _sent_again():
        try:
            yield
            stop_if_asked()
        finally:
            with _sending:
                _asked.number = None


def stop_if_asked() -> None:
    """Raise Interrupted if `interruptible` has raised one and somebody has swallowed it."""
    if _asked.number is not None:
        raise Interrupted(_asked.number)


@contextmanager
def _sent_again() -> Iterator[None]:
    """Send a signal again where Python has dropped the Interrupted that it raised, instead of printing that."""

    def send() -> None:
        time.sleep(SOON)  # until whatever has dropped it is over
        with _sending:
            if _asked.number is None:
                return
            if hasattr(signal, "pthread_kill"):  # which wakes a main thread that waits
                signal.pthread_kill(threading.main_thread().ident or 0, _asked.number)
            else:
                signal.raise_signal(_asked.number)

    def notice(dropped: "sys.UnraisableHookArgs") -> None:
        if isinstance(dropped.exc_value, Interrupted):
            _thread.start_new_thread(send, ())  # threading.Thread takes locks, which may be held where this is called
        else:
            before(dropped)

    before, sys.unraisablehook = sys.unraisablehook, notice
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def finish_step_first() -> Iterator[Stop]:
    """Within it, SIGINT and SIGTERM are only noted, for the caller to end where it is safe; a second SIGINT quits.

    One that is noted when the caller looks no more is handed to the handler of before.
    """
    stop_if_asked()
    stop = Stop()

    def note(number: int, _frame: FrameType | None) -> None:
        if stop.number is not None and number == signal.SIGINT:
            os._exit(128 + number)
        first, stop.number = stop.number is None, stop.number or number
        if first and number == signal.SIGINT:
            os.write(2, b"\nfinishing this step, then saving; Ctrl-C again to quit at once\n")  # print is not reentrant

    with _handled_by(note):
        yield stop
    if stop.number is not None:
        signal.raise_signal(stop.number)


@contextmanager
def _handled_by(handler: "signal._HANDLER") -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # torch has threads; Python handles signals in one
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
