"""What softmax and log_softmax do first: along which dimension they sum, and in which dtype."""

import warnings

import torch
from torch import Tensor

from ._public import autocast, check_tensors


def prepare(op: str, input: Tensor, dim: int | None, stacklevel: int, dtype: torch.dtype | None) -> tuple[Tensor, int]:
    """Return the input in the dtype to compute in, and the dimension that is meant, counted from the front.

    Without a dimension torch guesses (0 for 0, 1 and 3 dimensions, 1 otherwise) and warns, and so does this.

    Raises:
        TypeError: the input is not a tensor, or not floating point then, or the dimension not a whole number.
        IndexError: there is no such dimension.
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"{op}: input is a {type(input).__name__}, expected a tensor")
    dims = input.dim()
    if dim is None:
        dim = 0 if dims in (0, 1, 3) else 1
        warnings.warn(f"{op}: a dim left out is deprecated, use dim={dim}", stacklevel=stacklevel)
    if not isinstance(dim, int):
        raise TypeError(f"{op}: dim is a {type(dim).__name__}, expected a whole number")
    last = max(dims, 1) - 1
    if not -last - 1 <= dim <= last:
        raise IndexError(f"{op}: dim is {dim} but input {tuple(input.shape)}, expected {-last - 1} to {last}")
    if dtype is None:
        (input,) = autocast(input, dtype=torch.float32, on=("cuda",))  # type: ignore[assignment]
    else:
        input = input.to(dtype)
    check_tensors(op, input=input)
    return input, dim % (last + 1)
