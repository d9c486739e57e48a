"""What is computed in float32 inside, although float64 goes in and comes out: it agrees to 1e-7 only.

Such a result is a staircase: it stands still where its inputs move by less than float32 can hold, and moves where they
move by more.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from .function_under_test import Arguments, CallError, FunctionUnderTest, nth
from .subject import Observation, Subject, cast, random_like

STILL: Final = 1e-10
"""Share of itself by which an input moves, unseen in float32."""
UNLIKE: Final = 0.37
"""How far grad_output moves for that, so that the two do not cancel: (1 + s) (1 - s) is 1."""
MOVED: Final = 1e-3
"""Share by which it moves, seen in any dtype."""
FORMULA: Final = 1e-11
"""Share of itself by which a gradient is not additive, up to which that is rounding."""
LINEAR: Final = 1e-6
"""Such a share above which a gradient is wrong."""
ROOM: Final = 100.0
"""How many times as far as it is from additive an iteration may be off."""


SEEN: Final = 1e-9
"""Share of itself by which a result moves then: what moves by less, as x / (x² + 1e-12)^½ does, need not be single."""


def computes_in_float32(function: FunctionUnderTest, arguments: Arguments, variables: Sequence[int]) -> bool:
    """Whether a Function computes its output in float32, whatever the dtype of its inputs, or takes no other."""
    try:
        here, still, moved = (
            function.value(_moved(arguments, variables, share)).double() for share in (0.0, STILL, MOVED)
        )
    except CallError:
        return _runs(function, cast(arguments, torch.float32)) and not _runs(function, arguments)
    return _staircase(here, still, moved)


def _runs(function: FunctionUnderTest, arguments: Arguments) -> bool:
    try:
        function.value(arguments)
    except CallError:
        return False
    return True


def inaccuracy(function: FunctionUnderTest, arguments: Arguments, variables: Sequence[int]) -> float:
    """Return how far backward may be off because it is an iteration that stops when it is near enough.

    A formula is additive in grad_output to 1e-15 of itself; such an iteration, by conjugate gradients or an adaptive
    solver, as closely as it stops. What is less additive than a gradient may be off at all is no iteration, but wrong.

    Returns:
        a share of the gradient; 0 of a formula.
    """
    try:
        output = function.value(arguments)
        one, other = (random_like(output, seed) for seed in (1, 2))
        results = [function(arguments, variables).backward(of) for of in (one, other, one + other)]
    except CallError:
        return 0.0
    largest = 0.0
    for place in variables:
        first, second, both = (nth(of, place) for of in results)
        if all(isinstance(of, Tensor) and of.shape == first.shape and of.numel() for of in (first, second, both)):
            scale = float(torch.stack([first, second, both]).abs().max())
            largest = max(largest, float((first + second - both).abs().max()) / scale if scale else 0.0)
    return ROOM * largest if FORMULA < largest < LINEAR else 0.0


def in_single(subject: Subject) -> Iterator[Observation]:
    """A gradient is as precise as its inputs: nothing of it is computed in float32 if they are in float64."""
    if subject.dtype != torch.float64:
        return
    grad_output = random_like(subject.function.value(subject.arguments), 1)
    for also_outer in (True, False):
        try:
            results = [
                subject.function(_moved(subject.arguments, subject.variables, share), subject.variables).backward(
                    grad_output * (1 + UNLIKE * share * also_outer)
                )
                for share in (0.0, STILL, MOVED)
            ]
        except CallError:
            return
        for place in subject.variables:
            here, still, moved = (nth(of, place) for of in results)
            if any(not isinstance(of, Tensor) or of.shape != here.shape for of in (here, still, moved)):
                continue
            if here.dtype == torch.float64 and _staircase(here, still, moved):
                words = "is computed in float32 inside, and the output is not: it agrees to 1e-7 only"
                yield Observation("low-precision", words, place)
                return


def _moved(arguments: Arguments, variables: Sequence[int], share: float) -> Arguments:
    return tuple(of * (1 + share) if place in variables else of for place, of in enumerate(arguments))


def _staircase(here: Tensor, still: Tensor, moved: Tensor) -> bool:
    """Whether at least half of the entries move at all, and of these all but a few only with a large step."""
    moves = (moved - here).abs() > SEEN * here.abs()
    if here.shape != still.shape or not moves.numel() or moves.double().mean() < 0.5:
        return False
    return bool((still == here)[moves].double().mean() > 0.95)
