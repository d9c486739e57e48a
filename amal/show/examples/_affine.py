"""Worked examples of the affine maps: linear, highway, convolutions, and embedding."""

import torch

from amal.show.quantity import Entries, Paper, Quantity, call, entry, quantity, sigmoid, sign, slope, total, truth

from ._example import Example, Variable


def _linear(paper: Paper, x: Entries, W: Entries, b: Entries, g: Entries) -> None:
    (n, features), outputs = x.shape, W.shape[0]
    rows, ins, outs = range(n), range(features), range(outputs)
    paper.heading("forward: y_ij = Σ_k x_ik W_jk + b_j")
    for i in rows:
        for j in outs:
            paper.write(entry("y", (i, j)), total([x[i, k] * W[j, k] for k in ins]) + b[j,])
    paper.heading("local derivatives, of y_00 (those of the other entries are alike)")
    for k in ins:
        paper.write(slope("y_00", entry("x", (0, k))), W[0, k])
    for k in ins:
        paper.write(slope("y_00", entry("W", (0, k))), x[0, k])
    paper.write(slope("y_00", "b_0"), quantity(1))
    paper.heading("the chain: ∂L/∂x_ik = Σ_j g_ij W_jk")
    for i in rows:
        for k in ins:
            paper.gradient("x", (i, k), total([g[i, j] * W[j, k] for j in outs]))
    paper.heading("∂L/∂W_jk = Σ_i g_ij x_ik")
    for j in outs:
        for k in ins:
            paper.gradient("W", (j, k), total([g[i, j] * x[i, k] for i in rows]))
    paper.heading("∂L/∂b_j = Σ_i g_ij, the sum over the batch")
    for j in outs:
        paper.gradient("b", (j,), total([g[i, j] for i in rows]))


def _highway(paper: Paper, x: Entries, W: Entries, b: Entries, V: Entries, c: Entries, g: Entries) -> None:
    units = range(x.shape[1])

    def affine(weight: Entries, bias: Entries, j: int) -> Quantity:
        return total([x[0, k] * weight[j, k] for k in units]) + bias[j,]

    def write(letter: str, j: int, quantity: Quantity) -> Quantity:
        return paper.write(entry(letter, (0, j)), quantity)

    paper.heading("forward: A = x Wᵀ + b, H = relu(A), S = x Vᵀ + c, Z = σ(S), y = H Z + x (1 − Z)")
    A = [write("A", j, affine(W, b, j)) for j in units]
    H = [write("H", j, call("max", max, quantity(0), A[j])) for j in units]
    S = [write("S", j, affine(V, c, j)) for j in units]
    Z = [write("Z", j, sigmoid(S[j])) for j in units]
    for j in units:
        write("y", j, H[j] * Z[j] + x[0, j] * (1 - Z[j]))
    paper.heading("local derivatives: three roads from x to y, the carry, H and Z")
    for j in units:
        y = entry("y", (0, j))
        paper.write(slope(y, f"{entry('x', (0, j))} by the carry"), 1 - Z[j])
        paper.write(slope(y, entry("A", (0, j))), Z[j] * sign(H[j]))
        paper.write(slope(y, entry("S", (0, j))), (H[j] - x[0, j]) * Z[j] * (1 - Z[j]))
    paper.heading("the chain: C = g (1 − Z), α = g Z f'(A), ζ = C Z (H − x)")
    C = [write("C", j, g[0, j] * (1 - Z[j])) for j in units]
    alpha = [write("α", j, g[0, j] * Z[j] * sign(H[j])) for j in units]
    zeta = [write("ζ", j, C[j] * Z[j] * (H[j] - x[0, j])) for j in units]
    paper.heading("∂L/∂x = C + α W + ζ V")
    for k in units:
        terms = [alpha[j] * W[j, k] for j in units] + [zeta[j] * V[j, k] for j in units]
        paper.gradient("x", (0, k), C[k] + total(terms))
    for letter, bias, road in (("W", "b", alpha), ("V", "c", zeta)):
        paper.heading(f"∂L/∂{letter} = {'αζ'[road is zeta]}ᵀ x, ∂L/∂{bias} = Σ_i {'αζ'[road is zeta]}_i")
        for j in units:
            for k in units:
                paper.gradient(letter, (j, k), road[j] * x[0, k])
        for j in units:
            paper.gradient(bias, (j,), road[j])


