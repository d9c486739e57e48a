"""Worked examples of operations on whole rows: softmax, normalisation, attention."""

from collections.abc import Callable, Sequence

from amal.show.quantity import (
    Entries,
    Index,
    Paper,
    Quantity,
    entry,
    exp,
    log,
    mean,
    quantity,
    slope,
    sqrt,
    symbol,
    total,
    truth,
)

from ._example import Example, Variable

LOGITS = [1, 0, 2]


def _softmax(paper: Paper, x: Entries, g: Entries) -> None:
    classes = range(len(x))
    paper.heading("forward: y_j = e^(x_j) / Σ_k e^(x_k)")
    Z = paper.write("Z", total([exp(x[k,]) for k in classes]))
    y = [paper.write(f"y_{j}", exp(x[j,]) / Z) for j in classes]
    paper.heading("local derivatives: ∂y_j/∂x_k = y_j ([j = k] − y_k), a symmetric matrix")
    local = {
        (j, k): paper.write(slope(f"y_{j}", f"x_{k}"), y[j] * (truth(f"{j} = {k}", j == k) - y[k]))
        for j in classes
        for k in classes
    }
    paper.heading("the chain: each x_k acts on the loss through all y_j, ∂L/∂x_k = Σ_j g_j ∂y_j/∂x_k")
    for k in classes:
        paper.gradient("x", (k,), total([g[j,] * local[j, k] for j in classes]))
    paper.heading("the same, shorter: ∂L/∂x_k = y_k (g_k − s), s = Σ_j g_j y_j")
    s = paper.write("s", total([g[j,] * y[j] for j in classes]))
    for k in classes:
        paper.gradient("x", (k,), y[k] * (g[k,] - s))


def _log_softmax(paper: Paper, x: Entries, g: Entries) -> None:
    classes = range(len(x))
    paper.heading("forward: y_j = x_j − log Σ_k e^(x_k)")
    Z = paper.write("Z", total([exp(x[k,]) for k in classes]))
    y = [paper.write(f"y_{j}", x[j,] - log(Z)) for j in classes]
    p = [paper.write(f"p_{k}", exp(y[k])) for k in classes]
    paper.heading("local derivatives: ∂y_j/∂x_k = [j = k] − p_k")
    for j in classes:
        for k in classes:
            paper.write(slope(f"y_{j}", f"x_{k}"), truth(f"{j} = {k}", j == k) - p[k])
    paper.heading("the chain: ∂L/∂x_k = g_k − p_k Σ_j g_j")
    G = paper.write("Σg", total([g[j,] for j in classes]))
    for k in classes:
        paper.gradient("x", (k,), g[k,] - p[k] * G)


def _normalise(
    paper: Paper, x: Sequence[Quantity], names: Sequence[str], epsilon: float
) -> tuple[Quantity, list[Quantity]]:
    """Write μ, v, r and x̂; return r and x̂."""
    mu = paper.write("μ", mean(list(x)))
    v = paper.write("v", mean([(entry - mu).square() for entry in x]))
    r = paper.write("r", 1 / sqrt(v + symbol("ε", epsilon)))
    return r, [paper.write(f"x̂_{name}", (entry - mu) * r) for entry, name in zip(x, names, strict=True)]


def _local_slopes(paper: Paper, r: Quantity, normal: list[Quantity], names: Sequence[str]) -> None:
    m = len(normal)
    for name, hat in zip(names, normal, strict=True):
        same = truth(f"{name} = {names[0]}", name == names[0])
        paper.write(slope(f"x̂_{names[0]}", f"x_{name}"), r * (same - quantity(1) / m - normal[0] * hat / m))


def _batch_norm(paper: Paper, x: Entries, w: Entries, b: Entries, g: Entries) -> None:
    indices, names = list(x), [entry("", index)[1:] for index in x]
    paper.heading("forward: μ = mean x, v = mean (x − μ)², r = 1 / √(v + ε), x̂ = (x − μ) r, y = x̂ w + b")
    r, normal = _normalise(paper, list(x.values()), names, 1.25)
    for name, hat in zip(names, normal, strict=True):
        paper.write(f"y_{name}", hat * w[0,] + b[0,])
    paper.heading(
        "local derivatives: ∂x̂_i/∂x_k = r ([i = k] − 1/m − x̂_i x̂_k / m), for the first i: x_k moves all of them"
    )
    _local_slopes(paper, r, normal, names)
    paper.heading("the chain: ∂L/∂b = Σ g, ∂L/∂w = Σ g x̂")
    grad_bias, grad_weight = (
        total(list(g.values())),
        total([g[i] * hat for i, hat in zip(indices, normal, strict=True)]),
    )
    paper.gradient("b", (0,), grad_bias)
    paper.gradient("w", (0,), grad_weight)
    B, V = symbol("∂L/∂b_0", grad_bias.value), symbol("∂L/∂w_0", grad_weight.value)
    paper.heading("∂L/∂x = w r (g − ∂L/∂b / m − x̂ ∂L/∂w / m)")
    for index, hat in zip(indices, normal, strict=True):
        paper.gradient("x", index, w[0,] * r * (g[index] - B / len(x) - hat * V / len(x)))


