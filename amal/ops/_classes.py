"""What nll_loss and cross_entropy share: class indices, their weights, and the index that is ignored."""

import torch
from torch import Tensor

from ._losses import check_constant, readable_entries
from ._public import at_least_float32, check_device

INDICES = (torch.int64, torch.uint8)
NOWHERE = -100
"""An ignore_index that no class has."""


def check_classes(
    op: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, int | None]:
    """Check class indices against what they choose from, and the classes' weights.

    Args:
        op: name of the operation, for the message.
        input: (classes) or (n, classes, *).
        target: () or (1) for an input (classes), else (n, *).
        weight: (classes), or None.
        ignore_index: a class that counts for nothing.

    Returns:
        The target as int64, and ignore_index, or None where it is seen that no example is ignored.

    Raises:
        TypeError: target is not of int64 or uint8, or ignore_index is no integer.
        ValueError: shapes or devices do not fit.
        IndexError: a class is out of range (where the entries can be looked at).
        RuntimeError: the weight requires a gradient: torch knows none for it.
    """
    if not isinstance(target, Tensor):
        raise TypeError(f"{op}: target is a {type(target).__name__}, expected a tensor of class indices")
    if target.dtype not in INDICES:
        raise TypeError(
            f"{op}: target is {target.dtype}, expected class indices in torch.int64 (target.long()) or uint8"
        )
    if target.device != input.device:
        check_device(op, "input", input, "target", target)
    shape = input.shape
    expected = shape[:1] + shape[2:] if len(shape) > 1 else torch.Size()
    if target.shape != expected and not (len(shape) == 1 and target.shape == (1,)):
        shapes = f"input is {tuple(shape)} but target {tuple(target.shape)}"
        raise ValueError(f"{op}: {shapes}, expected {tuple(expected)}, a class index for each example")
    if not isinstance(ignore_index, int):
        raise TypeError(f"{op}: ignore_index is a {type(ignore_index).__name__}, expected an integer")
    classes = shape[min(len(shape) - 1, 1)]
    if weight is not None:
        check_class_weights(op, input, weight)
        check_constant(op, "weight", weight)
    if target.dtype != torch.int64:
        target = target.long()
    values = readable_entries(target)
    if values is None:
        return target, ignore_index
    low, high = _bounds(values)
    ignores = low <= ignore_index <= high
    if ignores and (low < 0 or high >= classes):
        low, high = _bounds(values.masked_fill(values == ignore_index, 0))
    if low < 0 or high >= classes:
        fault = f"target has class {low if low < 0 else high}, expected 0 to {classes - 1}"
        raise IndexError(f"{op}: {fault} or ignore_index {ignore_index}")
    return target, ignore_index if ignores else None


def _bounds(values: Tensor) -> tuple[int, int]:
    low, high = values.aminmax()
    return low.item(), high.item()  # type: ignore[return-value]


def check_class_dimension(op: str, input: Tensor) -> None:
    """Raise a ValueError if there is no dimension of classes."""
    if input.dim() == 0:
        raise ValueError(f"{op}: input is (), expected (classes) or (n, classes, ...)")


def check_class_weights(op: str, input: Tensor, weight: Tensor) -> None:
    """Raise a ValueError unless there is one weight for each class."""
    classes = input.shape[min(input.dim() - 1, 1)]
    if tuple(weight.shape) != (classes,):
        shapes = f"input is {tuple(input.shape)} but weight {tuple(weight.shape)}"
        raise ValueError(f"{op}: {shapes}, expected ({classes},), a weight for each class")


def pull_back(
    grad_output: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int | None, reduction: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Begin the backward of a loss over class indices.

    Returns:
        y (n, 1, *), the classes, 0 where ignored; −∂L/∂L_i, 0 where ignored, which is −g / Σ w_y for a mean; and
        w_y times that. All in float32 at least and of the shape of y.
    """
    g, y = at_least_float32(grad_output), target.unsqueeze(1)
    if ignore_index is None and weight is None and reduction == "mean":  # the usual case, in one product
        each = g.new_full(y.shape, -1 / max(y.numel(), 1)) * g
        return y, each, each
    g = (-g.unsqueeze(1) if reduction == "none" else -g).expand_as(y)
    ignored = None if ignore_index is None else y == ignore_index
    if ignored is not None:
        y = y.masked_fill(ignored, 0)
    w = None if weight is None else at_least_float32(weight)[y]
    if reduction == "mean":
        if w is not None:
            g = g / (w if ignored is None else w.masked_fill(ignored, 0)).sum()
        else:
            g = g / (y.numel() if ignored is None else y.numel() - ignored.sum())
    if ignored is not None:
        g = g.masked_fill(ignored, 0)
    return y, g, g if w is None else g * w
