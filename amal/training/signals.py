"""Ctrl-C and SIGTERM: a training finishes its step, saves, and only then ends."""

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from . import distributed

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
RESEND_DELAY = 0.01
"""Seconds after which a signal whose Interrupted Python has dropped is sent again."""


class Interrupted(KeyboardInterrupt):
    """A signal stopped a run.

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
    """The signal that asks this process to stop, if one came, and what all processes make of it."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._alone = distributed.size() == 1
        self._step, self._next_step, self._time = 0, 0, 0.0

    def in_any_process(self, device: torch.device) -> bool:
        """Whether any of the processes got a signal; all of them call this together."""
        if self._alone:
            return self.number is not None
        return bool(distributed.total(torch.tensor(float(self.number is not None), device=device)))

    def is_due(self, step: int, device: torch.device, interval: int) -> bool:
        """Whether to stop after a step; several processes ask each other only now and then.

        Args:
            step: the same in every process.
            device: for the question.
            interval: steps from one question to the next at most. It is asked about once a second.
        """
        if self._alone:
            return self.number is not None
        if step < self._next_step:
            return False
        now = time.perf_counter()
        answer = [float(self.number is not None), now - self._time]
        answers = torch.tensor(answer, dtype=torch.float64, device=device)
        # The sums are the same in every process, as the step of the next question must be.
        stops, seconds = distributed.total(answers).tolist()
        steps_per_second = (step - self._step) * distributed.size() / seconds
        self._next_step = step + max(1, min(interval, int(steps_per_second)))
        self._step, self._time = step, now
        return bool(stops)

    def interruption(self, saved: bool) -> Interrupted:
        """Return the exception that ends all processes; one that got no signal names SIGTERM."""
        return Interrupted(self.number or signal.SIGTERM, saved, agreed=True)


_stop = Stop()
"""The signal that `interruptible` got, until it ends."""
_resend_lock = threading.Lock()
"""Held while a signal is sent again, so that none is when `interruptible` has ended."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, SIGINT and SIGTERM raise Interrupted at once.

    An exception may get lost: Python drops one that leaves a finaliser or the callback of a weak
    reference or of a C library, and a bare `except:` takes all. So the signal is remembered. It is
    sent again where Python says that it dropped its exception; otherwise `raise_if_stopped` raises
    it, at the latest on leaving.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _stop.number = number
        raise Interrupted(number)

    _stop.number = None
    with _handler(interrupt), _lost_signals_again():
        try:
            yield
            raise_if_stopped()
        finally:
            with _resend_lock:
                _stop.number = None


def raise_if_stopped() -> None:
    """Raise Interrupted if `interruptible` has raised one and somebody has swallowed it."""
    if _stop.number is not None:
        raise Interrupted(_stop.number)


@contextmanager
def _lost_signals_again() -> Iterator[None]:
    """Send a signal again when Python has dropped the Interrupted that it raised."""

    def send() -> None:
        time.sleep(RESEND_DELAY)  # until whatever has dropped it is over
        with _resend_lock:
            if _stop.number is None:
                return
            if hasattr(signal, "pthread_kill"):  # which wakes a main thread that waits
                signal.pthread_kill(threading.main_thread().ident or 0, _stop.number)
            else:
                signal.raise_signal(_stop.number)

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if isinstance(dropped.exc_value, Interrupted):
            # threading.Thread takes locks, which may be held where this is called
            _thread.start_new_thread(send, ())
        else:
            previous(dropped)

    previous, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield
    finally:
        sys.unraisablehook = previous


@contextmanager
def finish_step_first() -> Iterator[Stop]:
    """Within it, SIGINT and SIGTERM are only noted, for the caller to end where it is safe.

    A second SIGINT quits at once. A signal that the caller did not see goes to the previous handler.
    """
    raise_if_stopped()
    stop = Stop()

    def note(number: int, _frame: FrameType | None) -> None:
        if stop.number is not None and number == signal.SIGINT:
            os._exit(128 + number)
        first, stop.number = stop.number is None, stop.number or number
        if first and number == signal.SIGINT:  # print is not reentrant
            os.write(2, b"\nfinishing this step, then saving; Ctrl-C again to quit at once\n")

    with _handler(note):
        yield stop
    if stop.number is not None:
        signal.raise_signal(stop.number)


@contextmanager
def _handler(function: "signal._HANDLER") -> Iterator[None]:
    """Let a function handle the signals, in the main thread: Python handles them in no other."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, function) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
