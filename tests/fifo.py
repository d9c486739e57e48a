"""A FIFO that processes hold open: it closes when the last of them is gone, which is an event to wait for."""

import os
import select
import time

LONG = 60.0
"""Seconds within which what must happen has happened, however busy the machine is."""


class Fifo:
    """What foreign code holds open, as `hold` in foreign.py does."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = str(path)
        self.file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def begun(self):
        """Wait until somebody holds it."""
        until = time.monotonic() + LONG
        while not self._events(0.01) & select.POLLIN:  # before that, it hangs up at once
            assert time.monotonic() < until, "nobody has begun"
            time.sleep(0.01)
        os.read(self.file, 100)

    def is_free(self):
        """Whether all that hold it end."""
        while self._events(LONG):
            if not os.read(self.file, 100):
                return True
        return False

    def _events(self, seconds):
        poll = select.poll()
        poll.register(self.file, select.POLLIN | select.POLLHUP)
        found = poll.poll(1000 * seconds)
        return found[0][1] if found else 0
