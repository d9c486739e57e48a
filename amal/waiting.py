"""A line on a terminal that says what a command is doing, once that takes a while."""

import shutil
import sys
import threading
import time
from typing import Final

AFTER: Final = 2.0
"""Seconds without a line: what is over by then needs none."""
OFTEN: Final = 0.5
"""Seconds between two looks at what is done."""


class WaitingLine:
    """Says on standard error what is done and for how long, if that is a terminal; gone at the end.

    Args:
        words: what is done first, such as "starting torch"; another text may be put there at any time.
        shown: whether to say anything.
    """

    def __init__(self, words: str, shown: bool = True) -> None:
        self.words = words
        self._over = threading.Event()
        self._thread = (
            threading.Thread(target=self._show, name=__name__, daemon=True) if shown and sys.stderr.isatty() else None
        )

    def __enter__(self) -> "WaitingLine":
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        self._over.set()
        if self._thread:
            self._thread.join()

    def _show(self) -> None:
        begun = time.monotonic()
        if self._over.wait(AFTER):
            return
        from tqdm import tqdm

        put = tqdm.status_printer(sys.stderr)
        while not self._over.is_set():
            seconds = f", {time.monotonic() - begun:.0f} s"
            room = shutil.get_terminal_size().columns - len(seconds) - 1  # what is wider cannot be taken away
            put(self.words[:room] + seconds)
            self._over.wait(OFTEN)
        put("")
        put("")  # with the cursor at the left again
