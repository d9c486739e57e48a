"""Every operation against every property, computed on the spot: what `amal ops` prints and docs/OPERATIONS.md shows."""

import importlib
import inspect
import platform
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from unittest import SkipTest

import torch

from amal import functional
from amal.text import columns

from .budget import DTYPES, LARGEST_ERROR, compare_saved_bytes, error_ratio
from .cases import Case
from .properties import PROPERTIES
from .table import CASES

COLUMNS = {
    "value": ("value",),
    "gradient": ("gradient", "gradcheck"),
    "2nd order": ("gradgradcheck",),
    "forward": ("forward mode",),
    "vmap": ("torch.func", "batched"),
    "compile": ("compile",),
    "autocast": ("autocast",),
    "CUDA": ("CUDA",),
}
"""Column -> the properties that stand behind it."""
SIGNS = {True: "✓", False: "✗", None: "–"}
MEASURED = ("float32", "bfloat16", "bytes")
OPERATIONS = tuple(dict.fromkeys(case.op for case in CASES))
LEGEND = """✓ holds for every row of the table of cases, ✗ does not, – cannot be examined on this machine.
float32, bfloat16: largest rounding error of value and gradients over torch's own on the same inputs, at most 2.
bytes: memory kept for backward over what torch keeps, the worst row, at most 1."""


@dataclass
class Row:
    """What was found of one operation."""

    op: str
    verdicts: dict[str, bool | None] = field(default_factory=dict)
    """Column -> whether it holds; None where it cannot be examined."""
    measured: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """What does not hold, in words."""

    def cells(self) -> list[str]:
        """Return the row as words."""
        ticks = [SIGNS[holds] for holds in self.verdicts.values()]
        return [self.op, *ticks, *(f"{self.measured[name]:.2f}" for name in MEASURED)]


def examine(op: str) -> Row:
    """Examine all cases of one operation."""
    row, cases = Row(op), [case for case in CASES if case.op == op]
    for column, names in COLUMNS.items():
        answers = {(case.name, name): verdict(name, case) for name in names for case in cases}
        row.faults += [
            f"{case_name}: {name}: {why}" for (case_name, name), (holds, why) in answers.items() if holds is False
        ]
        verdicts = {holds for holds, _ in answers.values()}
        row.verdicts[column] = False if False in verdicts else True if True in verdicts else None
    for dtype in DTYPES:
        ratio = max(error_ratio(case, dtype) for case in cases)
        row.measured[str(dtype).removeprefix("torch.")] = ratio
        if ratio > LARGEST_ERROR:
            row.faults.append(f"{op}: the largest error in {dtype} is {ratio:.1f} times torch's")
    row.measured["bytes"] = max(map(_bytes_ratio, cases))
    if row.measured["bytes"] > 1:
        row.faults.append(f"{op}: {row.measured['bytes']:.2f} times the bytes of torch are kept for backward")
    return row


def verdict(name: str, case: Case) -> tuple[bool | None, str]:
    """Return whether a property holds of a case, None where it cannot be examined here, and why not."""
    try:
        PROPERTIES[name](case)
    except SkipTest as reason:
        return None, str(reason)
    except Exception as error:  # a wrong operation fails in any way it likes, from a wrong number to torch's refusal
        return False, str(error)
    return True, ""


def _bytes_ratio(case: Case) -> float:
    try:
        ours, theirs = compare_saved_bytes(case)
    except SkipTest:
        return 0.0
    return ours / theirs if theirs else float(ours > 0)


def as_text(rows: Iterable[Row]) -> str:
    """Format the matrix for a terminal."""
    titles = ("operation", *COLUMNS, *MEASURED)
    return "\n".join(columns([titles, *(row.cells() for row in rows)], "<^"))


def as_markdown(rows: Iterable[Row], document: str = "") -> str:
    """Format the matrix and the derivation of every operation as docs/OPERATIONS.md.

    Args:
        rows: the operations that were examined.
        document: the page so far, whose rows of other operations stay; empty for a page of these rows alone.
    """
    titles = ("operation", *COLUMNS, *MEASURED)
    measured = [line for line in document.splitlines() if line.startswith("- Measured with")]
    lines = {op: line for line in document.splitlines() for op in re.findall(r"^\| `(\w+)` \|", line)}
    lines |= {row.op: f"| {' | '.join([f'`{row.op}`', *row.cells()[1:]])} |" for row in rows}
    return "\n".join(
        [
            "# Operations",
            "",
            "Every operation by hand: what was proven of it, and how its derivative comes about.",
            "Made by `amal ops --markdown docs/OPERATIONS.md`.",
            "",
            f"| {' | '.join(titles)} |",
            f"| --- {'| :-: ' * (len(titles) - 1)}|",
            *(lines[op] for op in OPERATIONS if op in lines),
            "",
            *(f"- {line}" for line in LEGEND.splitlines()),
            *(measured or [f"- Measured with torch {torch.__version__} on {platform.machine()}."]),
            "",
            derivations(),
        ]
    )


def derivations() -> str:
    """Return the derivation of every operation, from the docstring of its file."""
    return "\n".join(map(_derivation, OPERATIONS))


def _derivation(op: str) -> str:
    function: Callable[..., object] = getattr(functional, op)
    text = inspect.cleandoc(str(importlib.import_module(function.__module__).__doc__))
    first, _, rest = text.partition("\n\n")  # the rest begins with a formula, whose line is indented
    title, _, meaning = first.partition(": ")
    signature = str(inspect.signature(function)).replace("torch.Tensor", "Tensor")
    return f"## {op}\n\n{title}: {meaning}\n\n```python\n{op}{signature}\n```\n\n```text\n{rest}\n```\n"
