"""The command `amal`, also as `python -m amal`. A signal ends it in one line, from its first moment on."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Answer the command line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a script
            signal.signal(number, leave)
    from amal.cli import main as answer  # it takes a while

    answer()


def leave(number: int, _frame: FrameType | None) -> None:
    """End at once, in one line, with the status that a shell expects: 130 for Ctrl-C, 143 for SIGTERM.

    No exception: one that a handler raises can come in the middle of anything, and be lost there. What runs beside this
    process ends with it.
    """
    program = " ".join(["amal", *(word for word in sys.argv[1:2] if word.isalpha())])
    words = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    line_break = "\n" if os.isatty(2) else ""  # after ^C, or a progress bar
    os.write(2, f"{line_break}{program}: {words}\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    main()
