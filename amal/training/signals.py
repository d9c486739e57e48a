"""What Ctrl-C and a polite kill do to a training: it finishes its step, saves, and only then ends."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop by a signal.

    Args:
        number: of the signal.
        saved: whether the run can go on from where it was.
    """

    def __init__(self, number: int, saved: bool = False) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.saved = saved


class Stop:
    """Whether this process was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.number: int | None = None


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, SIGINT and SIGTERM raise Interrupted at once."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    with _handled_by(interrupt):
        yield


@contextmanager
def finish_step_first() -> Iterator[Stop]:
    """Within it, SIGINT and SIGTERM are only noted, for the caller to end where it is safe; a second SIGINT quits."""
    stop = Stop()

    def note(number: int, _frame: FrameType | None) -> None:
        if stop.number is not None and number == signal.SIGINT:
            os._exit(128 + number)
        first, stop.number = stop.number is None, stop.number or number
        if first and number == signal.SIGINT:
            os.write(2, b"\nfinishing this step, then saving; Ctrl-C again to quit at once\n")  # print is not reentrant

    with _handled_by(note):
        yield stop


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
