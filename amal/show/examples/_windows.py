"""Worked examples of pooling: the entries of each window, and their shares of its gradient."""

from collections.abc import Callable
from itertools import product

from amal.show.quantity import Entries, Index, Paper, call, entry, mean, quantity, slope, total

from ._example import Example, Variable

Windows = Callable[[Entries, Entries], dict[Index, list[Index]]]


def _sliding(kernel: int, stride: int) -> Windows:
    """Return the windows of a kernel that slides on all axes but two: entry of y -> entries of x."""

    def windows(x: Entries, g: Entries) -> dict[Index, list[Index]]:
        offsets = list(product(range(kernel), repeat=len(x.shape) - 2))
        return {
            t: [(0, 0, *(stride * place + a for place, a in zip(t[2:], offset, strict=True))) for offset in offsets]
            for t in g
        }

    return windows


def _adaptive(x: Entries, g: Entries) -> dict[Index, list[Index]]:
    """Return windows that cover the image, as equal as possible: entry of y -> entries of x."""

    def interval(axis: int, place: int) -> range:
        size, places = x.shape[axis], g.shape[axis]
        return range(place * size // places, -((place + 1) * size // -places))

    return {t: [(0, 0, *offset) for offset in product(*(interval(axis, t[axis]) for axis in (2, 3)))] for t in g}


def _max_pool(windows: Windows) -> Callable[[Paper, Entries, Entries], None]:
    def chain(paper: Paper, x: Entries, g: Entries) -> None:
        entries = windows(x, g)
        paper.heading("forward: y_t is the largest entry of window t, i_t the index of this winner")
        for t, window in entries.items():
            paper.write(entry("y", t), call("max", max, *(x[i] for i in window)))
        winners = {t: max(window, key=lambda i: x[i].value) for t, window in entries.items()}
        paper.heading("local derivatives: 1 for the winner, 0 for the others")
        for t, i in winners.items():
            paper.write(slope(entry("y", t), entry("x", i)), quantity(1))
        paper.heading("the chain: ∂L/∂x_j = Σ of g_t over the windows t that x_j wins")
        for j in x:
            paper.gradient("x", j, total([g[t] for t, i in winners.items() if i == j]))

    return chain


def _avg_pool(windows: Windows) -> Callable[[Paper, Entries, Entries], None]:
    def chain(paper: Paper, x: Entries, g: Entries) -> None:
        entries = windows(x, g)
        paper.heading("forward: y_t is the mean of window t, of m_t entries")
        for t, window in entries.items():
            paper.write(entry("y", t), mean([x[i] for i in window]))
        paper.heading("local derivatives: 1/m_t for every entry of the window; of each the first")
        for t, window in entries.items():
            paper.write(slope(entry("y", t), entry("x", window[0])), quantity(1) / len(window))
        paper.heading("the chain: ∂L/∂x_i = Σ of g_t / m_t over the windows t that x_i is in")
        for i in x:
            paper.gradient("x", i, total([g[t] / len(window) for t, window in entries.items() if i in window]))

    return chain


SIGNAL = [[[1, 3, 2, 5, 4]]]
IMAGE = [[[[1, 3, 2], [0, 5, 4], [-1, -2, 6]]]]

WINDOWS = {
    "max_pool1d": Example(
        (Variable("x", "input", SIGNAL),),
        [[[1, -2, 3]]],
        _max_pool(_sliding(3, 1)),
        {"kernel_size": 3, "stride": 1},
        note="Windows of 3, one apart: they overlap, and one entry wins more than one.",
    ),
    "max_pool2d": Example(
        (Variable("x", "input", IMAGE),),
        [[[[1, -2], [3, 4]]]],
        _max_pool(_sliding(2, 1)),
        {"kernel_size": 2, "stride": 1},
        note="Windows of 2 × 2, one apart: they overlap, and one entry wins more than one.",
    ),
    "avg_pool1d": Example(
        (Variable("x", "input", SIGNAL),),
        [[[1, -2, 4]]],
        _avg_pool(_sliding(3, 1)),
        {"kernel_size": 3, "stride": 1},
        note="Windows of 3, one apart.",
    ),
    "avg_pool2d": Example(
        (Variable("x", "input", IMAGE),),
        [[[[1, -2], [3, 4]]]],
        _avg_pool(_sliding(2, 1)),
        {"kernel_size": 2, "stride": 1},
        note="Windows of 2 × 2, one apart.",
    ),
    "adaptive_avg_pool2d": Example(
        (Variable("x", "input", [[[[1, 3, 2], [0, 5, 4]]]]),),
        [[[[1, -2]]]],
        _avg_pool(_adaptive),
        {"output_size": (1, 2)},
        note="Two windows over three columns: they overlap in the middle one.",
    ),
}
