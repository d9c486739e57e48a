"""The experiments of the course, in their order, each with the runs that are of it."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import groupby
from typing import Any

from amal.experiments import Part, place

from .course import FIGURES
from .numbers import Comparison, comparison
from .runs import Group, Run, group_runs


@dataclass(frozen=True)
class Share:
    """What a group of runs has to say of one experiment."""

    group: Group
    metrics: Sequence[str]
    """The names of its measures that are of this experiment."""
    is_of: Callable[[str], bool]
    """Whether a child of a run, by its name, is of this experiment."""


@dataclass(frozen=True)
class Chapter:
    """An experiment as one script carries it."""

    part: Part
    shares: Sequence[Share]
    unfinished: Sequence[Run]
    """Runs that are going on, or ended without a result."""

    @property
    def command(self) -> str:
        """What would make a run of it."""
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
    def is_missing(self) -> bool:
        """Whether no run of it was completed."""
        return not any(chapter.shares for chapter in self.chapters)


def tell(parts: Iterable[Part], runs: Sequence[Run]) -> tuple[list[Experiment], list[Group], list[Run]]:
    """Give every experiment its runs; return also the groups, and the unfinished runs, of scripts that are unknown."""
    known = sorted(parts, key=lambda part: (place(part.number), not part.is_first, part.script))
    groups = group_runs(runs)
    unfinished = [run for run in runs if run.status != "completed"]
    scripts = {part.script for part in known}
    told = []
    for number, here in groupby(known, key=lambda part: part.number):
        chapters = [
            Chapter(
                part,
                [share for group in groups if (share := share_of(part, known, group))],
                [run for run in unfinished if part.is_first and run.script == part.script],
            )
            for part in here
        ]
        told.append(Experiment(number, chapters, comparisons(number, groups)))
    return (
        told,
        [group for group in groups if group.first.script not in scripts],
        [run for run in unfinished if run.script not in scripts],
    )


def share_of(part: Part, parts: Iterable[Part], group: Group) -> Share | None:
    """Return what a group has to say of a part of its script; None if nothing.

    An option with one value, such as `--loss bce`, gives a part the whole run. One that chooses from a list, such as
    `--models A`, gives it the measures and children named A of a run that has others too. The script's first part has
    what is given to no other one; parts without options share everything.
    """
    config = group.first.config
    if group.first.script != part.script or not has_options(config, part.options):
        return None
    others = [other for other in parts if other.script == part.script and other.options and other != part]
    names, given = _chosen(config, part), [name for other in others for name in _chosen(config, other)]
    if (part.is_first or names) and any(
        has_options(config, other.options) for other in others if not _chosen(config, other)
    ):
        return None  # given to the other as a whole

    def is_of(name: str) -> bool:
        if names:
            return matches(name, names)
        return not part.is_first or not matches(name, given)

    metrics = [name for name in group.metrics if is_of(name.rpartition("_")[0])]
    return Share(group, metrics, is_of) if metrics or not group.metrics else None


def _chosen(config: Mapping[str, Any], part: Part) -> list[str]:
    """Return the names that a part's options choose of a list in the config, such as that of models."""
    return [name for option, values in part.options.items() if isinstance(config.get(option), list) for name in values]


def has_options(config: Mapping[str, Any], options: Mapping[str, Sequence[str]]) -> bool:
    """Whether a run was set so that each option has one of the values asked for, or holds one in its list."""
    for option, wanted in options.items():
        have = config.get(option)
        if not any(matches(str(value), wanted) for value in (have if isinstance(have, list) else [have])):
            return False
    return True


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of some patterns, such as `*-*-*`."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def comparisons(number: str, groups: Iterable[Group]) -> list[Comparison]:
    """Return every figure of an experiment beside every group of runs that measured it."""
    figures = [figure for figure in FIGURES if figure.number == number]
    return [
        comparison(figure, group)
        for group in groups
        for figure in figures
        if group.first.script == figure.script
        and all(group.first.config.get(name, "") == value for name, value in figure.where.items())
        and group.values(figure.metric)
    ]
