"""Backward is a linear map of grad_output; how it uses it if not."""

from collections.abc import Callable

import torch
from torch import Tensor

from .evidence import NOTHING, Evidence, Explanation


def explain_use_of_grad_output(
    gradient: Callable[[Tensor], Tensor], grad_output: Tensor, evidence: Evidence
) -> tuple[Explanation, Tensor] | None:
    """Say how backward uses grad_output if not as a factor, and return the part that is left to be explained.

    Returns:
        None where backward is proportional to grad_output. Otherwise what is wrong, and the gradient for a grad_output
        of ones, which other hypotheses may look at.
    """
    ones = torch.ones_like(grad_output)
    of_one, of_this = gradient(ones), gradient(grad_output)
    if of_one.shape != of_this.shape:
        return ("nonlinear-in-grad-output", "changes its shape with the values of grad_output"), of_one
    zero, negative = gradient(torch.zeros_like(grad_output)), gradient(-grad_output)
    other = gradient(3 * ones - 0.5 * grad_output)
    if max((float(of.abs().max()) for of in (of_this, of_one) if of.numel()), default=0.0) < NOTHING:
        return None
    if evidence.same(of_one, of_this) and evidence.same(other, of_one) and evidence.same(zero, of_one):
        return (
            "ignores-grad-output",
            "is the same for every grad_output: it is only right at the end of a graph",
        ), of_one
    expected = 3 * of_one - 0.5 * of_this
    linear = evidence.same(-negative, of_this) and evidence.same(other, expected) and not zero.any()
    if linear:
        return None
    slope = evidence.slopes[evidence.position]
    plus = [
        of for of in (slope.pull(ones), -slope.pull(ones)) if _adds(of, of_this, of_one, zero, grad_output, evidence)
    ]
    if plus:
        return ("nonlinear-in-grad-output", "has grad_output added where it should be multiplied"), plus[0]
    for power, words in ((2, "squared"), (3, "to the third power")):
        if evidence.same(gradient(2 * grad_output), 2**power * of_this) and not zero.any():
            return ("nonlinear-in-grad-output", f"has grad_output as a factor {power} times: it is {words}"), of_one
    if evidence.same(gradient(2 * grad_output), of_this):
        return ("nonlinear-in-grad-output", "does not change when grad_output is doubled: only its sign counts"), of_one
    if evidence.same(negative, of_this):
        return ("nonlinear-in-grad-output", "does not change sign with grad_output"), of_one
    affine = evidence.same(other - zero, 3 * (of_one - zero) - 0.5 * (of_this - zero))
    words = (
        "is not 0 for a grad_output of 0: something is added to it" if affine else "is not proportional to grad_output"
    )
    return ("nonlinear-in-grad-output", words), of_one


def _adds(
    local: Tensor, of_this: Tensor, of_one: Tensor, zero: Tensor, grad_output: Tensor, evidence: Evidence
) -> bool:
    """Whether the gradient for zero is the local derivative, and grad_output comes on top."""
    if not evidence.same(zero, local):
        return False
    change, due = of_one - zero, of_this - zero
    try:
        return evidence.same(change * grad_output, due.expand_as(change * grad_output))
    except RuntimeError:
        return True


def is_linear(gradient: Callable[[Tensor], Tensor], grad_output: Tensor, evidence: Evidence) -> bool:
    """Whether backward is linear in grad_output, as far as two of them tell."""
    ones = torch.ones_like(grad_output)
    both, zero = gradient(3 * ones - 0.5 * grad_output), gradient(torch.zeros_like(grad_output))
    return evidence.same(both, 3 * gradient(ones) - 0.5 * gradient(grad_output)) and not zero.any()
