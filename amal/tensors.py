"""What checks ask of tensors, whoever wrote the Function: another layout or order, their memory."""

import torch
from torch import Tensor


def make_strided(tensor: Tensor) -> Tensor:
    """Return equal values in another memory layout: every second element of a buffer, dimensions reversed."""
    reverse = tuple(range(tensor.dim()))[::-1]
    buffer = tensor.new_zeros(*(tensor.permute(reverse).shape), 2)
    view = buffer[..., 0].permute(reverse)
    view.copy_(tensor)
    return view


def roll(tensor: Tensor) -> Tensor:
    """Return the same entries, each in the place of the next."""
    return tensor.flatten().roll(1).reshape(tensor.shape)


def memory_of(tensor: Tensor) -> int | None:
    """Return where a tensor lies in memory; None for one that has none of its own: sparse, or of a class that wraps."""
    if tensor.layout != torch.strided:
        return None
    try:
        return tensor.untyped_storage().data_ptr()
    except RuntimeError:
        return None
