"""Text for a terminal: tables and paragraphs. Imports nothing heavy."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

PAD: Final = {"<": str.ljust, ">": str.rjust, "^": str.center}
"""Sign of an alignment -> what aligns a cell."""


def terminal_width() -> int:
    """Return how wide a table may be, in characters."""
    return max(80, min(shutil.get_terminal_size((120, 24)).columns, 160))


def has_colours() -> bool:
    """Return whether to print colours: to a terminal, unless NO_COLOR forbids it (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def wrap(text: str, width: int, indent: int = 0, first: str = "") -> list[str]:
    """Break a paragraph into lines: at blanks, and within a word that is wider than a line.

    `first` begins the first line, `indent` blanks begin the others; `width` counts both.
    """
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False)


def columns(
    rows: Iterable[Sequence[str]], align: str = "<", widths: Sequence[int] | None = None, gap: str = "  "
) -> list[str]:
    """Return the lines of a table, without blanks at their ends.

    Args:
        rows: its cells, the same number in each row.
        align: `<`, `>` or `^` for each column; the last sign serves the rest.
        widths: of the columns, in characters; longer texts are wrapped within their cells. None:
            each column is as wide as its widest cell.
        gap: between columns.
    """
    table = [[[cell] for cell in row] for row in rows]
    if widths is None:
        widths = [max(len(cell) for (cell,) in column) for column in zip(*table, strict=True)]
    else:
        table = [
            [textwrap.wrap(cell, width) or [""] for (cell,), width in zip(row, widths, strict=True)] for row in table
        ]
    pads = [PAD[sign] for sign in align.ljust(len(widths), align[-1])]
    return [
        gap.join(pad(cell, width) for pad, cell, width in zip(pads, line, widths, strict=True)).rstrip()
        for row in table
        for line in zip_longest(*row, fillvalue="")
    ]


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns; the first row is its head."""
    head, *body = (line.strip() for line in columns((["", *row, ""] for row in rows), gap=" | "))
    return "\n".join([head, re.sub("[^|]", "-", head), *body])
