"""Lookups, shapes and attention, in the definitions that the doctor knows."""

from functools import partial

import torch
from torch import Tensor

from .definition import Arguments, Definition, Draw, Operation

VOCABULARY = 5
ATTENTION = ("query", "key", "value")


def indices_and_table(draw: Draw) -> Arguments:
    """Draw indices, some of them twice, and a table of vectors."""
    return draw.classes(draw.n, VOCABULARY), draw(VOCABULARY, draw.size(3))


def table_and_indices(draw: Draw) -> Arguments:
    """Draw the same in the other order."""
    return indices_and_table(draw)[::-1]


def query_key_value(draw: Draw) -> Arguments:
    """Draw queries, keys and values."""
    n, d = min(draw.n, 5), draw.size(3)
    return draw(n, d), draw(n + 1, d), draw(n + 1, d)


def attention(query: Tensor, key: Tensor, value: Tensor, power: float) -> Tensor:
    """Return softmax(Q Kᵀ / d^power) V."""
    return torch.softmax(query @ key.mT / query.shape[-1] ** power, -1) @ value


EMBEDDING = (
    Definition("torch", "of (indices, weight)", lambda i, w: w[i], indices_and_table, ("indices", "table")),
    Definition("weight-first", "of (weight, indices)", lambda w, i: w[i], table_and_indices, ("table", "indices")),
)
FLATTEN = Definition(
    "usual", "all but the batch", lambda x: x.flatten(1), lambda draw: (draw(draw.n, 2, 3),), ("input",)
)
DOT_PRODUCT = (
    Definition("scaled", "scores divided by √d", partial(attention, power=0.5), query_key_value, ATTENTION),
    Definition("plain", "scores as they are", partial(attention, power=0.0), query_key_value, ATTENTION),
)

OPERATIONS = (
    Operation("embedding", ("embedding", "lookup"), EMBEDDING),
    Operation("flatten", ("flatten",), (FLATTEN,)),
    Operation("attention", ("attention", "scaleddotproductattention", "dotproductattention"), DOT_PRODUCT),
)
