"""What the losses share: one number from many entries, the difference that they start from, and their checks."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from amal import _torch

from ._function import Function
from ._public import at_least_float32, multiply


class DifferenceFunction(Function):
    """d = x − t.

    ∂L/∂x = ∂L/∂d and ∂L/∂t = −∂L/∂d. A Function of d keeps one tensor for backward, one of x and t two.
    """

    @staticmethod
    def forward(input: Tensor, target: Tensor) -> Tensor:
        return input - target

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, Tensor | None]:
        needs_input, needs_target = ctx.needs_input_grad
        return grad_output if needs_input else None, -grad_output if needs_target else None

    @staticmethod
    def jvp(ctx: Any, input_dot: Tensor | None, target_dot: Tensor | None) -> Any:
        return subtract_tangents(input_dot, target_dot)


def subtract_tangents(input_dot: Tensor | None, target_dot: Tensor | None) -> Any:
    """Return ẋ − ṫ, where None stands still."""
    if input_dot is None or target_dot is None:
        return input_dot if target_dot is None else -target_dot
    return input_dot - target_dot


def reduce_loss(entries: Tensor, reduction: str) -> Tensor:
    """Return the entries themselves ('none'), their sum, or their mean."""
    return entries if reduction == "none" else entries.sum() if reduction == "sum" else entries.mean()


def gradient_per_entry(grad_output: Tensor, reduction: str, entries: int, factor: int = 1) -> Tensor:
    """Return `factor` times what one of the entries of a loss gets of grad_output, in float32 at least."""
    g, fraction = at_least_float32(grad_output), factor / max(entries, 1) if reduction == "mean" else factor
    return g if fraction == 1 else multiply(g, fraction)


def check_equal_shapes(op: str, input: Tensor, **others: Tensor | None) -> None:
    """Raise a ValueError unless all shapes are that of `input`."""
    for name, tensor in others.items():
        if tensor is not None and tensor.shape != input.shape:
            shapes = f"input is {tuple(input.shape)} but {name} {tuple(tensor.shape)}"
            raise ValueError(f"{op}: {shapes}, expected equal shapes (nothing is broadcast)")


def check_constant_weights(op: str, input: Tensor, **weights: Tensor | None) -> None:
    """Raise unless the weights broadcast to the shape of `input` and need no gradient: torch knows none for them.

    Raises:
        ValueError: a shape does not broadcast to that of `input`.
        RuntimeError: a weight requires a gradient, as torch raises.
    """
    for name, weight in weights.items():
        if weight is None:
            continue
        sizes = list(zip(weight.shape[::-1], input.shape[::-1], strict=False))
        if weight.dim() > input.dim() or any(own not in (1, size) for own, size in sizes):
            shapes = f"input is {tuple(input.shape)} but {name} {tuple(weight.shape)}"
            raise ValueError(f"{op}: {shapes}, expected a shape that broadcasts to that of input")
        check_constant(op, name, weight)


def check_constant(op: str, name: str, weight: Tensor) -> None:
    """Raise a RuntimeError, as torch does, if a weight that has no derivative requires a gradient."""
    if weight.requires_grad and torch.is_grad_enabled():
        raise RuntimeError(f"{op}: {name} requires a gradient, expected a constant, such as {name}.detach()")


def refuse_tangents(op: str, **tangents: Tensor | None) -> None:
    """Raise a RuntimeError if a weight that has no derivative moves in forward mode."""
    for name, tangent in tangents.items():
        if tangent is not None:
            raise RuntimeError(f"{op}: {name} has a tangent, expected a constant, such as {name}.detach()")


def readable_entries(tensor: Tensor) -> Tensor | None:
    """Return a tensor whose entries can be looked at here and now: plain, and on the CPU; None where there is none.

    Inside torch.vmap and its kin it is the one that they wrap. There are no entries while torch.compile traces and on
    the meta device, and to look at those on an accelerator would be to wait for it.
    """
    tensor = _torch.unwrap(tensor)
    plain = type(tensor) in (Tensor, Parameter) and tensor.is_cpu
    return tensor if plain and tensor.numel() > 0 else None


def check_probabilities(op: str, **tensors: Tensor) -> None:
    """Raise a RuntimeError, as torch does, if an entry that can be looked at is outside [0, 1] or NaN."""
    for name, tensor in tensors.items():
        values = readable_entries(tensor)
        if values is not None:
            low, high = (bound.item() for bound in values.aminmax())
            if not (low >= 0 and high <= 1):
                raise RuntimeError(f"{op}: {name} has entries from {low:g} to {high:g}, expected 0 to 1")
