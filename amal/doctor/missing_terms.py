"""A part of the gradient is missing or misplaced: of a sum, of a broadcast, of a product's derivative."""

from typing import Any

import torch
from torch import Tensor

from .evidence import Evidence, Explanation


def repeats(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Of several examples with one index only one is in the gradient: assigned, where it should be added."""
    for name, index in zip(evidence.names, evidence.arguments, strict=False):
        if not isinstance(index, Tensor) or index.is_floating_point() or index.is_complex() or not index.dim():
            continue
        values = index.flatten().tolist()
        for dim in range(grad_output.dim() - index.dim() + 1):
            if grad_output.shape[dim : dim + index.dim()] != index.shape:
                continue
            for places in (range(len(values)), range(len(values) - 1, -1, -1)):
                one = {values[place]: place for place in places}.values()  # the last, then the first of each index
                mask = torch.tensor([place in one for place in range(len(values))])
                weights = grad_output * mask.reshape(*index.shape, *[1] * (grad_output.dim() - index.dim() - dim))
                if len(one) < len(values) and evidence.same(actual, evidence.slope.pull(weights)):
                    words = f"is that of one example alone for each index: where {name} repeats an index, the gradients"
                    return [("not-summed", f"{words} of its examples must be added up (index_add_), not assigned")]
    return []


def halves(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """One half of the product rule, of an output that is the input times something, entry by entry."""
    argument, output = evidence.arguments[evidence.position].double(), evidence.output.double()
    if argument.shape != output.shape or not argument.all():
        return []
    factor = output / argument * grad_output.double()
    rest = evidence.slope.pull(grad_output) - factor
    product = f"the output is {evidence.name} times a factor, and in the product rule"
    if evidence.same(actual, factor):
        return [("grad-value", f"is half of what it should be made of: {product} the factor's derivative is left out")]
    if evidence.same(actual, rest):
        return [("grad-value", f"is half of what it should be made of: {product} the factor itself is left out")]
    return []


def lost_dimension(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """What was summed over a dimension lost it, and was broadcast along another: only the diagonal is right."""
    if actual.dim() < 2 or actual.shape[-1] != actual.shape[-2] or actual.shape[-1] < 2:
        return []
    wrong = _wrong(actual, grad_output, evidence)
    diagonal = torch.eye(actual.shape[-1], dtype=torch.bool).expand_as(actual)
    if wrong[diagonal].any() or wrong[~diagonal].double().mean() < 0.5:
        return []
    words = "is right on the diagonal alone, as if a sum over one dimension were broadcast along another"
    return [("grad-value", f"{words}: a reduction that lost its dimension (keepdim=True keeps it)")]


def border(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Right inside and wrong along the border: entries that padding copies get nothing for their copies."""
    copies = "an entry that padding repeats (reflect, replicate, circular) is also due what its copies get"
    if actual.dim() == grad_output.dim() and actual.shape != grad_output.shape:
        sizes = list(zip(grad_output.shape, actual.shape, strict=True))
        center = tuple(slice((large - small) // 2, (large - small) // 2 + small) for large, small in sizes)
        if all(large >= small for large, small in sizes) and evidence.same(actual, grad_output[center]):
            return [("grad-value", f"is grad_output cut to the shape of {evidence.name}: {copies}")]
    wrong = _wrong(actual, grad_output, evidence)
    for dims in (1, 2):
        if actual.dim() < dims:
            break
        for width in range(1, (min(actual.shape[-dims:]) - 1) // 2 + 1):
            edge = torch.ones_like(wrong)
            middle: Any = (..., *(slice(width, -width),) * dims)
            edge[middle] = False
            if not wrong[~edge].any() and wrong[edge].double().mean() > 0.9:
                return [("grad-value", f"is right inside and wrong along the border, {width} wide: {copies}")]
    return []


def _wrong(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> Tensor:
    """Return which entries are wrong."""
    expected = evidence.slope.pull(grad_output)
    return (actual - expected).abs() > evidence.tolerance.margin(expected) + evidence.slope.margin(grad_output)
