"""The experiments of the course, in their order, each with its runs."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import groupby
from typing import Any

from amal.experiments import Part, place

from .course import FIGURES
from .numbers import Comparison, compare
from .runs import Group, Run, group_runs


@dataclass(frozen=True)
class Result:
    """What a group of runs contributes to one experiment."""

    group: Group
    metrics: Sequence[str]
    """The names of its measures that belong to this experiment."""
    is_shown: Callable[[str], bool]
    """Whether a child of a run, by its name, belongs to this experiment."""


@dataclass(frozen=True)
class Chapter:
    """An experiment as one script carries it out."""

    part: Part
    results: Sequence[Result]
    unfinished: Sequence[Run]
    """Runs that are going on, or ended without a result."""

    @property
    def command(self) -> str:
        """The command that would make a run of it."""
        options = {name: values for name, values in self.part.options.items() if "*" not in "".join(values)}
        words = [f"--{name.replace('_', '-')} {shlex.join(values)}" for name, values in options.items()]
        return " ".join(["python -m", self.part.script, *(word.removesuffix(" True") for word in words)])


@dataclass(frozen=True)
class Experiment:
    """An experiment of the course."""

    number: str
    chapters: Sequence[Chapter]
    comparisons: Sequence[Comparison]

    @property
    def lab(self) -> str:
        """The number of its lab."""
        return self.number.partition(".")[0]

    @property
    def results(self) -> list[Result]:
        """The results of its completed runs."""
        return [result for chapter in self.chapters for result in chapter.results]


def arrange(parts: Iterable[Part], runs: Sequence[Run]) -> tuple[list[Experiment], list[Group], list[Run]]:
    """Return the experiments with their runs; then groups, and unfinished runs, of other scripts."""
    course = sorted(parts, key=lambda part: (place(part.number), not part.is_first, part.script))
    groups = group_runs(runs)
    unfinished = [run for run in runs if run.status != "completed"]
    scripts = {part.script for part in course}
    experiments = []
    for number, same_number in groupby(course, key=lambda part: part.number):
        chapters = [
            Chapter(
                part,
                [result for group in groups if (result := find_result(part, course, group))],
                [run for run in unfinished if part.is_first and run.script == part.script],
            )
            for part in same_number
        ]
        experiments.append(Experiment(number, chapters, comparisons(number, groups)))
    return (
        experiments,
        [group for group in groups if group.first.script not in scripts],
        [run for run in unfinished if run.script not in scripts],
    )


def find_result(part: Part, parts: Iterable[Part], group: Group) -> Result | None:
    """Return what a group contributes to a part of its script; None if nothing.

    An option with one value, such as `--loss bce`, gives a part the whole run. An option that
    chooses from a list, such as `--models A`, gives it the measures and children named A, of a run
    that has others too. The script's first part gets the rest; parts without options share all.
    """
    config = group.first.config
    if group.first.script != part.script or not has_options(config, part.options):
        return None
    others = [other for other in parts if other.script == part.script and other.options and other != part]
    names, other_names = _choices(config, part), [name for other in others for name in _choices(config, other)]
    if (part.is_first or names) and any(
        has_options(config, other.options) for other in others if not _choices(config, other)
    ):
        return None  # the whole run belongs to the other part

    def is_shown(name: str) -> bool:
        if names:
            return matches(name, names)
        return not part.is_first or not matches(name, other_names)

    metrics = [name for name in group.metrics if is_shown(name.rpartition("_")[0])]
    return Result(group, metrics, is_shown) if metrics or not group.metrics else None


def _choices(config: Mapping[str, Any], part: Part) -> list[str]:
    """Return the names that a part's options choose from lists in the config, such as models."""
    return [name for option, values in part.options.items() if isinstance(config.get(option), list) for name in values]


def has_options(config: Mapping[str, Any], options: Mapping[str, Sequence[str]]) -> bool:
    """Whether every option of a config has one of these values, or holds one in its list."""
    for option, values in options.items():
        setting = config.get(option)
        if not any(matches(str(value), values) for value in (setting if isinstance(setting, list) else [setting])):
            return False
    return True


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of some patterns, such as `*-*-*`."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def comparisons(number: str, groups: Iterable[Group]) -> list[Comparison]:
    """Return every figure of an experiment beside every group of runs that measured it."""
    figures = [figure for figure in FIGURES if figure.number == number]
    return [
        compare(figure, group)
        for group in groups
        for figure in figures
        if group.first.script == figure.script
        and all(group.first.config.get(name, "") == value for name, value in figure.settings.items())
        and group.values(figure.metric)
    ]
