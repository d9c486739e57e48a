r"""Dropout: entries are left out at random, so that no unit can rely on another one.

    y = x ∘ m             m_i = 1/(1 − p) with probability 1 − p, else 0

Shapes: x, m and y equal, (*); every entry is on its own.

Dividing by 1 − p makes the expectation of y equal to x, so that nothing is to be done in evaluation. m does not depend
on x: it is an argument of the Function, drawn outside. With g = ∂L/∂y:

    ∂L/∂x = g ∘ m         ẏ = ẋ ∘ m

Source: Srivastava et al., Dropout, 2014.
"""

from typing import Any

import torch
from torch import Tensor

from amal import _torch

from ._function import Function
from ._public import check_number, check_tensors, overwrite, public_op


class DropoutFunction(Function):
    """y = x ∘ m, for given noise m of the shape of x, or one number for all."""

    kind = "symmetric"

    @staticmethod
    def forward(input: Tensor, noise: Tensor) -> Tensor:
        return input * noise

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        _, noise = inputs
        ctx.save_for_backward(noise)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (noise,) = ctx.saved_tensors
        return grad_output * noise, None


@public_op
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Leave entries out at random, as torch.nn.functional.dropout does: on the CPU the same for the same seed.

    Args:
        input: (*), floating point.
        p: probability of an entry to become 0.
        training: if False, return `input` itself.
        inplace: overwrite `input` with the output; saves no memory here.

    Returns:
        (*).

    Raises:
        TypeError: not a tensor, not floating point, or p is no number.
        ValueError: p is not between 0 and 1.
        RuntimeError: inplace, and input is a leaf that requires a gradient.
    """
    check_tensors("dropout", input=input)
    check_number("dropout", "p", p)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}, expected a probability between 0 and 1")
    if not training or p == 0:
        return input
    if inplace:
        return overwrite(lambda x: DropoutFunction.apply(x, draw_noise(x, p)), input)
    return DropoutFunction.apply(input, draw_noise(input, p))


def draw_noise(reference: Tensor, p: float) -> Tensor:
    """Draw m, in the order in which torch draws it on the CPU."""
    if p == 1:
        return reference.new_zeros(())
    if _torch.transforms_active():  # torch.vmap fills nothing in place that its members share
        return torch.nn.functional.dropout(torch.ones_like(reference), p)
    return torch.empty_like(reference).bernoulli_(1 - p).div_(1 - p)