def _layer_norm(paper: Paper, x: Entries, w: Entries, b: Entries, g: Entries) -> None:
    places = range(x.shape[1])
    names = [entry("", index)[1:] for index in x]
    paper.heading("forward: μ = mean x, v = mean (x − μ)², r = 1 / √(v + ε), x̂ = (x − μ) r, y = x̂ w + b")
    r, normal = _normalise(paper, list(x.values()), names, 1.25)
    for i in places:
        paper.write(f"y_{names[i]}", normal[i] * w[i,] + b[i,])
    paper.heading(
        "local derivatives: ∂x̂_i/∂x_k = r ([i = k] − 1/d − x̂_i x̂_k / d), for the first i: x_k moves all of them"
    )
    _local_slopes(paper, r, normal, names)
    paper.heading("the chain: ∂L/∂b = Σ_n g, ∂L/∂w = Σ_n g x̂; there is one row, n = 0")
    for i in places:
        paper.gradient("b", (i,), g[0, i])
    for i in places:
        paper.gradient("w", (i,), g[0, i] * normal[i])
    paper.heading("h = g w, ∂L/∂x = r (h − mean h − x̂ mean (x̂ h))")
    h = [paper.write(f"h_{names[i]}", g[0, i] * w[i,]) for i in places]
    mean_h = paper.write("mean h", mean(h))
    mean_xh = paper.write("mean x̂h", mean([normal[i] * h[i] for i in places]))
    for i in places:
        paper.gradient("x", (0, i), r * (h[i] - mean_h - normal[i] * mean_xh))


def _attention(paper: Paper, Q: Entries, K: Entries, V: Entries, g: Entries) -> None:
    queries, features = (range(size) for size in Q.shape)
    keys, values = (range(size) for size in V.shape)
    sigma = symbol("σ", 0.5)

    def table(letter: str, formula: Callable[[int, int], Quantity]) -> dict[Index, Quantity]:
        return {(i, j): paper.write(entry(letter, (i, j)), formula(i, j)) for i in queries for j in keys}

    paper.heading("forward: S = σ Q Kᵀ")
    S = table("S", lambda i, j: sigma * total([Q[i, e] * K[j, e] for e in features]))
    paper.heading("P = softmax S over the keys")
    Z = [paper.write(f"Z_{i}", total([exp(S[i, j]) for j in keys])) for i in queries]
    P = table("P", lambda i, j: exp(S[i, j]) / Z[i])
    paper.heading("y = P V")
    for i in queries:
        for f in values:
            paper.write(entry("y", (i, f)), total([P[i, j] * V[j, f] for j in keys]))
    paper.heading("local derivatives, link by link: dP = G Vᵀ, dS = P ∘ (dP − s), s = Σ P ∘ dP over a row")
    dP = table("dP", lambda i, j: total([g[i, f] * V[j, f] for f in values]))
    s = [paper.write(f"s_{i}", total([P[i, j] * dP[i, j] for j in keys])) for i in queries]
    dS = table("dS", lambda i, j: P[i, j] * (dP[i, j] - s[i]))
    paper.heading("the chain: ∂L/∂Q = σ dS K")
    for i in queries:
        for e in features:
            paper.gradient("Q", (i, e), sigma * total([dS[i, j] * K[j, e] for j in keys]))
    paper.heading("∂L/∂K = σ dSᵀ Q")
    for j in keys:
        for e in features:
            paper.gradient("K", (j, e), sigma * total([dS[i, j] * Q[i, e] for i in queries]))
    paper.heading("∂L/∂V = Pᵀ G")
    for j in keys:
        for f in values:
            paper.gradient("V", (j, f), total([P[i, j] * g[i, f] for i in queries]))


NICE = "ε = 1.25, so that v + ε = 6.25 has a root that one can write."
ROWS = {
    "softmax": Example((Variable("x", "input", LOGITS),), [3, -2, 1], _softmax, {"dim": 0}),
    "log_softmax": Example((Variable("x", "input", LOGITS),), [3, -2, 1], _log_softmax, {"dim": 0}),
    "batch_norm": Example(
        (
            Variable("x", "input", [[1], [3], [7], [5]]),
            Variable("w", "weight", [2]),
            Variable("b", "bias", [-1]),
        ),
        [[1], [-2], [3], [1]],
        _batch_norm,
        {"running_mean": None, "running_var": None, "training": True, "eps": 1.25},
        note=f"Four examples, one channel. {NICE}",
    ),
    "layer_norm": Example(
        (
            Variable("x", "input", [[1, 3, 7, 5]]),
            Variable("w", "weight", [2, 1, -1, 3]),
            Variable("b", "bias", [0, 1, 0.5, -1]),
        ),
        [[1, -2, 3, 1]],
        _layer_norm,
        {"normalized_shape": (4,), "eps": 1.25},
        note=f"One row of four. {NICE}",
    ),
    "scaled_dot_product_attention": Example(
        (
            Variable("Q", "query", [[1, 2], [2, -1]]),
            Variable("K", "key", [[1, 0], [2, -1]]),
            Variable("V", "value", [[2], [-1]]),
        ),
        [[3], [1]],
        _attention,
        {"scale": 0.5},
        note="Two queries, two keys, values of one number; σ = 0.5, M = 0 and N = 1. y is O, and g is G.",
    ),
}
