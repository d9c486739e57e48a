r"""Embedding: row i of a table for each index i.

    y_n = W_{i_n}                 y = O W,   O_nv = 1 where i_n = v, else 0

Shapes: i (n), W (v, d), y (n, d). Any dimensions of an input count as n indices.

It is a linear layer whose input O is one-hot, and never written down. Let g = ∂L/∂y. Each row of W receives the
gradients of all places where it was put:

    ∂L/∂W_v = Σ_{n: i_n = v} g_n          ∂L/∂W = Oᵀ g          ẏ_n = Ẇ_{i_n}

Three options change the gradient on purpose, and are no derivative of y any more: the row of padding_idx gets none;
scale_grad_by_freq divides each row by how often it was put; sparse stores only the rows g_n and their indices.

Source: Bengio et al., A Neural Probabilistic Language Model, 2003, section 2.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import check_device, check_number, public_op


class EmbeddingFunction(Function):
    """y = W[i] for input (*) of indices and weight (v, d); padding_idx counts from 0, or is None."""

    @staticmethod
    def forward(
        input: Tensor, weight: Tensor, padding_idx: int | None, scale_grad_by_freq: bool, sparse: bool
    ) -> Tensor:
        return torch.embedding(weight, input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, ctx.padding_idx, ctx.scale_grad_by_freq, ctx.sparse = inputs
        ctx.table = weight.shape
        ctx.save_for_backward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        (input,) = ctx.saved_tensors
        index, rows = input.reshape(-1), grad_output.reshape(input.numel(), ctx.table[1])
        if ctx.scale_grad_by_freq:
            count = rows.new_zeros(ctx.table[0]).index_add_(0, index, rows.new_ones(index.shape))
            rows = rows / count.index_select(0, index).unsqueeze(1)
        if ctx.sparse:
            return None, _sparse(index, rows, ctx.padding_idx, ctx.table), None, None, None
        v, d = ctx.table
        if ctx.padding_idx is None:
            return None, rows.new_zeros(v, d).index_add_(0, index, rows), None, None, None
        index = index.masked_fill(index == ctx.padding_idx, v)  # into a row below the table
        grad_weight = rows.new_zeros(v + 1, d).index_add_(0, index, rows).narrow(0, 0, v)
        return None, grad_weight, None, None, None

    @staticmethod
    def jvp(ctx: Any, _: None, weight_dot: Tensor, *options: None) -> Tensor:
        (input,) = ctx.saved_tensors
        return torch.embedding(weight_dot, input)


def _sparse(index: Tensor, rows: Tensor, padding_idx: int | None, table: torch.Size) -> Tensor:
    if padding_idx is not None:
        is_counted = index != padding_idx
        index, rows = index[is_counted], rows[is_counted]
    return torch.sparse_coo_tensor(index.unsqueeze(0), rows, table, check_invariants=False)


@public_op
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Look up rows of a table, as torch.nn.functional.embedding does.

    Args:
        input: (*), indices from 0 to v − 1, int64 or int32.
        weight: (v, d), the table.
        padding_idx: index whose row gets no gradient; a negative one counts from the end.
        max_norm: rows looked up that are longer are first shortened to this norm, in `weight` itself.
        norm_type: p of the p-norm that max_norm bounds.
        scale_grad_by_freq: divide the gradient of a row by how often it occurs in `input`.
        sparse: make the gradient of `weight` a sparse tensor.

    Returns:
        (*, d).

    Raises:
        IndexError: an index is out of range (on a CUDA device the kernel says so, later).
        ValueError: weight is not (v, d), padding_idx is out of range, sparse and scale_grad_by_freq together where
            weight requires a gradient, or the tensors lie on different devices.
        TypeError: not a tensor, indices that are no int64 or int32, or an option of another type.
    """
    padding_idx = _check(input, weight, padding_idx, scale_grad_by_freq, sparse)
    try:
        if max_norm is not None:
            check_number("embedding", "max_norm", max_norm)
            check_number("embedding", "norm_type", norm_type)
            with torch.no_grad():
                torch.embedding_renorm_(weight.detach(), input.contiguous(), max_norm, norm_type)
        return EmbeddingFunction.apply(input, weight, padding_idx, scale_grad_by_freq, sparse)
    except IndexError as error:  # the kernels look at every index anyway, before they compute
        low, high = input.min(), input.max()
        raise IndexError(f"embedding: input holds {low} to {high}, expected 0 to {len(weight) - 1}") from error


def _check(
    input: Tensor, weight: Tensor, padding_idx: int | None, scale_grad_by_freq: bool, sparse: bool
) -> int | None:
    for name, tensor in (("input", input), ("weight", weight)):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"embedding: {name} is a {type(tensor).__name__}, expected a tensor")
    if input.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"embedding: input is {input.dtype}, expected indices, such as input.long()")
    check_device("embedding", "input", input, "weight", weight)
    if weight.dim() != 2:
        raise ValueError(f"embedding: weight is {tuple(weight.shape)}, expected (v, d)")
    rows = weight.shape[0]
    if rows == 0 and input.numel() > 0:
        raise IndexError(f"embedding: input is {tuple(input.shape)} but weight {tuple(weight.shape)} has no rows")
    if sparse and scale_grad_by_freq and weight.requires_grad:
        raise ValueError("embedding: sparse and scale_grad_by_freq are both True, expected one of them at most")
    if padding_idx is None:
        return None
    if not isinstance(padding_idx, int | torch.SymInt) or isinstance(padding_idx, bool):
        raise TypeError(f"embedding: padding_idx is a {type(padding_idx).__name__}, expected an integer")
    if not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx is {padding_idx}, expected {-rows} to {rows - 1}")
    return padding_idx % rows
