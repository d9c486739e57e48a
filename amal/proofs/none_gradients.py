"""A gradient or a tangent that is not there: torch says None, and an operation must make nothing of it."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.testing import assert_close

from .cases import Case, present_tensors, random_like


class _NoGradient(torch.autograd.Function):
    """Hands a tensor on, and no gradient back: what stands before it has no part in the loss."""

    @staticmethod
    def forward(_: Any, input: Tensor) -> Tensor:
        return input.clone()

    @staticmethod
    def backward(*_: Any) -> None:
        return None


def none_stays_none(case: Case) -> None:
    """No gradient gives none, where zeros would let an optimiser move a weight; no tangent counts as standing still."""
    inputs = case.inputs()
    _NoGradient.apply(case.operation(*inputs)).sum().backward()
    returned = [place for place, tensor in enumerate(present_tensors(inputs)) if tensor.grad is not None]
    assert not returned, f"of a gradient of None a gradient is made, for the inputs {returned}"
    with suppress(NotImplementedError):  # that there is no jvp is for forward_mode to say
        _some_tangents_alone(case)


def _some_tangents_alone(case: Case) -> None:
    inputs = case.inputs()
    tangents = tuple(random_like(tensor, 2) for tensor in present_tensors(inputs))
    for flags in product((True, False), repeat=len(tangents)):
        if any(flags):
            tangents_or_none = [tangent if moves else None for tangent, moves in zip(tangents, flags, strict=True)]
            zeros = [
                torch.zeros_like(old) if new is None else new
                for old, new in zip(tangents, tangents_or_none, strict=True)
            ]
            words = f"the tangent of the output where {flags} have one: {{}}"
            assert_close(_tangent(case, tangents_or_none), _tangent(case, zeros), msg=words.format)


def _tangent(case: Case, tangents: Sequence[Tensor | None]) -> Any:
    remaining = iter(tangents)

    def make_moving(tensor: Tensor | None) -> Tensor | None:
        tangent = None if tensor is None else next(remaining)
        return tensor if tensor is None or tangent is None else forward_ad.make_dual(tensor, tangent)  # type: ignore[no-untyped-call]

    with forward_ad.dual_level():
        output = case.operation(*map(make_moving, case.inputs()))
        return forward_ad.unpack_dual(output).tangent  # type: ignore[no-untyped-call]
