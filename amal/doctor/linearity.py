"""Backward is a linear map of grad_output; how it uses it if not."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .calls import nth
from .evidence import NOTHING, Evidence, Explanation, same
from .subject import Observation, Subject, random_like


def check_special_grad_outputs(subject: Subject) -> Iterator[Observation]:
    """Backward takes any grad_output: one that adds up to 0, one of a single entry, large and tiny ones."""
    usual = subject.baseline.grad_output
    if not usual.numel() or subject.dtype != torch.float64:
        return
    single = torch.zeros_like(usual)
    single.view(-1)[-1] = 1.0
    for words, special, factor in (
        ("adds up to 0", usual - usual.mean(), 1.0),
        ("is 0 but for one entry", single, 1.0),
        ("is large", 1e6 * usual, 1e-6),
        ("is tiny", 1e-6 * usual, 1e6),
    ):
        rest, gradients = subject.pull(usual - factor * special), subject.pull(special)
        for place in subject.variables:
            part, other, whole = (nth(each, place) for each in (gradients, rest, subject.baseline.gradients))
            if _are_alike([part, other, whole]) and not same(factor * part + other, whole, subject.tolerance):
                yield Observation("nonlinear-in-grad-output", f"is another where grad_output {words}", place)
                return


def check_outputs_together(subject: Subject, places: Sequence[int]) -> Iterator[Observation]:
    """What backward gives for gradients of all outputs is the sum of what it gives for each alone."""
    outputs = subject.function(subject.arguments, subject.variables).outputs
    grad_outputs = {place: random_like(outputs[place], 1 + place) for place in places}

    def pull(*selection: int) -> tuple[Any, ...]:
        call = subject.function(subject.arguments, subject.variables)
        return call.pull({place: grad_outputs[place].clone() for place in selection})

    alone, together = [pull(place) for place in places], pull(*places)
    for variable in subject.variables:
        parts = [nth(gradients, variable) for gradients in alone]
        whole = nth(together, variable)
        if _are_alike([*parts, whole]) and not same(whole, torch.stack(parts).sum(0), subject.tolerance):
            words = "for all outputs together is not the sum of those for each alone"
            yield Observation("nonlinear-in-grad-output", words, variable)


def _are_alike(gradients: Sequence[Any]) -> bool:
    """Whether all are tensors of one shape."""
    return all(isinstance(grad, Tensor) and grad.shape == gradients[0].shape for grad in gradients)


def explain_use_of_grad_output(
    gradient: Callable[[Tensor], Tensor], grad_output: Tensor, evidence: Evidence
) -> tuple[Explanation, Tensor] | None:
    """Say how backward uses grad_output if not as a factor, and return the part that is left to be explained.

    Returns:
        None where backward is proportional to grad_output. Otherwise what is wrong, and the gradient for
        a grad_output of ones, which other hypotheses may look at.
    """
    ones = torch.ones_like(grad_output)
    for_ones, usual = gradient(ones), gradient(grad_output)
    if for_ones.shape != usual.shape:
        return ("nonlinear-in-grad-output", "changes its shape with the values of grad_output"), for_ones
    zero, negative = gradient(torch.zeros_like(grad_output)), gradient(-grad_output)
    other = gradient(3 * ones - 0.5 * grad_output)
    if all(not grad.numel() or float(grad.abs().max()) < NOTHING for grad in (usual, for_ones)):
        return None
    if all(evidence.same(grad, for_ones) for grad in (usual, other, zero)):
        words = "is the same for every grad_output: it is only right at the end of a graph"
        return ("ignores-grad-output", words), for_ones
    expected = 3 * for_ones - 0.5 * usual
    if evidence.same(-negative, usual) and evidence.same(other, expected) and not zero.any():
        return None
    local = evidence.slope.pull(ones)
    for summand in (local, -local):
        if _is_sum(summand, usual, for_ones, zero, grad_output, evidence):
            return ("nonlinear-in-grad-output", "has grad_output added where it should be multiplied"), summand
    for power, words in ((2, "squared"), (3, "to the third power")):
        if evidence.same(gradient(2 * grad_output), 2**power * usual) and not zero.any():
            return ("nonlinear-in-grad-output", f"has grad_output as a factor {power} times: it is {words}"), for_ones
    if evidence.same(gradient(2 * grad_output), usual):
        words = "does not change when grad_output is doubled: only its sign counts"
        return ("nonlinear-in-grad-output", words), for_ones
    if evidence.same(negative, usual):
        return ("nonlinear-in-grad-output", "does not change sign with grad_output"), for_ones
    affine = evidence.same(other - zero, 3 * (for_ones - zero) - 0.5 * (usual - zero))
    words = "is not proportional to grad_output"
    if affine:
        words = "is not 0 for a grad_output of 0: something is added to it"
    return ("nonlinear-in-grad-output", words), for_ones


def _is_sum(
    local: Tensor, usual: Tensor, for_ones: Tensor, zero: Tensor, grad_output: Tensor, evidence: Evidence
) -> bool:
    """Whether the gradient for zero is the local derivative, and grad_output comes on top."""
    if not evidence.same(zero, local):
        return False
    change, due = for_ones - zero, usual - zero
    try:
        return evidence.same(change * grad_output, due.expand_as(change * grad_output))
    except RuntimeError:
        return True


def is_linear(gradient: Callable[[Tensor], Tensor], grad_output: Tensor, evidence: Evidence) -> bool:
    """Whether backward is linear in grad_output, as far as two of them tell."""
    ones = torch.ones_like(grad_output)
    both, zero = gradient(3 * ones - 0.5 * grad_output), gradient(torch.zeros_like(grad_output))
    return evidence.same(both, 3 * gradient(ones) - 0.5 * gradient(grad_output)) and not zero.any()
