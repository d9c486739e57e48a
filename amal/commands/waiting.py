"""A line on a terminal that says what a command is doing, if that takes a while."""

import shutil
import sys
import threading
import time
from typing import Final

DELAY: Final = 2.0
"""Seconds without a line: a command that ends before needs none."""
PERIOD: Final = 0.5
"""Seconds between two updates of the line."""


class WaitingLine:
    """Says on standard error what is done and for how long, if that is a terminal; gone at the end.

    Args:
        words: what is done first, such as "starting torch"; may be set anew at any time.
        is_shown: whether to say anything.
    """

    def __init__(self, words: str, is_shown: bool = True) -> None:
        self.words = words
        self._end = threading.Event()
        self._thread = None
        if is_shown and sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, name=__name__, daemon=True)

    def __enter__(self) -> "WaitingLine":
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the line."""
        self._end.set()
        if self._thread:
            self._thread.join()

    def _show(self) -> None:
        start = time.monotonic()
        if self._end.wait(DELAY):
            return
        from tqdm import tqdm

        write = tqdm.status_printer(sys.stderr)
        while not self._end.is_set():
            seconds = f", {time.monotonic() - start:.0f} s"
            room = shutil.get_terminal_size().columns - len(seconds) - 1  # a wider line could not be removed
            write(self.words[:room] + seconds)
            self._end.wait(PERIOD)
        write("")
        write("")  # with the cursor at the left again
