"""Dtypes: what float32 and lower precision give, and what is computed in float32 although float64 goes in.

What is computed in float32 inside agrees to 1e-7 only. Such a result is a staircase: it stands still
where its inputs move by less than float32 can hold, and moves where they move by more.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from .calls import Arguments, CallError, nth
from .function_under_test import Composite, FunctionUnderTest, dtype_name
from .subject import Observation, Subject, cast, map_floating, random_like

STILL: Final = 1e-10
"""Share of itself by which an input moves, unseen in float32."""
UNLIKE: Final = 0.37
"""How far grad_output moves for that, so that the two do not cancel: (1 + s) (1 - s) is 1."""
MOVE: Final = 1e-3
"""Share by which it moves, seen in any dtype."""
VISIBLE: Final = 1e-9
"""Share of itself by which a result moves then; x / (x² + 1e-12)^½ moves by less, in float64 too."""
FORMULA: Final = 1e-11
"""Share of itself by which a gradient is not additive, up to which that is rounding."""
LINEAR: Final = 1e-6
"""Such a share above which a gradient is wrong."""
ROOM: Final = 100.0
"""How many times as far as it is from additive an iteration may be off."""
ROUNDINGS: Final = {torch.float32: 512, torch.bfloat16: 32, torch.float16: 32}
"""Errors as large as a rounding that an operation may make, one upon the other.

