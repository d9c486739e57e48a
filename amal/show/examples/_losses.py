"""Worked examples of the losses.

grad_output is 2, as if the program went on with twice the loss: a factor of 1 could not be seen.
"""

from collections.abc import Callable
from typing import Any

import torch

from amal.show.quantity import Entries, Paper, Quantity, call, entry, exp, log, mean, sigmoid, sign, slope, total, truth

from ._example import Example, Variable

CLASSES = [2, 0]


def _difference_loss(
    title: str, loss: Callable[[Quantity], Quantity], derivative: str, local: Callable[[Quantity], Quantity]
) -> Callable[[Paper, Entries, Entries, Entries], None]:
    """Return the calculation of a loss: the mean of a function of x − t over the entries."""

    def chain(paper: Paper, x: Entries, t: Entries, g: Entries) -> None:
        paper.heading(f"forward: {title}")
        d = {i: paper.write(entry("d", i), x[i] - t[i]) for i in x}
        paper.write("L", mean([loss(d[i]) for i in x]))
        paper.heading(
            f"local derivatives: L'_i = {derivative} / n is the slope of L by d_i; ∂d_i/∂x_i = 1, ∂d_i/∂t_i = −1"
        )
        s = {i: paper.write(f"L'_{i[0]}", local(d[i]) / len(x)) for i in x}
        paper.heading("the chain: ∂L/∂x_i = g L'_i, ∂L/∂t_i = −∂L/∂x_i")
        for i in x:
            paper.gradient("x", i, g[()] * s[i])
        for i in t:
            paper.gradient("t", i, -(g[()] * s[i]))

    return chain


def _nll(paper: Paper, x: Entries, g: Entries) -> None:
    n = x.shape[0]
    paper.heading("forward: L_i = −x_iy, y = t_i the right class, L their mean")
    L = [paper.write(f"L_{i}", -x[i, CLASSES[i]]) for i in range(n)]
    paper.write("L", mean(L))
    paper.heading("local derivatives: ∂L_i/∂x_ik = −[k = t_i]")
    for i, k in x:
        paper.write(slope(f"L_{i}", entry("x", (i, k))), -truth(f"{k} = {CLASSES[i]}", k == CLASSES[i]))
    paper.heading("the chain: ∂L/∂x_ik = −g [k = t_i] / n")
    for i, k in x:
        paper.gradient("x", (i, k), -(g[()] * truth(f"{k} = {CLASSES[i]}", k == CLASSES[i]) / n))


def _cross_entropy(paper: Paper, x: Entries, g: Entries) -> None:
    n, classes = range(x.shape[0]), range(x.shape[1])
    paper.heading("forward: p_ik = exp x_ik / Σ_j exp x_ij, L_i = −log p_iy with y = t_i the right class, L their mean")
    p = {}
    for i in n:
        Z = paper.write(f"Z_{i}", total([exp(x[i, k]) for k in classes]))
        for k in classes:
            p[i, k] = paper.write(entry("p", (i, k)), exp(x[i, k]) / Z)
    L = [paper.write(f"L_{i}", -log(p[i, CLASSES[i]])) for i in n]
    paper.write("L", mean(L))
    paper.heading("local derivatives: ∂L_i/∂x_ik = p_ik − [k = t_i]")
    local = {
        (i, k): paper.write(
            slope(f"L_{i}", entry("x", (i, k))), p[i, k] - truth(f"{k} = {CLASSES[i]}", k == CLASSES[i])
        )
        for i, k in x
    }
    paper.heading("the chain: ∂L/∂x_ik = g (p_ik − [k = t_i]) / n; each row adds up to 0")
    for i, k in x:
        paper.gradient("x", (i, k), g[()] * local[i, k] / len(n))


def _binary_cross_entropy(paper: Paper, x: Entries, t: Entries, g: Entries) -> None:
    n = len(x)
    paper.heading("forward: L_i = −(t_i log x_i + (1−t_i) log(1−x_i)), L their mean")
    L = [paper.write(f"L_{i[0]}", -(t[i] * log(x[i]) + (1 - t[i]) * log(1 - x[i]))) for i in x]
    paper.write("L", mean(L))
    paper.heading("local derivatives: ∂L_i/∂x_i = (x_i − t_i) / (x_i (1−x_i)), ∂L_i/∂t_i = log(1−x_i) − log x_i")
    by_x = {i: paper.write(slope(f"L_{i[0]}", entry("x", i)), (x[i] - t[i]) / (x[i] * (1 - x[i]))) for i in x}
    by_t = {i: paper.write(slope(f"L_{i[0]}", entry("t", i)), log(1 - x[i]) - log(x[i])) for i in x}
    _mean_chain(paper, by_x, by_t, g, n)


def _with_logits(paper: Paper, x: Entries, t: Entries, g: Entries) -> None:
    n = len(x)
    paper.heading("forward: L_i = (1−t_i) x_i + softplus(−x_i), softplus(−x) = log(1 + e⁻ˣ), L their mean")
    L = [paper.write(f"L_{i[0]}", (1 - t[i]) * x[i] + log(1 + exp(-x[i]))) for i in x]
    paper.write("L", mean(L))
    paper.heading("local derivatives: ∂L_i/∂x_i = σ(x_i) − t_i, ∂L_i/∂t_i = −x_i")
    by_x = {i: paper.write(slope(f"L_{i[0]}", entry("x", i)), sigmoid(x[i]) - t[i]) for i in x}
    by_t = {i: paper.write(slope(f"L_{i[0]}", entry("t", i)), -x[i]) for i in x}
    _mean_chain(paper, by_x, by_t, g, n)


def _mean_chain(
    paper: Paper, by_x: dict[tuple[int, ...], Quantity], by_t: dict[tuple[int, ...], Quantity], g: Entries, n: int
) -> None:
    paper.heading("the chain: each entry has its n-th part in the mean, ∂L/∂x_i = g ∂L_i/∂x_i / n")
    for letter, local in (("x", by_x), ("t", by_t)):
        for i, derivative in local.items():
            paper.gradient(letter, i, g[()] * derivative / n)


def _loss(chain: Callable[..., None], x: list[Any], t: list[float] | None = None) -> Example:
    """Return an example with predictions and targets; without targets, with CLASSES."""
    variables = [Variable("x", "input", x), *([] if t is None else [Variable("t", "target", t)])]
    constants = {"target": torch.tensor(CLASSES)} if t is None else {}
    return Example(tuple(variables), 2, chain, constants, output="L")


LOSSES = {
    "mse_loss": _loss(
        _difference_loss("d = x − t, L = 1/n Σ_i d_i²", lambda d: d.square(), "2 d_i", lambda d: 2 * d),
        [1, 2, -1, 3],
        [0, 4, -2, 3.5],
    ),
    "l1_loss": _loss(
        _difference_loss("d = x − t, L = 1/n Σ_i |d_i|", lambda d: call("abs", abs, d), "sign d_i", sign),
        [1, 2, -1, 3],
        [0, 4, -2, 3.5],
    ),
    "nll_loss": _loss(_nll, [[-1, -2, -0.5], [-0.5, -1, -3]]),
    "cross_entropy": _loss(_cross_entropy, [[1, 0, 2], [1, -1, 0.5]]),
    "binary_cross_entropy": _loss(_binary_cross_entropy, [0.8, 0.25], [0.9, 0.5]),
    "binary_cross_entropy_with_logits": _loss(_with_logits, [2, -1], [1, 0.25]),
}
