"""Value and gradients with other arguments, held against the definition or against the slope of the output."""

from collections.abc import Iterator

import torch
from torch import Tensor

from .calls import Arguments, CallError, nth
from .directions import MANY, pair_along
from .evidence import Tolerance, distinct_texts, same
from .slopes import slopes
from .subject import Observation, Subject, differentiate, random_like


def compare_with_definition(
    subject: Subject, arguments: Arguments, words: str, contiguous: bool = True
) -> Iterator[Observation]:
    """Value and gradients equal the definition's; without a definition, those for contiguous tensors."""
    try:
        call, grad_output, gradients = subject.respond(arguments, contiguous)
    except CallError as error:
        yield Observation("raises", f"{words}: {error}", method=error.method)
        return
    if subject.definition is None or subject.surrogate is not None:
        usual = subject.baseline if arguments is subject.arguments else subject.respond(arguments)
        value, expected = usual.call.output, usual.gradients
    else:
        grad_output = random_like(call.output, 1)
        value, expected = differentiate(subject.definition, arguments, subject.variables, grad_output)
    if not same(call.output.detach(), value.detach(), subject.tolerance):
        yield Observation("forward-value", f"the output is not what the definition gives {words}")
        return
    for place in subject.other_gradients(gradients, expected):
        grad, right = nth(gradients, place), nth(expected, place)
        if grad is None:
            continue
        if grad.shape != right.shape:
            shapes = f"{tuple(grad.shape)}, and {subject.name(place)} {tuple(right.shape)}"
            yield Observation("grad-shape", f"has, {words}, shape {shapes}", place)
        else:
            yield Observation("grad-value", f"is not the slope of the output {words}", place)


def compare_with_slope(
    subject: Subject, words: str, tolerance: Tolerance | None = None, first: int | None = None
) -> Iterator[Observation]:
    """Yield what is wrong with arguments that a Function may not be made for: an exception is no fault.

    Args:
        subject: with these arguments.
        words: where they are.
        tolerance: None for the usual one.
        first: the place of the variable that is to be suspected first.
    """
    tolerance = subject.tolerance if tolerance is None else tolerance.at_least(subject.tolerance.relative)
    try:
        yield from _compare(subject, words, tolerance, first)
    except (CallError, RuntimeError, ValueError, IndexError, ArithmeticError):
        return  # outside what it is made for


def _compare(subject: Subject, words: str, tolerance: Tolerance, first: int | None) -> Iterator[Observation]:
    call = subject.function(subject.arguments, subject.variables)
    finite = bool(torch.isfinite(call.output).all())
    if subject.definition is not None:
        expected = subject.definition.reference(*subject.arguments).detach()
        if not torch.isfinite(expected).all() or expected.shape != call.output.shape:
            return
        if not finite and subject.operation.exact_extremes:
            yield Observation("forward-unstable", f"forward is not finite {words}, and the definition is")
            return
        if not same(call.output.detach(), expected, tolerance):
            yield Observation("forward-value", f"the output is not what the definition gives {words}")
            return
    if not finite or call.node is None:
        return
    gradients = call.backward(torch.ones_like(call.output))
    pairs = ((place, nth(gradients, place)) for place in subject.variables)
    grads = {place: grad for place, grad in pairs if isinstance(grad, Tensor)}
    for place, grad in grads.items():
        shape = subject.arguments[place].shape
        if grad.shape != shape:
            shapes = f"{tuple(grad.shape)}, and it {tuple(shape)}"
            yield Observation("grad-shape", f"has, {words}, shape {shapes}", place)
            return
    grad_output = random_like(call.output, 1)
    pair = pair_along(subject, list(grads), grad_output, tolerance=tolerance)
    if pair.gaps:  # no slope: a gradient there is a matter of taste, but a number
        bad = [place for place, grad in grads.items() if grad.isnan().any()]
        if bad and subject.definition is None:
            yield Observation("kink", f"is nan {words}, and the output is finite there", bad[0], note=True)
        return
    if pair.agrees:
        return
    for place in sorted(grads, key=lambda place: place != first):
        alone = pair_along(subject, [place], grad_output, tolerance=tolerance)
        if not alone.gaps and not alone.agrees:
            worst = _worst(subject, place, grads[place]) or f"Along a random direction {alone.words}."
            yield Observation("grad-value", f"is not the slope of the output {words}", place, worst)
            return


def _worst(subject: Subject, place: int, actual: Tensor) -> str:
    """Say which entry of a gradient for a grad_output of ones is most wrong; nothing if there are many."""
    if actual.numel() > MANY:
        return ""
    columns = slopes(subject.differentiable, subject.arguments, place)
    expected = columns.jacobian.sum(0).reshape(columns.shape)
    off = torch.where(columns.smooth, (actual - expected).abs().nan_to_num(torch.inf), 0.0).flatten()
    worst = int(off.argmax())
    if not off[worst] > 1e-6 * expected.abs().max():
        return ""
    name, number = subject.name(place), float(subject.arguments[place].flatten()[worst])
    grad, slope = distinct_texts(float(actual.flatten()[worst]), float(expected.flatten()[worst]))
    return f"Where {name} is {number:.4g}, backward gives {grad}, and the slope of the output is {slope}."
