"""Numbers as the report writes them: with the digits that mean something, and with their range."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .course import Figure
from .runs import Group

MINUS = "−"


@dataclass(frozen=True)
class Table:
    """Numbers under headings; the first column names the rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Comparison:
    """A figure of the documents beside what one group of runs measured."""

    figure: Figure
    group: Group
    reported: str
    measured: str
    difference: str
    """Ours minus theirs; empty where that means nothing."""
    verdict: str
    """`better`, `worse` or `equal`; empty where no value is better than another."""


def compare(figure: Figure, group: Group) -> Comparison:
    """Return a figure beside what a group measured, with the difference if it is comparable."""
    values = group.values(figure.metric)
    measured = format_mean(values, figure.percent)
    reported = "–" if figure.reported is None else format_number(figure.reported, figure.percent)
    if figure.reported is None or not figure.is_comparable:
        return Comparison(figure, group, reported, measured, "", "")
    difference = sum(values) / len(values) - figure.reported
    equal = abs(difference) < 1e-9
    gain = difference if figure.better == "more" else -difference
    verdict = "" if figure.better == "neither" else "equal" if equal else "better" if gain > 0 else "worse"
    return Comparison(figure, group, reported, measured, format_difference(difference, figure), verdict)


def format_difference(difference: float, figure: Figure) -> str:
    """Return a difference as text, with the decimals of the reported figure, and three at least."""
    if figure.percent:
        return f"{100 * difference:+.2f} points".replace("-", MINUS)
    decimals = max(3, len(str(figure.reported).partition(".")[2]))
    return f"{difference:+.{decimals}f}".replace("-", MINUS)


def format_mean(values: Sequence[float], percent: bool = False) -> str:
    """Return a mean as text, then the lowest and the highest value if there are several."""
    mean, low, high = (format_number(value, percent) for value in (sum(values) / len(values), min(values), max(values)))
    return mean if min(values) == max(values) else f"{mean} ({low.removesuffix(' %')} – {high.removesuffix(' %')})"


def format_number(value: float, percent: bool = False) -> str:
    """Return a number as text, with four digits that count; whole numbers whole."""
    if percent:
        return f"{100 * value:.2f} %".replace("100.00 %", "100 %")
    if abs(value) < 1e15 and (value == round(value) or abs(value) >= 1e3):
        return f"{value:.0f}".replace("-", MINUS)
    return f"{value:.4g}".replace("-", MINUS)


def format_times(values: Iterable[float]) -> str:
    """Return how long runs took, from the shortest to the longest; NaN is a time not known."""
    times = sorted(value for value in values if value == value)
    if not times:
        return "time not known"
    return " to ".join(dict.fromkeys(_format_time(time) for time in (times[0], times[-1])))


def _format_time(value: float) -> str:
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def metrics_table(group: Group, metrics: Sequence[str]) -> Table:
    """Return the measures as a table: `30_train` and `30_test` are the row 30 under train and test."""
    cells = {name: format_mean(group.values(name)) for name in metrics}
    for split in (str.rpartition, str.partition):
        places = {(split(name, "_")[0], split(name, "_")[2]): cell for name, cell in cells.items()}
        rows, columns = (list(dict.fromkeys(part)) for part in zip(*places, strict=True)) if places else ([], [])
        is_dense = len(places) == len(cells) >= 0.7 * len(rows) * len(columns)
        if is_dense and 1 < len(rows) < len(cells) and len(columns) <= 6 and "" not in (*rows, *columns):
            body = [(_words(row), *(places.get((row, column), "") for column in columns)) for row in rows]
            return Table(("", *map(_words, columns)), body)
    return Table(("measured", "value"), [(_words(name), cell) for name, cell in cells.items()])


def _words(name: str) -> str:
    return name.replace("_", " ")
