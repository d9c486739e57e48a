"""The shapes of attention: what fits, how leading dimensions become one, and how the work is cut into tiles."""

from collections.abc import Iterator
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor

from ._public import at_least_float32, cast, check_device, check_number, check_tensors

OP = "scaled_dot_product_attention"
TILE = 2**19
"""About how many entries of P backward computes at a time, unless that makes more than 16 tiles."""


def align_heads(
    query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Return q (N, L, E), k (N, S, E), v (N, S, F), broadcast and in float32 at least, and the dimensions that N is."""
    if enable_gqa:
        heads = query.shape[-3]
        key, value = (x.repeat_interleave(heads // x.shape[-3], -3) for x in (key, value))
    lead = _broadcast(query.shape[:-2], key.shape[:-2], value.shape[:-2]) or ()
    n = prod(lead)

    def align(x: Tensor) -> Tensor:
        size = x.shape[-2:]
        x = at_least_float32(x) if x.shape[:-2] == lead else at_least_float32(x).expand(*lead, *size)
        return x.reshape(n, *size)

    return (align(query), align(key), align(value)), lead


def score_matrix(matrix: Tensor | None, lead: tuple[int, ...], q: Tensor, k: Tensor) -> Any:
    """Return a mask or noise as (N, L, S), or as (1, L, S) where all heads share it."""
    if matrix is None:
        return None
    size = (q.shape[1], k.shape[1])
    if prod(matrix.shape[:-2]) == 1:
        return matrix.reshape(1, *matrix.shape[-2:]).expand(1, *size)
    return matrix.expand(*lead, *size).reshape(len(q), *size)


def unbroadcast(grad: Tensor, variable: Tensor, lead: tuple[int, ...]) -> Tensor:
    """Bring a gradient (N, ...) to the shape of its variable: what was broadcast, or repeated for heads, adds up."""
    grad = cast(grad.view(*lead, *grad.shape[1:]), variable.dtype)
    if grad.shape == variable.shape:
        return grad
    if variable.dim() > 2 and 1 < variable.shape[-3] < lead[-1]:
        heads, queries_per_head = variable.shape[-3], lead[-1] // variable.shape[-3]
        grad = grad.view(*lead[:-1], heads, queries_per_head, *grad.shape[-2:]).sum(-3)
    added = grad.dim() - variable.dim()
    dimensions = [i for i in range(grad.dim()) if i < added or variable.shape[i - added] < grad.shape[i]]
    return (grad.sum(dimensions, keepdim=True) if dimensions else grad).reshape(variable.shape)


def tile_bounds(q: Tensor, k: Tensor, is_causal: bool) -> Iterator[tuple[tuple[int, int], ...]]:
    """Cut (N, L, S) into heads, rows and the keys that these rows see: where each begins, and how many."""
    n, length, s = q.shape[0], q.shape[1], k.shape[1]
    rows = max(64, ceil(length / 8)) if is_causal or length * s > TILE else max(length, 1)
    heads = max(1, TILE // (rows * max(s, 1)), ceil(n * ceil(length / rows) / 16))
    for h in range(0, n, heads):
        for row in range(0, length, rows):
            end = min(row + rows, length)
            yield (h, min(heads, n - h)), (row, end - row), (0, min(end, s) if is_causal else s)


def tile(x: Any, heads: tuple[int, int], rows: tuple[int, int]) -> Any:
    """Cut a tile out of (N, L, *); a matrix (1, L, S) serves all heads."""
    return None if x is None else (x.narrow(0, *heads) if len(x) > 1 else x).narrow(1, *rows)


def check(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
) -> tuple[int, ...]:
    """Raise, in words, what scaled_dot_product_attention says that it raises; return the shape (*, L, S) of scores."""
    check_tensors(OP, query=query, key=key, value=value)
    for name, number in (("dropout_p", dropout_p), *([] if scale is None else [("scale", scale)])):
        check_number(OP, name, number)
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"{OP}: dropout_p is {dropout_p}, expected a probability between 0 and 1")
    q, k, v = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    for name, shape in (("query", q), ("key", k), ("value", v)):
        if len(shape) < (3 if enable_gqa else 2):
            expected = "(*, heads, length, features) with enable_gqa" if enable_gqa else "(*, length, features)"
            raise ValueError(f"{OP}: {name} is {shape}, expected {expected}")
    if q[-1] != k[-1]:
        raise ValueError(f"{OP}: query is {q} but key {k}, expected equal last dimensions")
    if k[-2] != v[-2]:
        raise ValueError(f"{OP}: key is {k} but value {v}, expected equally many keys and values")
    heads = q[-3:-2] if enable_gqa else ()
    if enable_gqa and any(shape[-3] == 0 or q[-3] % shape[-3] for shape in (k, v)):
        raise ValueError(
            f"{OP}: query is {q}, key {k} and value {v}, expected numbers of heads that divide the query's"
        )
    cut = -3 if enable_gqa else -2
    lead = _broadcast(q[:cut], k[:cut])
    if lead is None or _broadcast(lead, v[:cut]) is None:
        raise ValueError(f"{OP}: query is {q}, key {k} and value {v}, expected leading dimensions that broadcast")
    scores = (*lead, *heads, q[-2], k[-2])
    if attn_mask is not None:
        _check_mask(query, attn_mask, is_causal, scores)
    return scores


def _check_mask(query: Tensor, attn_mask: Tensor, is_causal: bool, scores: tuple[int, ...]) -> None:
    if not isinstance(attn_mask, Tensor):
        raise TypeError(f"{OP}: attn_mask is a {type(attn_mask).__name__}, expected a tensor")
    if is_causal:
        raise ValueError(f"{OP}: attn_mask is given and is_causal is True, expected one of them at most")
    if attn_mask.dtype not in (torch.bool, torch.float32, query.dtype):
        dtypes = f"query is {query.dtype} but attn_mask {attn_mask.dtype}"
        raise TypeError(f"{OP}: {dtypes}, expected booleans, float32 or the dtype of query")
    check_device(OP, "query", query, "attn_mask", attn_mask)
    mask = tuple(attn_mask.shape)
    if len(mask) < 2 or _broadcast(mask, scores) != scores:
        raise ValueError(f"{OP}: attn_mask is {mask}, expected what broadcasts to {scores}")


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    try:
        return tuple(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None