In float32 6e-5 of a result, where what is made in float16 inside is off by twice as much and more.
"""


def computes_in_float32(function: FunctionUnderTest, arguments: Arguments, variables: Sequence[int]) -> bool:
    """Whether a Function computes in float32, whatever the dtype of its inputs, or takes no other."""
    try:
        values = [function.value(_scale(arguments, variables, share)).double() for share in (0.0, STILL, MOVE)]
    except CallError:
        return _runs(function, cast(arguments, torch.float32)) and not _runs(function, arguments)
    return _is_staircase(*values)


def _runs(function: FunctionUnderTest, arguments: Arguments) -> bool:
    try:
        function.value(arguments)
    except CallError:
        return False
    return True


def inaccuracy(function: FunctionUnderTest, arguments: Arguments, variables: Sequence[int]) -> float:
    """Return how far backward may be off because it is an iteration that stops when it is near enough.

    A formula is additive in grad_output to 1e-15 of itself; such an iteration, by conjugate gradients or
    an adaptive solver, as closely as it stops. What is still less additive is no iteration, but wrong.

    Returns:
        a share of the gradient; 0 of a formula.
    """
    try:
        output = function.value(arguments)
        one, other = (random_like(output, seed) for seed in (1, 2))
        results = [function(arguments, variables).backward(each) for each in (one, other, one + other)]
    except CallError:
        return 0.0
    largest = 0.0
    for place in variables:
        grads = first, second, both = [nth(gradients, place) for gradients in results]
        if all(isinstance(grad, Tensor) and grad.shape == first.shape and grad.numel() for grad in grads):
            scale = float(torch.stack(grads).abs().max())
            largest = max(largest, float((first + second - both).abs().max()) / scale if scale else 0.0)
    return ROOM * largest if FORMULA < largest < LINEAR else 0.0


def check_float64(subject: Subject) -> Iterator[Observation]:
    """A gradient is as precise as its inputs: nothing of it is computed in float32 if they are in float64."""
    if subject.dtype != torch.float64:
        return
    grad_output = random_like(subject.function.value(subject.arguments), 1)
    for both_move in (True, False):
        results = []
        try:
            for share in (0.0, STILL, MOVE):
                call = subject.function(_scale(subject.arguments, subject.variables, share), subject.variables)
                results.append(call.backward(grad_output * (1 + UNLIKE * share * both_move)))
        except CallError:
            return
        for place in subject.variables:
            usual, near, far = (nth(gradients, place) for gradients in results)
            if any(not isinstance(grad, Tensor) or grad.shape != usual.shape for grad in (usual, near, far)):
                continue
            if usual.dtype == torch.float64 and _is_staircase(usual, near, far):
                words = "is computed in float32 inside, and the output is not: it agrees to 1e-7 only"
                yield Observation("low-precision", words, place)
                return


def _scale(arguments: Arguments, variables: Sequence[int], share: float) -> Arguments:
    """Return the arguments, the variables among them larger by a share."""
    return tuple(value * (1 + share) if place in variables else value for place, value in enumerate(arguments))


def _is_staircase(usual: Tensor, near: Tensor, far: Tensor) -> bool:
    """Whether at least half of the entries move at all, and of these all but a few only with a large step."""
    moves = (far - usual).abs() > VISIBLE * usual.abs()
    if usual.shape != near.shape or not moves.numel() or moves.double().mean() < 0.5:
        return False
    return bool((near == usual)[moves].double().mean() > 0.95)


def check_float32(subject: Subject) -> Iterator[Observation]:
    """In float32 the output and each gradient are float32."""
    if subject.dtype != torch.float64 or torch.float32 not in subject.options.dtypes:
        return
    own_data = isinstance(subject.function, Composite)  # of its own in float64, as it may have
    try:
        call, _, gradients = subject.respond(cast(subject.arguments, torch.float32))
    except CallError as error:
        refusal = error.method == "forward" and error.is_refusal
        code = "not-reached" if refusal else "raises"
        yield Observation(code, f"in float32: {error}", note=own_data or refusal, method=error.method)
        return
    if call.output.dtype != torch.float32:
        words = f"for inputs in float32 the output is in {dtype_name(call.output.dtype)}"
        yield Observation("forward-value", words, note=own_data)
    for place in subject.variables:
        grad = nth(gradients, place)
        if isinstance(grad, Tensor) and grad.dtype != torch.float32:
            words = f"is in {dtype_name(grad.dtype)}, and {subject.name(place)} in float32"
            yield Observation("grad-dtype", words, place, note=own_data)


def check_low_precision(subject: Subject) -> Iterator[Observation]:
    """In float32, bfloat16 and float16 value and gradients equal those in float64, but for rounding.

    How much rounding explains is measured: the result in float64 when each input moves by as much as
    it is rounded.
    """
    if subject.dtype != torch.float64:
        return
    for dtype in ROUNDINGS:
        if dtype in subject.options.dtypes:
            yield from _in_dtype(subject, dtype)


def _in_dtype(subject: Subject, dtype: torch.dtype) -> Iterator[Observation]:
    low = cast(subject.arguments, dtype)
    try:
        actual = _results(subject, low)
    except CallError as error:
        if dtype != torch.float32:  # where it is an error, told already
            yield Observation("not-reached", f"{dtype_name(dtype)}: {error}", note=True)
        return
    limits, exact = torch.finfo(dtype), cast(low, torch.float64)
    try:
        expected = _results(subject, exact)
        others = [_results(subject, _move(exact, limits.eps, seed)) for seed in (1, 2)]
    except CallError:
        return  # what is a number in float64 is none once it is rounded
    grads = [grad for name, grad in expected.items() if name is not None and grad.numel()]
    largest = max((float(grad.abs().max()) for grad in grads), default=0)
    for name, right in expected.items():
        result = actual.get(name)
        if result is None or result.shape != right.shape or not torch.isfinite(right).all() or not right.numel():
            continue
        if right.abs().max() > limits.max:
            continue
        change = max(float((other[name] - right).norm()) if name in other else 0.0 for other in others)
        # A gradient whose parts cancel is as exact as these, and they are as large as other gradients.
        size = float(right.norm()) if name is None else max(float(right.norm()), largest)
        margin = ROUNDINGS[dtype] * (limits.eps * size + change) + limits.tiny
        off = float((result.double() - right).norm())
        if not math.isfinite(margin):  # one rounding of the inputs leads out of the domain
            continue
        if not off <= margin:
            words = f"in {dtype_name(dtype)} "
            words += "the output" if name is None else f"the gradient of {subject.name(name)}"
            size = size or 1.0
            share = f" is off by {off / size:.2g} of itself, and rounding explains {margin / size:.2g}"
            words += " is nan, and in float64 it is not" if math.isnan(off) else share
            yield Observation("low-precision", words)
            return


def _results(subject: Subject, arguments: Arguments) -> dict[int | None, Tensor]:
    """Return the output, by the name None, and the gradient of each variable, by its place."""
    call, _, gradients = subject.respond(arguments)
    results: dict[int | None, Any] = {None: call.output}
    results.update((place, nth(gradients, place)) for place in subject.variables)
    return {name: result.detach() for name, result in results.items() if isinstance(result, Tensor)}


def _move(arguments: Arguments, share: float, seed: int) -> Arguments:
    """Return the arguments with each entry moved by a share of itself, up or down."""
    return map_floating(lambda value: value * (1 + share * random_like(value, seed).sign()), arguments)
