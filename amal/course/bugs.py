"""Plausible bugs: the wrong and the right version of a program, run and shown side by side."""

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from amal.runs.launcher import Outcome
from amal.text import markdown
from amal.training.config import RunConfig, require
from amal.training.logbook import Logbook
from amal.training.progress_bars import progress_bar

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

    def versions(self) -> dict[str, Version]:
        """Return the two versions by their names."""
        return dict(zip(VERSIONS, (self.wrong, self.right), strict=True))

    def measures(self) -> dict[str, tuple[float, float]]:
        """Return what is measured -> its number in the wrong version and in the right one."""
        return {name: (self.wrong.measures[name], self.right.measures[name]) for name in self.right.measures}


Bug = Callable[[_C], Comparison]
"""Runs both versions of a program. Its docstring gives the symptom, the cause, and what detects it."""


def run_bugs(bugs: Mapping[str, Bug[_C]], config: _C, logbook: Logbook) -> Outcome:
    """Run both versions of every bug; print and write its symptom, its cause, and what detects it.

    TensorBoard shows two runs, `wrong` and `right`, and for each bug one group of charts with both.

    Args:
        bugs: name -> the function that runs its two versions.
        config: the argument of these functions.
        logbook: it gets two children, `wrong` and `right`.

    Raises:
        UserError: a measure is infinite or NaN.
    """
    comparisons: dict[str, Comparison] = {}
    for name, bug in progress_bar(bugs.items(), config.progress, "bugs"):
        comparisons[name] = bug(config)
        write(name, comparisons[name], inspect.getdoc(bug) or "", logbook)
    for name, bug in bugs.items():
        print(f"{name.upper()}\n{inspect.getdoc(bug)}\n")
    for version in VERSIONS:
        measures = {
            f"{name}, {measure}": value
            for name, comparison in comparisons.items()
            for measure, value in comparison.versions()[version].measures.items()
        }
        logbook.child(version).settings({"version": version}, measures)
    table = as_table(comparisons)
    print(table)
    logbook.text("table", table)

    symptoms: list[str] = []
    metrics: dict[str, float] = {}
    for name, comparison in comparisons.items():
        (symptom, (wrong, right)), *_ = comparison.measures().items()
        symptoms.append(f"{name}, {symptom} {wrong:.3g} / {right:.3g}")
        for measure, values in comparison.measures().items():
            numbers = zip(VERSIONS, values, strict=True)
            metrics |= {f"{name}, {measure}_{version}": value for version, value in numbers}
    return Outcome(f"wrong / right: {'; '.join(symptoms)}", metrics)


def write(name: str, comparison: Comparison, description: str, logbook: Logbook) -> None:
    """Write a bug's description, measures, curves and pictures into TensorBoard."""
    for measure, (wrong, right) in comparison.measures().items():
        finite = math.isfinite(wrong) and math.isfinite(right)
        require(finite, f"{name}: {measure} is {wrong:g} / {right:g}: try lower learning rates")
    for label, version in comparison.versions().items():
        for curve, values in version.curves.items():
            for step, value in enumerate(values):
                logbook.child(label).scalar(f"{name}/{curve}", value, step)
    for tag, draw in comparison.pictures.items():
        logbook.figure(f"{name}/{tag}", draw(), 0)
    marked = re.sub(r"^(Symptom|Cause|Seen by):", r"\n**\1:**", description, flags=re.MULTILINE)
    logbook.text(name, f"{marked}\n\n{as_table({name: comparison})}")


def as_table(comparisons: Mapping[str, Comparison]) -> str:
    """Format the measures of each bug as a Markdown table whose columns are aligned."""
    rows = [("bug", "what is measured", *VERSIONS)]
    for name, comparison in comparisons.items():
        for place, (measure, values) in enumerate(comparison.measures().items()):
            wrong, right = (f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}" for value in values)
            rows.append((name if place == 0 else "", measure, wrong, right))
    return markdown(rows)
