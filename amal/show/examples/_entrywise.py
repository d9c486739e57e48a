"""Worked examples of entrywise operations."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from amal.proofs.cases import fixed_dropout, match_variable
from amal.show.quantity import Entries, Paper, Quantity, call, entry, exp, quantity, sigmoid, sign, slope, symbol, truth

from ._example import Example, Variable

NUMBERS = [-1, 0.5, 2]
NOISE = [2.0, 0.0, 2.0]


def _entrywise(
    title: str,
    forward: Callable[[Quantity], Quantity],
    derivative: str,
    local: Callable[[Paper, str, Quantity, Quantity], Quantity],
) -> Callable[[Paper, Entries, Entries], None]:
    """Return the calculation of a function y(x) with its slope, a formula of x and y."""

    def chain(paper: Paper, x: Entries, g: Entries) -> None:
        paper.heading(f"forward: {title}")
        y = {i: paper.write(entry("y", i), forward(x[i])) for i in x}
        paper.heading(f"local derivatives: {derivative}")
        slopes = {
            i: paper.write(slope(entry("y", i), entry("x", i)), local(paper, entry("", i), x[i], y[i])) for i in x
        }
        paper.heading("the chain: ∂L/∂x = g ∂y/∂x")
        for i in x:
            paper.gradient("x", i, g[i] * slopes[i])

    return chain


def _gelu_slope(paper: Paper, index: str, x: Quantity, _y: Quantity) -> Quantity:
    density = paper.write(f"φ{index}", exp(-(x.square() / 2)) / call("√", math.sqrt, 2 * symbol("π", math.pi)))
    return _normal(x) + x * density


def _silu_slope(paper: Paper, index: str, x: Quantity, _y: Quantity) -> Quantity:
    s = paper.write(f"s{index}", sigmoid(x))
    return s + x * s * (1 - s)


def _normal(x: Quantity) -> Quantity:
    return call("Φ", lambda number: (1 + math.erf(number / math.sqrt(2))) / 2, x)


def _fixed_dropout(input: Tensor) -> Tensor:
    return fixed_dropout(match_variable(torch.tensor(NOISE), input), input)


def _dropout(paper: Paper, x: Entries, g: Entries) -> None:
    m = {i: symbol(entry("m", i), NOISE[i[0]]) for i in x}
    paper.heading("forward: y = x ∘ m")
    for i in x:
        paper.write(entry("y", i), x[i] * m[i])
    paper.heading("local derivatives: ∂y/∂x = m")
    for i in x:
        paper.write(slope(entry("y", i), entry("x", i)), m[i])
    paper.heading("the chain: ∂L/∂x = g ∘ m")
    for i in x:
        paper.gradient("x", i, g[i] * m[i])


def _example(
    chain: Callable[..., None],
    constants: dict[str, float] | None = None,
    operation: Callable[..., Tensor] | None = None,
    note: str = "",
) -> Example:
    return Example((Variable("x", "input", NUMBERS),), [3, -2, 1], chain, constants or {}, operation, note=note)


ONE, A = quantity(1), symbol("a", 0.1)

ENTRYWISE = {
    "tanh": _example(
        _entrywise("y = tanh x", lambda x: call("tanh", math.tanh, x), "1 − y²", lambda _, _i, _x, y: 1 - y.square())
    ),
    "sigmoid": _example(_entrywise("y = σ(x) = 1 / (1 + e⁻ˣ)", sigmoid, "y (1 − y)", lambda _, _i, _x, y: y * (1 - y))),
    "relu": _example(
        _entrywise("y = max(x, 0)", lambda x: call("max", max, x, quantity(0)), "sign y", lambda _, _i, _x, y: sign(y))
    ),
    "leaky_relu": _example(
        _entrywise(
            "y = x where x > 0, else a x",
            lambda x: x if x.value > 0 else A * x,
            "1 where x > 0, else a",
            lambda _, _i, x, _y: ONE if x.value > 0 else A,
        ),
        {"negative_slope": 0.1},
        note="a = 0.1.",
    ),
    "threshold": _example(
        _entrywise(
            "y = x where x > θ, else v",
            lambda x: x if x.value > 1 else symbol("v", -3),
            "[x > θ]",
            lambda _, _i, x, _y: truth(f"{x.numbers} > 1", x.value > 1),
        ),
        {"threshold": 1, "value": -3},
        note="θ = 1 and v = −3.",
    ),
    "gelu": _example(
        _entrywise("y = x Φ(x)", lambda x: x * _normal(x), "Φ(x) + x φ(x), φ the density of Φ", _gelu_slope)
    ),
    "silu": _example(_entrywise("y = x σ(x)", lambda x: x * sigmoid(x), "s + x s (1 − s), s = σ(x)", _silu_slope)),
    "dropout": _example(
        _dropout,
        operation=_fixed_dropout,
        note="p is 1/2, and this time the middle entry is left out: m = [2, 0, 2].",
    ),
}
