"""Lookups, shapes and attention, in the definitions that the doctor knows."""

from functools import partial

import torch
from torch import Tensor

from .definition import Arguments, Definition, Draw, Operation

VOCABULARY = 5
TABLE = ("indices", "table")
ATTENTION = ("query", "key", "value")


def lookup(draw: Draw, indices_first: bool) -> Arguments:
    """Draw indices, some of them twice, and a table of vectors."""
    indices, weight = draw.classes(draw.n, VOCABULARY), draw(VOCABULARY, draw.size(3))
    return (indices, weight) if indices_first else (weight, indices)


def three(draw: Draw) -> Arguments:
    """Draw queries, keys and values."""
    n, d = min(draw.n, 5), draw.size(3)
    return draw(n, d), draw(n + 1, d), draw(n + 1, d)


def attention(query: Tensor, key: Tensor, value: Tensor, scaled: bool) -> Tensor:
    """Return softmax(Q Kᵀ) V, the scores divided by √d or not."""
    scores = query @ key.mT
    return torch.softmax(scores / query.shape[-1] ** 0.5 if scaled else scores, -1) @ value


OPERATIONS = (
    Operation(
        "embedding",
        ("embedding", "lookup"),
        (
            Definition(
                "torch", "of (indices, weight)", lambda i, w: w[i], partial(lookup, indices_first=True), roles=TABLE
            ),
            Definition(
                "weight-first",
                "of (weight, indices)",
                lambda w, i: w[i],
                partial(lookup, indices_first=False),
                roles=TABLE[::-1],
            ),
        ),
    ),
    Operation(
        "flatten",
        ("flatten",),
        (
            Definition(
                "usual",
                "all but the batch",
                lambda x: x.flatten(1),
                lambda draw: (draw(draw.n, 2, 3),),
                roles=("input",),
            ),
        ),
    ),
    Operation(
        "attention",
        ("attention", "scaleddotproductattention", "dotproductattention"),
        (
            Definition("scaled", "scores divided by √d", partial(attention, scaled=True), three, roles=ATTENTION),
            Definition("plain", "scores as they are", partial(attention, scaled=False), three, roles=ATTENTION),
        ),
    ),
)