def _convolution(paper: Paper, x: Entries, W: Entries, b: Entries, g: Entries) -> None:
    """One image of one channel, one filter, stride 1, no padding: y_t = b + Σ_a W_a x_{t+a} on any number of axes."""
    entries = {t: {a: (0, 0, *map(sum, zip(t[2:], a[2:], strict=True))) for a in W} for t in g}
    t0 = next(iter(g))
    paper.heading("forward: the kernel slides, y_t = b + Σ_a W_a x_{t+a}")
    for t, window in entries.items():
        paper.write(entry("y", t), total([W[a] * x[i] for a, i in window.items()]) + b[0,])
    paper.heading("local derivatives, of the first place (elsewhere the window has moved)")
    for a, i in entries[t0].items():
        paper.write(slope(entry("y", t0), entry("x", i)), W[a])
    for a, i in entries[t0].items():
        paper.write(slope(entry("y", t0), entry("W", a)), x[i])
    paper.write(slope(entry("y", t0), "b_0"), quantity(1))
    paper.heading("the chain: ∂L/∂x_i = Σ over the t and a that meet in i of g_t W_a, a transposed convolution")
    for i in x:
        paper.gradient(
            "x", i, total([g[t] * W[a] for t, window in entries.items() for a, j in window.items() if j == i])
        )
    paper.heading("∂L/∂W_a = Σ_t g_t x_{t+a}: each weight is used at every place, and the places add up")
    for a in W:
        paper.gradient("W", a, total([g[t] * x[window[a]] for t, window in entries.items()]))
    paper.heading("∂L/∂b = Σ_t g_t")
    paper.gradient("b", (0,), total(list(g.values())))


TOKENS = [2, 0, 2]


def _embedding(paper: Paper, W: Entries, g: Entries) -> None:
    rows, columns = W.shape
    paper.heading("forward: y_n = W_{i_n}, a row for each index; row 2 is put twice, row 1 never")
    for n, token in enumerate(TOKENS):
        for d in range(columns):
            paper.write(entry("y", (n, d)), W[token, d])
    paper.heading("local derivatives: ∂y_nd/∂W_vd = [i_n = v], for d = 0")
    for n, token in enumerate(TOKENS):
        for v in range(rows):
            paper.write(slope(entry("y", (n, 0)), entry("W", (v, 0))), truth(f"{token} = {v}", token == v))
    paper.heading("the chain: ∂L/∂W_v = Σ of g_n over the places n where row v was put")
    for v in range(rows):
        for d in range(columns):
            paper.gradient("W", (v, d), total([g[n, d] for n, token in enumerate(TOKENS) if token == v]))


AFFINE = {
    "linear": Example(
        (
            Variable("x", "input", [[1, 2, 0], [-1, 1, 3]]),
            Variable("W", "weight", [[2, -1, 1], [0, 3, -2]]),
            Variable("b", "bias", [0.5, -1]),
        ),
        [[1, -2], [3, 1]],
        _linear,
    ),
    "highway": Example(
        (
            Variable("x", "input", [[1, -2]]),
            Variable("W", "transform_weight", [[1, -1], [2, 1]]),
            Variable("b", "transform_bias", [0.5, -1]),
            Variable("V", "gate_weight", [[0, 1], [1, 0]]),
            Variable("c", "gate_bias", [1, 0.5]),
        ),
        [[2, -1]],
        _highway,
    ),
    "conv1d": Example(
        (
            Variable("x", "input", [[[1, 3, -1, 2]]]),
            Variable("W", "weight", [[[2, -1]]]),
            Variable("b", "bias", [0.5]),
        ),
        [[[1, -2, 3]]],
        _convolution,
        note="One signal, one channel, one filter: n = o = c = 0. The weight slides over three places.",
    ),
    "conv2d": Example(
        (
            Variable("x", "input", [[[[1, 3, 0], [-1, 2, 1], [2, 0, -2]]]]),
            Variable("W", "weight", [[[[2, -1], [1, 3]]]]),
            Variable("b", "bias", [0.5]),
        ),
        [[[[1, -2], [3, 1]]]],
        _convolution,
        note="One image, one channel, one filter: n = o = c = 0. Write t for the place tu and a for the entry ab.",
    ),
    "embedding": Example(
        (Variable("W", "weight", [[1, 2], [3, -1], [0.5, 4]]),),
        [[1, -2], [3, 1], [2, 5]],
        _embedding,
        {"input": torch.tensor(TOKENS)},
        note=f"The indices i are {TOKENS}.",
    ),
}
