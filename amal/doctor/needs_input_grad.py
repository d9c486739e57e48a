"""Value and gradient are right in every circumstance: batches, dtypes, whichever inputs need a gradient."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor

from .evidence import same
from .function_under_test import Arguments, CallError, Composite, nth, plain
from .subject import Observation, Subject, cast, differentiate, gradients, random_like

ROUNDINGS = 32
"""Errors as large as a rounding that an operation may make, one upon the other."""
LONG_ROUNDINGS = 512
"""The same in float32: 6e-5 of a result, where what is made in float16 inside is off by twice as much and more."""


def in_batches_of_one_and_none(subject: Subject) -> Iterator[Observation]:
    """A batch may hold one example, or none."""
    if subject.definition is None or subject.fixed_inputs:
        return
    for n, words in ((1, "for a batch of one"), (0, "for an empty batch")):
        arguments = subject.draw(2, n)
        try:
            expected = subject.definition.reference(*arguments)
        except Exception:  # what the definition cannot do need not be done
            continue
        if not torch.isfinite(expected).all():  # the mean of nothing is nobody's business
            yield from (replace(of, note=True) for of in _runs(subject, arguments, words))
        elif subject.definition.needs_batch:
            words += ", where it means nothing"
            yield from (replace(of, note=True) for of in agrees(subject, arguments, words))
        else:
            yield from agrees(subject, arguments, words)


def _runs(subject: Subject, arguments: Arguments, words: str) -> Iterator[Observation]:
    """Say that an exception is raised, if one is."""
    try:
        call = subject.function(arguments, subject.variables)
        call.backward(random_like(call.output, 1))
    except CallError as error:
        yield Observation("raises", f"{words}, where it means nothing: {error}", method=error.method)


def in_float32(subject: Subject) -> Iterator[Observation]:
    """In float32 the output and each gradient are float32."""
    if subject.dtype != torch.float64 or torch.float32 not in subject.options.dtypes:
        return
    arguments = cast(subject.arguments, torch.float32)
    own_data = isinstance(subject.function, Composite)  # of its own in float64, as it may have
    try:
        call = subject.function(arguments, subject.variables)
        returned = call.backward(random_like(call.output, 1))
    except CallError as error:
        refused = error.method == "forward" and error.is_refusal
        yield Observation(
            "not-reached" if refused else "raises",
            f"in float32: {error}",
            note=own_data or refused,
            method=error.method,
        )
        return
    if call.output.dtype != torch.float32:
        words = f"for inputs in float32 the output is in {plain(call.output.dtype)}"
        yield Observation("forward-value", words, note=own_data)
    for place in subject.variables:
        of = nth(returned, place)
        if isinstance(of, Tensor) and of.dtype != torch.float32:
            words = f"is in {plain(of.dtype)}, and {subject.name(place)} in float32"
            yield Observation("grad-dtype", words, place, note=own_data)


def in_low_precision(subject: Subject) -> Iterator[Observation]:
    """In float32, bfloat16 and float16 value and gradients are those in float64 of the same inputs, but for rounding.

    How much rounding explains is measured: by what becomes of the result in float64 when each input moves by as much as
    it is rounded.
    """
    if subject.dtype != torch.float64:
        return
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        if dtype in subject.options.dtypes:
            yield from _rounded(subject, dtype)


def _rounded(subject: Subject, dtype: torch.dtype) -> Iterator[Observation]:
    low = cast(subject.arguments, dtype)
    try:
        actual = _results(subject, low)
    except CallError as error:
        if dtype != torch.float32:  # where it is an error, told already
            yield Observation("not-reached", f"{plain(dtype)}: {error}", note=True)
        return
    eps = torch.finfo(dtype).eps
    exact = cast(low, torch.float64)
    try:
        expected = _results(subject, exact)
        moved = [_results(subject, _moved(exact, eps, seed)) for seed in (1, 2)]
    except CallError:
        return  # what is a number in float64 is none once it is rounded
    largest = max(
        (float(of.abs().max()) for name, of in expected.items() if name is not None and of.numel()), default=0
    )
    for name in expected:
        there, right = actual.get(name), expected[name]
        if there is None or there.shape != right.shape or not torch.isfinite(right).all() or not right.numel():
            continue
        if right.abs().max() > torch.finfo(dtype).max:
            continue
        change = max(float((other[name] - right).norm()) if name in other else 0.0 for other in moved)
        # A gradient that is 0 because its parts cancel is as exact as they are, and they are like other gradients.
        size = float(right.norm()) if name is None else max(float(right.norm()), largest)
        margin = (LONG_ROUNDINGS if dtype == torch.float32 else ROUNDINGS) * (eps * size + change) + torch.finfo(
            dtype
        ).tiny
        off = float((there.double() - right).norm())
        if not math.isfinite(margin):  # one rounding of the inputs leads out of the domain
            continue
        if not off <= margin:
            what = "the output" if name is None else f"the gradient of {subject.name(name)}"
            size = size or 1.0
            words = f"in {plain(dtype)} {what} is off by {off / size:.2g} of itself, and rounding explains"
            words += f" {margin / size:.2g}"
            if off != off:
                words = f"in {plain(dtype)} {what} is nan, and in float64 it is not"
            yield Observation("low-precision", words)
            return


def _results(subject: Subject, arguments: Arguments) -> dict[int | None, Tensor]:
    """Return the output, by the name None, and the gradient of each variable, by its place."""
    call = subject.function(arguments, subject.variables)
    returned = call.backward(random_like(call.output, 1))
    grads = {place: nth(returned, place) for place in subject.variables}
    return {None: call.output.detach(), **{place: of.detach() for place, of in grads.items() if isinstance(of, Tensor)}}


def _moved(arguments: Arguments, share: float, seed: int) -> Arguments:
    """Return the arguments with each entry moved by a share of itself, up or down."""
    return tuple(
        of * (1 + share * random_like(of, seed).sign()) if isinstance(of, Tensor) and of.is_floating_point() else of
        for of in arguments
    )


def some_alone(subject: Subject) -> Iterator[Observation]:
    """Output and gradient are the same whichever inputs need one: none, each alone, each left out, each two."""
    everything = gradients(subject, subject.arguments)
    variables = subject.variables
    usual = subject.function.value(subject.arguments, variables).nan_to_num()
    if not same(subject.function.value(subject.arguments).nan_to_num(), usual, subject.tolerance):
        yield Observation("forward-value", "the output is another when no input needs a gradient")
        return
    left_out = [tuple(other for other in variables if other != place) for place in variables]
    for needs in dict.fromkeys([*((place,) for place in variables), *combinations(variables, 2), *left_out]):
        if needs in ((), variables):
            continue
        names = " and ".join(subject.name(place) for place in needs)
        words = f"when only {names} need{'s' if len(needs) == 1 else ''} a gradient"
        try:
            call = subject.function(subject.arguments, needs)
            returned = call.backward(random_like(call.output, 1))
        except CallError as error:
            yield Observation("raises", f"{words}: {error}", method=error.method)
            return
        if not same(call.output.detach().nan_to_num(), usual, subject.tolerance):
            yield Observation("forward-value", f"the output is another {words}")
            return
        for place in needs:
            now = nth(returned, place)
            before = nth(everything, place)
            if isinstance(before, Tensor) and now is None and before.any():  # a None stands for zeros
                yield Observation("grad-missing", f"is None {words}", place)
                return
            if isinstance(before, Tensor) and isinstance(now, Tensor) and not same(now, before):
                yield Observation("grad-value", f"is another {words}", place)
                return


def agrees(subject: Subject, arguments: Arguments, words: str, contiguous: bool = True) -> Iterator[Observation]:
    """Value and gradients equal those of the definition; of a Function without one, those for contiguous tensors."""
    try:
        call = subject.function(arguments, subject.variables, contiguous)
        returned = call.backward(random_like(call.output, 1, contiguous))
    except CallError as error:
        yield Observation("raises", f"{words}: {error}", method=error.method)
        return
    if subject.definition is None or subject.surrogate is not None:
        usual = subject.function(arguments, subject.variables)
        expected, wanted = usual.output, usual.backward(random_like(usual.output, 1))
    else:
        expected, wanted = differentiate(subject.definition, arguments, subject.variables, random_like(call.output, 1))
    if not same(call.output.detach(), expected.detach(), subject.tolerance):
        yield Observation("forward-value", f"the output is not what the definition gives {words}")
        return
    for place in subject.variables:
        actual = nth(returned, place)
        right = nth(wanted, place)
        if not isinstance(actual, Tensor) or not isinstance(right, Tensor):
            continue
        if actual.shape != right.shape:
            shapes = f"{tuple(actual.shape)}, and {subject.name(place)} {tuple(right.shape)}"
            yield Observation("grad-shape", f"has, {words}, shape {shapes}", place)
        elif not same(actual, right, subject.tolerance.at_least(1e-6)):
            yield Observation("grad-value", f"is not the slope of the output {words}", place)


def for_other_gradients(subject: Subject) -> Iterator[Observation]:
    """Backward takes any grad_output alike: one that adds up to 0, one of a single entry, large and tiny ones."""
    output = subject.function.value(subject.arguments)
    if not output.numel() or subject.dtype != torch.float64:
        return
    usual = random_like(output, 1)
    single = torch.zeros_like(usual)
    single.view(-1)[-1] = 1.0
    ordinary = subject.pull(usual)
    for words, special, factor in (
        ("adds up to 0", usual - usual.mean(), 1.0),
        ("is 0 but for one entry", single, 1.0),
        ("is large", 1e6 * usual, 1e-6),
        ("is tiny", 1e-6 * usual, 1e6),
    ):
        rest = subject.pull(usual - factor * special)
        returned = subject.pull(special)
        for place in subject.variables:
            parts = [nth(of, place) for of in (returned, rest, ordinary)]
            if any(not isinstance(of, Tensor) or of.shape != parts[0].shape for of in parts):
                continue
            if not same(factor * parts[0] + parts[1], parts[2], subject.tolerance):
                yield Observation("nonlinear-in-grad-output", f"is another where grad_output {words}", place)
                return
