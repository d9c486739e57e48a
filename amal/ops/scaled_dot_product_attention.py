r"""Attention: each query gets the mean of the values, weighted by how well their keys fit it.

    S = σ Q Kᵀ + M        P = softmax S over the keys        O = (P ∘ N) V

Shapes: Q (*, L, E), K (*, S, E), V (*, S, F), S, P, M and N (*, L, S), O (*, L, F). σ is 1/√E unless given; M is the
mask: 0, or −∞ where a query must not see a key, or any numbers; N is the noise of dropout, 1 without.

Let G = ∂L/∂O. By the rules of the matrix product and of softmax, row by row of S:

    ∂L/∂V = (P ∘ N)ᵀ G                dP = (G Vᵀ) ∘ N
    ∂L/∂M = dS = P ∘ (dP − Σ P ∘ dP)                                 the sum is over a row
    ∂L/∂Q = σ dS K                    ∂L/∂K = σ dSᵀ Q
    Ȯ = (Ṗ ∘ N) V + (P ∘ N) V̇         Ṗ = P ∘ (Ṡ − Σ P ∘ Ṡ)         Ṡ = σ (Q̇ Kᵀ + Q K̇ᵀ) + Ṁ

P is not kept but computed again, a tile at a time that fits the cache: some heads, some of their queries, and with a
causal mask only the keys up to the last of these queries.

Source: Vaswani et al., Attention Is All You Need, 2017, 3.2.1; Dao et al., FlashAttention, 2022, for the tiles.
"""

from math import copysign, inf, sqrt
from typing import Any

import torch
from torch import Tensor

from amal import _torch

from ._attention import align_heads, check, score_matrix, tile, tile_bounds, unbroadcast
from ._function import Function
from ._public import at_least_float32, autocast, multiply, public_op
from .dropout import draw_noise


