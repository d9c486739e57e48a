"""Curves of a run, chosen and laid out to be drawn as SVG: the template draws what is computed here."""

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
"""Points of a line at most: more are not seen."""
LINES = 8
"""Lines of a chart at most: there are so many colours."""
UNINTERESTING = (
    "result/*", "*epoch*", "*learning rate*", "*gradient*", "*weight*", "*/step", "*second*", "time*",
)  # fmt: skip
"""Tags of scalars that are no curves of what was learnt."""
PARTS = ("test", "train", "validation")
"""Endings of tags, the most telling first."""

Values = Mapping[int, float]
"""Step -> value."""


@dataclass(frozen=True)
class Line:
    """What is drawn of one quantity."""

    name: str
    path: str
    """The mean over the seeds, as an SVG path."""
    seeds: Sequence[str]
    """Each seed, as an SVG path; none where there is one only."""


@dataclass(frozen=True)
class Tick:
    """A number on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One chart."""

    title: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    told: str
    """What it shows, in words, for those who do not see it."""
    left_out: int
    """Lines that there was no room for."""


def charts_of(seeds: Sequence[Mapping[str, Events]], limit: int, wanted: Callable[[str], bool]) -> list[Chart]:
    """Choose and lay out the charts of runs that differ in their seeds.

    Where several children have a tag, one chart compares them on it; otherwise the parts of one group of tags, such as
    loss/train and loss/test, share a chart.

    Args:
        seeds: of each run, name of the child -> its events.
        limit: how many charts at most.
        wanted: whether a child is shown, by its name; the run itself always is.
    """
    children = sorted({child for events in seeds for child in events if not child or wanted(child)}, key=natural)
    have: dict[str, dict[str, list[Values]]] = {}  # tag -> child -> values of each seed
    for child in children:
        for events in seeds:
            for tag, values in (events[child].scalars if child in events else {}).items():
                finite: Values = {step: value for step, value in sorted(values.items()) if math.isfinite(value)}
                if len(finite) > 2 and not any(fnmatch(tag.lower(), dull) for dull in UNINTERESTING):
                    have.setdefault(tag, {}).setdefault(child, []).append(finite)
    compared = {tag: of for tag, of in have.items() if len(of) > 1}
    grouped: dict[tuple[str, str], dict[str, list[Values]]] = {}
    for tag, of in have.items():
        if tag not in compared:
            ((child, lines),) = of.items()
            group, _, name = tag.rpartition("/")
            grouped.setdefault((child, group or name), {})[name] = lines
    plans = [(" · ".join(filter(None, (child, group))), lines) for (child, group), lines in grouped.items()]
    plans += [(tag, compared[tag]) for tag in sorted(compared, key=_telling)]
    different = [plan for place, plan in enumerate(plans) if all(plan[1] != other for _, other in plans[:place])]
    return [chart(title, lines) for title, lines in different[:limit]]


def _telling(tag: str) -> tuple[int, int]:
    """Return how much a tag tells of a run: less is more."""
    *_, part = tag.split("/")
    return (PARTS.index(part) if part in PARTS else -1, "accuracy" not in tag)


def chart(title: str, lines: Mapping[str, Sequence[Values]]) -> Chart:
    """Lay out a chart: name of a line -> its values for each seed."""
    shown = dict(list(lines.items())[:LINES])
    every = [value for seeds in shown.values() for values in seeds for value in values.values()]
    steps = [step for seeds in shown.values() for values in seeds for step in values]
    low, high = min(every), max(every)
    logarithmic = low > 0 and high / low > 30
    first, last = min(steps), max(steps)
    y_axis = _log_axis(low, high) if logarithmic else _axis(low, high)
    x_axis = _axis(first, last, tight=True)

    def x(step: float) -> float:
        return LEFT + (step - x_axis[0]) / (x_axis[1] - x_axis[0]) * (WIDTH - LEFT - RIGHT)

    def y(place: float) -> float:
        return HEIGHT - BOTTOM - (place - y_axis[0]) / (y_axis[1] - y_axis[0]) * (HEIGHT - TOP - BOTTOM)

    def path(values: Values) -> str:
        places = {step: math.log10(value) if logarithmic else value for step, value in thinned(values).items()}
        return "M" + "L".join(f"{x(step):.4g} {y(place):.4g}" for step, place in places.items())

    drawn = [
        Line(name, path(mean(seeds)), [path(values) for values in seeds] if len(seeds) > 1 else ())
        for name, seeds in shown.items()
    ]
    ends = "; ".join(f"{name} ends at {list(mean(seeds).values())[-1]:.3g}" for name, seeds in shown.items())
    scale = ", logarithmic scale" if logarithmic else ""
    several = ", mean over seeds" if any(line.seeds for line in drawn) else ""
    return Chart(
        title,
        drawn,
        [Tick(x(at), _text(at)) for at in x_axis[2]],
        [Tick(y(at), _text(10**at if logarithmic else at)) for at in y_axis[2]],
        f"{title} from step {first} to {last}{scale}{several}: {ends}",
        len(lines) - len(shown),
    )


def mean(seeds: Sequence[Values]) -> Values:
    """Return the mean over the seeds, of the steps that all of them have."""
    if len(seeds) == 1:
        return seeds[0]
    steps = [step for step in seeds[0] if all(step in values for values in seeds[1:])]
    return {step: sum(values[step] for values in seeds) / len(seeds) for step in steps} or seeds[0]


def thinned(values: Values) -> Values:
    """Return the values of so many steps as can be seen; the first and the last one among them."""
    if len(values) <= POINTS:
        return values
    steps = list(values)
    kept = {round(place * (len(steps) - 1) / (POINTS - 1)) for place in range(POINTS)}
    return {steps[place]: values[steps[place]] for place in sorted(kept)}


def natural(name: str) -> list[tuple[int, str]]:
    """Return what to sort a name by, so that 10 comes after 2; 0.1 and 0.01 have equal numbers."""
    numbers, words = re.findall(r"\d+", name), re.split(r"\d+", name)
    return [*((int(of), word) for word, of in zip_longest(words, numbers, fillvalue="0")), (0, name)]


def _axis(low: float, high: float, tight: bool = False) -> tuple[float, float, list[float]]:
    """Return where an axis begins and ends, and its round numbers."""
    if high <= low:
        low, high = low - abs(low) / 2 - 0.5 * (low == 0), high + abs(high) / 2 + 0.5 * (high == 0)
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * of for of in (1, 2, 2.5, 5, 10) if unit * of >= rough * 0.999)
    if not tight:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    first = math.ceil(low / step - 1e-9)
    return low, high, [of * step for of in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_axis(low: float, high: float) -> tuple[float, float, list[float]]:
    """Return the same for powers of ten, all as exponents."""
    low, high = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = math.ceil((high - low) / 5)
    return low, high, [float(at) for at in range(int(low), int(high) + 1, every)]


def _text(number: float) -> str:
    """Write a number as short as an axis has room for."""
    if 1e4 <= abs(number) < 1e6:
        return f"{number / 1000:.4g}k"
    if number and not 1e-3 <= abs(number) < 1e5:
        return f"{number:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{number:.4g}"
