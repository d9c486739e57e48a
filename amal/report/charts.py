"""The curves of a run as charts: chosen and laid out here, drawn as SVG by the template.

Matplotlib chooses the round numbers of an axis, but draws nothing: its SVG of such a chart has 10 kB
instead of 2.5 and takes 58 ms instead of 0.5 (matplotlib 3.11; a page may have hundreds of charts),
and its colours stand in the `style` of each element, where no dark mode reaches them.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import zip_longest

from .events import Events

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 26
"""The picture, and the margins around its axes, in units of the SVG."""
POINTS = 90
"""Largest number of points of a line: more cannot be seen."""
LINES = 8
"""Largest number of lines of a chart: there are so many colours."""
OTHER_TAGS = (
    "result/*", "*epoch*", "*learning rate*", "*gradient*", "*weight*", "*/step", "*second*", "time*",
)  # fmt: skip
"""Tags of scalars that are no learning curves."""
PARTS = ("test", "train", "validation")
"""Endings of tags, the most important first."""

Values = Mapping[int, float]
"""Step -> value."""


@dataclass(frozen=True)
class Line:
    """One quantity."""

    name: str
    path: str
    """The mean over the seeds, as an SVG path."""
    seeds: Sequence[str]
    """Each seed, as an SVG path; empty for a single seed."""


@dataclass(frozen=True)
class Tick:
    """A number on an axis."""

    position: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One chart."""

    title: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    description: str
    """The chart in words, for readers who do not see it."""
    rest: int
    """Number of lines that it has no room for."""


def select_charts(runs: Sequence[Mapping[str, Events]], limit: int, is_shown: Callable[[str], bool]) -> list[Chart]:
    """Choose and lay out the charts of runs that differ in their seeds.

    If several children have a tag, one chart compares them on it. Otherwise the parts of one group
    of tags, such as loss/train and loss/test, share a chart.

    Args:
        runs: for each run, name of the child -> its events.
        limit: largest number of charts.
        is_shown: whether a child is shown, by its name; the run itself always is.
    """
    children = sorted({child for run in runs for child in run if not child or is_shown(child)}, key=natural_key)
    curves: dict[str, dict[str, list[Values]]] = {}  # tag -> child -> values of each seed
    for child in children:
        for run in runs:
            for tag, values in (run[child].scalars if child in run else {}).items():
                finite: Values = {step: value for step, value in sorted(values.items()) if math.isfinite(value)}
                if len(finite) > 2 and not any(fnmatch(tag.lower(), pattern) for pattern in OTHER_TAGS):
                    curves.setdefault(tag, {}).setdefault(child, []).append(finite)
    comparisons = [(tag, lines) for tag, lines in curves.items() if len(lines) > 1]
    groups: dict[tuple[str, str], dict[str, list[Values]]] = {}
    for tag, lines in curves.items():
        if len(lines) == 1:
            ((child, seeds),) = lines.items()
            group, _, name = tag.rpartition("/")
            groups.setdefault((child, group or name), {})[name] = seeds
    plans = [(" · ".join(filter(None, (child, group))), lines) for (child, group), lines in groups.items()]
    plans += sorted(comparisons, key=lambda plan: _rank(plan[0]))
    different = [plan for index, plan in enumerate(plans) if all(plan[1] != other for _, other in plans[:index])]
    return [chart(title, lines) for title, lines in different[:limit]]


def _rank(tag: str) -> tuple[int, bool]:
    """Return what to sort tags by, the most important first."""
    *_, part = tag.split("/")
    return (PARTS.index(part) if part in PARTS else -1, "accuracy" not in tag)


def chart(title: str, lines: Mapping[str, Sequence[Values]]) -> Chart:
    """Lay out a chart: name of a line -> its values for each seed."""
    visible = dict(list(lines.items())[:LINES])
    values = [value for seeds in visible.values() for seed in seeds for value in seed.values()]
    steps = [step for seeds in visible.values() for seed in seeds for step in seed]
    first, last, low, high = min(steps), max(steps), min(values), max(values)
    is_log = low > 0 and high / low > 30
    y_ticks = round_numbers(math.log10(low), math.log10(high), True) if is_log else round_numbers(low, high)
    x_ticks = [tick for tick in round_numbers(first, last) if first <= tick <= last]

    def x(step: float) -> float:
        return LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(height: float) -> float:
        return HEIGHT - BOTTOM - (height - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (HEIGHT - TOP - BOTTOM)

    def path(seed: Values) -> str:
        points = ((x(step), y(math.log10(value) if is_log else value)) for step, value in thin(seed).items())
        return "M" + "L".join(f"{horizontal:.4g} {vertical:.4g}" for horizontal, vertical in points)

    drawing = [
        Line(name, path(mean(seeds)), [path(seed) for seed in seeds] if len(seeds) > 1 else ())
        for name, seeds in visible.items()
    ]
    ends = "; ".join(f"{name} ends at {list(mean(seeds).values())[-1]:.3g}" for name, seeds in visible.items())
    scale = ", logarithmic scale" if is_log else ""
    several = ", mean over seeds" if any(line.seeds for line in drawing) else ""
    return Chart(
        title,
        drawing,
        [Tick(x(tick), _text(tick)) for tick in x_ticks],
        [Tick(y(tick), _text(10**tick if is_log else tick)) for tick in y_ticks],
        f"{title} from step {first} to {last}{scale}{several}: {ends}",
        len(lines) - len(visible),
    )


def mean(seeds: Sequence[Values]) -> Values:
    """Return the mean over the seeds, at the steps that all of them have."""
    if len(seeds) == 1:
        return seeds[0]
    steps = [step for step in seeds[0] if all(step in values for values in seeds[1:])]
    return {step: sum(values[step] for values in seeds) / len(seeds) for step in steps} or seeds[0]


def thin(values: Values) -> Values:
    """Return the values of at most POINTS steps, evenly spread, from the first to the last."""
    if len(values) <= POINTS:
        return values
    steps = list(values)
    indices = {round(point * (len(steps) - 1) / (POINTS - 1)) for point in range(POINTS)}
    return {steps[index]: values[steps[index]] for index in sorted(indices)}


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return what to sort a name by, so that 10 comes after 2; 0.1 and 0.01 have equal numbers."""
    numbers, words = re.findall(r"\d+", name), re.split(r"\d+", name)
    return [*((int(number), word) for word, number in zip_longest(words, numbers, fillvalue="0")), (0, name)]


def round_numbers(low: float, high: float, integer: bool = False) -> list[float]:
    """Return about five round numbers, from one that is at most `low` to one at least `high`."""
    from matplotlib.ticker import MaxNLocator

    if low == high:
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    return [float(tick) for tick in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=integer).tick_values(low, high)]


def _text(number: float) -> str:
    """Return a number in as few characters as an axis has room for."""
    if 1e4 <= abs(number) < 1e6:
        return f"{number / 1000:.4g}k"
    if number and not 1e-3 <= abs(number) < 1e5:
        return f"{number:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{number:.4g}"
