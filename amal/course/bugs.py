"""Wrong and right side by side: what the labs' galleries of plausible bugs share."""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from amal.runs.launcher import Outcome
from amal.training.config import RunConfig, require
from amal.training.logbook import Logbook
from amal.training.loop import progress_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_C = TypeVar("_C", bound=RunConfig)
VERSIONS = ("wrong", "right")


@dataclass(frozen=True)
class Version:
    """What one version of a program gives."""

    measures: Mapping[str, float]
    """What is measured -> a number. The first is the symptom."""
    curves: Mapping[str, Sequence[float]]
    """Name -> values in the order of the steps, or of the epochs."""


@dataclass(frozen=True)
class Comparison:
    """What a bug does: two versions of one program, from the same seed and data, with the same measures and curves."""

    wrong: Version
    right: Version
    pictures: Mapping[str, Callable[[], "Figure"]] = field(default_factory=dict)
    """Name -> what draws a picture, where one says more than the curves; not called if a measure is infinite or NaN."""

    def measures(self) -> dict[str, tuple[float, float]]:
        """Return what is measured -> its number in the wrong version and in the right one."""
        return {name: (self.wrong.measures[name], self.right.measures[name]) for name in self.right.measures}

    def measured(self, version: str) -> Iterable[tuple[str, float]]:
        """Return what is measured of a version, `wrong` or `right`."""
        return (self.wrong if version == "wrong" else self.right).measures.items()


Bug = Callable[[_C], Comparison]
"""Runs both versions of a program. Its docstring tells the symptom, the cause, and what sees it."""


def exhibit(bugs: Mapping[str, Bug[_C]], config: _C, logbook: Logbook) -> Outcome:
    """Run both versions of every bug; print and write what each does, what it comes from, and what sees it.

    In TensorBoard there are two runs, `wrong` and `right`, and of each bug one group of charts that shows both.

    Args:
        bugs: name -> what runs its two versions.
        config: passed on to them.
        logbook: of the gallery; `wrong` and `right` become its children.

    Raises:
        UserError: what is measured is infinite or NaN.
    """
    found: dict[str, Comparison] = {}
    for name, bug in progress_bar(bugs.items(), config.progress, "bugs"):
        found[name] = bug(config)
        write(name, found[name], paragraph(bug), logbook)
    for name, bug in bugs.items():
        print(f"{name.upper()}\n{paragraph(bug)}\n")
    for version in VERSIONS:
        measures = {f"{name}, {what}": value for name, of in found.items() for what, value in of.measured(version)}
        logbook.child(version).settings({"version": version}, measures)
    table = as_table(found)
    print(table)
    logbook.text("table", table)

    words: list[str] = []
    metrics: dict[str, float] = {}
    for name, comparison in found.items():
        (symptom, (wrong, right)), *_ = comparison.measures().items()
        words.append(f"{name}, {symptom} {wrong:.3g} / {right:.3g}")
        for measure, values in comparison.measures().items():
            metrics |= {f"{name}, {measure}_{version}": value for version, value in zip(VERSIONS, values, strict=True)}
    return Outcome(f"wrong / right: {'; '.join(words)}", metrics)


def paragraph(bug: Bug[_C]) -> str:
    """Return what a bug's docstring says."""
    return inspect.getdoc(bug) or ""


def write(name: str, comparison: Comparison, told: str, logbook: Logbook) -> None:
    """Write what there is to say of a bug, its measures, its curves and its pictures."""
    for measure, (wrong, right) in comparison.measures().items():
        finite = math.isfinite(wrong) and math.isfinite(right)
        require(finite, f"{name}: {measure} is {wrong:g} / {right:g}: try lower learning rates")
    for version, curves in zip(VERSIONS, (comparison.wrong.curves, comparison.right.curves), strict=True):
        book = logbook.child(version)
        for curve, values in curves.items():
            for step, value in enumerate(values):
                book.scalar(f"{name}/{curve}", value, step)
    for tag, draw in comparison.pictures.items():
        logbook.figure(f"{name}/{tag}", draw(), 0)
    marked = re.sub(r"^(Symptom|Cause|Seen by):", r"\n**\1:**", told, flags=re.MULTILINE)
    logbook.text(name, f"{marked}\n\n{as_table({name: comparison})}")


def as_table(found: Mapping[str, Comparison]) -> str:
    """Set the measures of each bug as a Markdown table whose columns are aligned."""
    rows = [("bug", "what is measured", *VERSIONS)]
    for name, comparison in found.items():
        for place, (measure, values) in enumerate(comparison.measures().items()):
            wrong, right = (f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}" for value in values)
            rows.append((name if place == 0 else "", measure, wrong, right))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([lines[0], rule, *lines[1:]])
