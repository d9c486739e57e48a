"""How the report tells numbers: with the digits that mean something, and always with their spread."""

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
    """`better`, `worse` or `equal`; empty where neither is."""


def comparison(figure: Figure, group: Group) -> Comparison:
    """Set a figure beside what a group measured, and subtract where both are numbers of the same thing."""
    values = group.values(figure.metric)
    measured = spread(values, figure.percent)
    if figure.reported is None or figure.unlike:
        reported = "–" if figure.reported is None else number(figure.reported, figure.percent)
        return Comparison(figure, group, reported, measured, "", "")
    difference = sum(values) / len(values) - figure.reported
    told = subtracted(difference, figure)
    equal = abs(difference) < 1e-9
    gain = difference if figure.better == "more" else -difference
    verdict = "" if figure.better == "neither" else "equal" if equal else "better" if gain > 0 else "worse"
    return Comparison(figure, group, number(figure.reported, figure.percent), measured, told, verdict)


def subtracted(difference: float, figure: Figure) -> str:
    """Write a difference, with the decimals that the figure is reported with, and three at least."""
    if figure.percent:
        return f"{100 * difference:+.2f} points".replace("-", MINUS)
    decimals = max(3, len(str(figure.reported).partition(".")[2]))
    return f"{difference:+.{decimals}f}".replace("-", MINUS)


def spread(values: Sequence[float], percent: bool = False) -> str:
    """Write a mean, then the lowest and the highest value where there are several."""
    mean = number(sum(values) / len(values), percent)
    if min(values) == max(values):
        return mean
    return f"{mean} ({number(min(values), percent)} – {number(max(values), percent)})".replace(" % –", " –").replace(
        " %)", ")"
    )


def number(value: float, percent: bool = False) -> str:
    """Write a number with four digits that count; whole numbers whole."""
    if percent:
        return f"{100 * value:.2f} %".replace("100.00 %", "100 %")
    if abs(value) < 1e15 and (value == round(value) or abs(value) >= 1e3):
        return f"{value:.0f}".replace("-", MINUS)
    return f"{value:.4g}".replace("-", MINUS)


def seconds(values: Iterable[float]) -> str:
    """Write how long runs took: one time, or from the shortest to the longest."""
    known = sorted(value for value in values if value == value)  # NaN is not
    if not known:
        return "time not known"
    times = list(dict.fromkeys(_seconds(value) for value in (known[0], known[-1])))
    return " to ".join(times)


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def table_of(group: Group, metrics: Sequence[str]) -> Table:
    """Set what was measured as a table: `30_train` and `30_test` become the row 30 under train and test."""
    cells = {name: spread(group.values(name)) for name in metrics}
    for split in (str.rpartition, str.partition):
        placed = {(split(name, "_")[0], split(name, "_")[2]): cell for name, cell in cells.items()}
        rows, columns = (list(dict.fromkeys(part)) for part in zip(*placed, strict=True)) if placed else ([], [])
        dense = len(placed) == len(cells) >= 0.7 * len(rows) * len(columns)
        if dense and 1 < len(rows) < len(cells) and len(columns) <= 6 and "" not in (*rows, *columns):
            body = [(_words(row), *(placed.get((row, column), "") for column in columns)) for row in rows]
            return Table(("", *map(_words, columns)), body)
    return Table(("measured", "value"), [(_words(name), cell) for name, cell in cells.items()])


def _words(name: str) -> str:
    return name.replace("_", " ")