class ScaledDotProductAttentionFunction(Function):
    """O for query, key, value, mask or None, noise or None, whether causal, σ, and whether heads share keys."""

    generate_vmap_rule = False

    @staticmethod
    def forward(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        noise: Tensor | None,
        is_causal: bool,
        scale: float,
        enable_gqa: bool,
    ) -> Tensor:
        if noise is None:
            output = torch.nn.functional.scaled_dot_product_attention(
                query, key, value, mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
            )
            return output.clone() if _torch.is_view(output) else output  # a view could not be modified in place
        (q, k, v), lead = align_heads(query, key, value, enable_gqa)
        root = sqrt(abs(scale))  # on both sides, as torch has it: neither overflows
        p = _probabilities(q * copysign(root, scale), k * root, score_matrix(mask, lead, q, k), is_causal)
        return (
            ((p * score_matrix(noise, lead, q, k)) @ v).view(*lead, q.shape[1], v.shape[2]).to(query.dtype, copy=True)
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.is_causal, ctx.scale, ctx.enable_gqa = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, noise = ctx.saved_tensors
        (q, k, v), lead = align_heads(query, key, value, ctx.enable_gqa)
        m, n = score_matrix(mask, lead, q, k), score_matrix(noise, lead, q, k)
        q, g = multiply(q, ctx.scale), at_least_float32(grad_output).reshape(*q.shape[:2], v.shape[2])
        tiles = list(tile_bounds(q, k, ctx.is_causal))
        if len(tiles) == 1:
            grad_q, grad_k, grad_v, grad_m = _pull_back(q, k, v, m, n, g, ctx.is_causal)
        else:
            grad_q, grad_k, grad_v = (g.new_zeros(tensor.shape) for tensor in (q, k, v))
            grad_m = g.new_zeros(*q.shape[:2], k.shape[1] if ctx.needs_input_grad[3] else 0)
            for heads, rows, keys in tiles:
                q_, m_, n_, g_ = (tile(x, heads, rows) for x in (q, m, n, g))
                k_, v_ = tile(k, heads, keys), tile(v, heads, keys)
                n_ = n_ if n is None else n_.narrow(2, *keys)
                tile_q, tile_k, tile_v, tile_m = _pull_back(q_, k_, v_, m_, n_, g_, ctx.is_causal, rows[0])
                tile(grad_q, heads, rows).copy_(tile_q)
                tile(grad_k, heads, keys).add_(tile_k)
                tile(grad_v, heads, keys).add_(tile_v)
                if ctx.needs_input_grad[3]:
                    tile(grad_m, heads, rows).copy_(tile_m)
        pairs: Any = (multiply(grad_q, ctx.scale), query), (grad_k, key), (grad_v, value), (grad_m, mask)
        required = zip(pairs, ctx.needs_input_grad, strict=False)
        grads: list[Tensor | None] = [
            unbroadcast(x, variable, lead) if need else None for (x, variable), need in required
        ]
        return (*grads, None, None, None, None)

    @staticmethod
    def jvp(ctx: Any, *dots: Any) -> Tensor:
        query, key, value, mask, noise = ctx.saved_tensors
        (q, k, v), lead = align_heads(query, key, value, ctx.enable_gqa)
        tangents = [
            torch.zeros_like(x) if dot is None else dot for x, dot in zip((query, key, value), dots, strict=False)
        ]
        (q_dot, k_dot, v_dot), lead = align_heads(tangents[0], tangents[1], tangents[2], ctx.enable_gqa)
        p = _probabilities(q * ctx.scale, k, score_matrix(mask, lead, q, k), ctx.is_causal)
        s_dot = (q_dot @ k.mT + q @ k_dot.mT) * ctx.scale
        if dots[3] is not None:  # the mask's
            s_dot = s_dot + score_matrix(dots[3], lead, q, k)
        p_dot = p * (s_dot - (p * s_dot).sum(-1, keepdim=True))
        if noise is not None:
            n = score_matrix(noise, lead, q, k)
            p, p_dot = p * n, p_dot * n
        return (p_dot @ v + p @ v_dot).view(*lead, q.shape[1], v.shape[2]).to(query.dtype)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """What is mapped over is one more leading dimension, which query, key or value must have."""
        if all(dim is None for dim in in_dims[:3]):  # a mask or noise alone is mapped over
            inputs = (inputs[0].expand(info.batch_size, *inputs[0].shape), *inputs[1:])
            in_dims = (0, *in_dims[1:])
        ranks = [x.dim() - (dim is not None) for x, dim in zip(inputs, in_dims, strict=True) if isinstance(x, Tensor)]

        def in_front(x: Any, dim: int | None) -> Any:
            if dim is None:
                return x
            x = x.movedim(dim, 0)
            return x.reshape(x.shape[:1] + (1,) * (max(ranks) + 1 - x.dim()) + x.shape[1:])

        arguments = (in_front(x, dim) for x, dim in zip(inputs, in_dims, strict=True))
        return ScaledDotProductAttentionFunction.apply(*arguments), 0


@public_op
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Give each query the weighted mean of the values, as torch.nn.functional.scaled_dot_product_attention does.

    Args:
        query: (*, L, E), floating point.
        key: (*, S, E).
        value: (*, S, F). The leading dimensions of the three broadcast.
        attn_mask: broadcasts to (*, L, S); booleans, True where a query may see a key, or numbers to add to the scores.
        dropout_p: probability of a weight to become 0; always applied.
        is_causal: whether query i may only see keys 0 to i; excludes attn_mask.
        scale: σ; None for 1/√E.
        enable_gqa: whether each head (dimension −3) of key and value serves several heads of query.

    Returns:
        (*, L, F); 0 for a query that may see no key.

    Raises:
        ValueError: the shapes do not fit, the tensors lie on different devices, both attn_mask and is_causal, or
            dropout_p is no probability.
        TypeError: not a tensor, not floating point, or different dtypes (a mask may be boolean or float32).
    """
    query, key, value, attn_mask = autocast(query, key, value, attn_mask)  # type: ignore[assignment]
    scores = check(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    if scale is None:
        scale = 1 / sqrt(query.shape[-1]) if query.shape[-1] else inf
    noise = draw_noise(query.new_empty(scores), dropout_p) if dropout_p > 0 else None
    return ScaledDotProductAttentionFunction.apply(query, key, value, attn_mask, noise, is_causal, scale, enable_gqa)


def _probabilities(q: Tensor, k: Tensor, mask: Tensor | None, is_causal: bool, first: int = 0) -> Tensor:
    """P of some rows, the `first` of which is given, with σ Q for q; 0 in a row that sees nothing."""
    if is_causal:
        size = (q.shape[1], k.shape[1])
        hidden = torch.full(size, -inf, dtype=q.dtype, device=q.device).triu_(first + 1)
        return torch.softmax(torch.baddbmm(hidden, q, k.mT), -1)
    scores = torch.bmm(q, k.mT)
    if mask is None:
        return torch.softmax(scores, -1)
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=scores.dtype).masked_fill_(~mask, -inf)
    return _torch.safe_softmax(scores + mask)


def _pull_back(
    q: Tensor, k: Tensor, v: Tensor, m: Tensor | None, n: Tensor | None, g: Tensor, is_causal: bool, first: int = 0
) -> tuple[Tensor, ...]:
    """∂L/∂Q (but for σ), ∂L/∂K, ∂L/∂V and ∂L/∂M of a tile, with σ Q for q."""
    p = _probabilities(q, k, m, is_causal, first)
    grad_p = torch.bmm(g, v.mT) if n is None else torch.bmm(g, v.mT) * n
    product = p * grad_p
    grad_s = torch.addcmul(product, p, product.sum(-1, keepdim=True), value=-1)
    weights = p if n is None else p * n
    return torch.bmm(grad_s, k), torch.bmm(grad_s.mT, q), torch.bmm(weights.mT, g), grad_s
