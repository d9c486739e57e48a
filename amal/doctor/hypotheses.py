"""Why is a gradient wrong? Each hypothesis is a computation; the one that gives what backward gave is right.

Nothing is concluded from error messages. Is a factor missing? The gradient is divided by the slope. Are
two gradients exchanged? Each is compared with the other's slope. And so on.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any, TypeGuard

import torch
from torch import Tensor

from .evidence import Evidence, Explanation, factor_text
from .missing_terms import border, halves, lost_dimension, repeats

# ---------------------------------------------------------------------------------- shape


def explain_shape(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> tuple[Explanation, Tensor | None]:
    """Say why a gradient has another shape than its input; return it in that shape too, if that can be had."""
    shape, expected = evidence.slope.shape, evidence.slope.pull(grad_output)
    shapes = f"has shape {tuple(actual.shape)}, and {evidence.name} has {tuple(shape)}"
    sums_up = _sums_up(actual, shape)
    not_summed = ("not-summed", f"is not summed over the batch: it {shapes}")
    if sums_up and actual.numel() > shape.numel() and evidence.same(actual.sum_to_size(shape), expected):
        return not_summed, actual.sum_to_size(shape)
    for other, slope in evidence.slopes.items():
        if other != evidence.position and evidence.same(actual, slope.pull(grad_output)):
            return ("grad-order", f"is that of {evidence.names[other]}"), None
    if actual.dim() == 2 and actual.mT.shape == shape:
        return ("grad-transposed", f"is transposed: it {shapes}"), actual.mT
    sums = [dim for dim in range(grad_output.dim()) if evidence.same(actual, grad_output.sum(dim).to(actual))]
    if sums and not evidence.same(actual.sum_to_size(shape) if sums_up else actual, expected):
        return ("grad-shape", f"is summed over the wrong dimension, {sums[0]}: it {shapes}"), None
    if actual.numel() == shape.numel():
        by_ones = [size for size in actual.shape if size != 1] == [size for size in shape if size != 1]
        words = "has a dimension of size 1 too many or too few: it " if by_ones else ""
        return ("grad-shape", f"{words}{shapes}"), actual.reshape(shape)
    if sums_up:
        return not_summed, actual.sum_to_size(shape)
    if actual.numel() == 1:
        return ("grad-shape", f"is summed over everything: it {shapes}"), None
    return ("grad-shape", shapes), None


def _sums_up(actual: Tensor, shape: torch.Size) -> bool:
    """Whether a sum over dimensions gives the shape."""
    try:
        actual.sum_to_size(shape)
    except RuntimeError:
        return False
    return actual.dim() >= len(shape)


# ---------------------------------------------------------------------------------- value


def explain_value(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> Sequence[Explanation]:
    """Say why a gradient of the right shape has the wrong values."""
    actual = actual.double()
    if not torch.isfinite(actual).all():
        return [("grad-value", "is not finite")]
    hypotheses = (_factor, _exchange, _transpose, _symmetry, repeats, halves, lost_dimension, border, _point, _part)
    for hypothesis in hypotheses:
        explanations = hypothesis(actual, grad_output, evidence)
        if explanations:
            return explanations
    return [("grad-value", "is not the slope of the output")]


def _factor(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    expected = evidence.slope.pull(grad_output)
    if not expected.any():
        words = f"is not 0, although the output does not change with {evidence.name}; if that is on purpose"
        return [("grad-value", f"{words}, say whose derivative it is: a surrogate")]
    if not actual.any():
        return [("grad-value", "is 0 everywhere, as if the output did not depend on it")]
    ratio = float((actual * expected).sum() / (expected * expected).sum())
    if not evidence.same(actual, ratio * expected):
        return []
    factor = abs(ratio)
    words = f"is {factor_text(factor)} times what it should be{factor_name(factor, evidence)}"
    sign = [("grad-sign", "has the wrong sign")] if ratio < 0 else []
    return [*sign, ("grad-factor", words)] if abs(factor - 1) > 1e-5 else sign


def factor_name(factor: float, evidence: Evidence) -> str:
    """Say what a factor is: a fraction of the sizes that are at hand, such as the batch size."""
    sizes = {2.0: "2"}
    first = next((value for value in evidence.arguments if isinstance(value, Tensor) and value.dim()), None)
    if first is not None:
        sizes.setdefault(float(len(first)), f"the batch size {len(first)}")
        sizes.setdefault(float(first.numel()), f"the number of entries {first.numel()}")
        sizes.setdefault(float(first.shape[-1]), f"the number of columns {first.shape[-1]} of {evidence.names[0]}")
    if evidence.output.dim():
        columns, entries = evidence.output.shape[-1], evidence.output.numel()
        sizes.setdefault(float(columns), f"the number of columns {columns} of the output")
        sizes.setdefault(float(entries), f"the number of entries {entries} of the output")
    sizes.pop(0.0, None)
    candidates = [pair for size, words in sizes.items() for pair in ((size, words), (1 / size, f"1 / {words}"))]
    for a, b in combinations_with_replacement(sizes, 2):
        if a != 1 and b != 1:
            product, words = a * b, f"{sizes[a]} times {sizes[b]}"
            candidates += [(product, words), (a / b, f"{sizes[a]} / {sizes[b]}")]
            candidates += [(b / a, f"{sizes[b]} / {sizes[a]}"), (1 / product, f"1 / ({words})")]
    names = (words for value, words in candidates if abs(factor - value) < 1e-5 * value)
    name = next(names, "2")
    return "" if name in ("2", "1 / 2") else f": {name}"


def _exchange(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    for other, slope in evidence.slopes.items():
        if other != evidence.position and evidence.same(actual, slope.pull(grad_output)):
            return [("grad-order", f"is that of {evidence.names[other]}")]
    return []


def _is_square(value: Any) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.dim() == 2 and value.shape[0] == value.shape[1]


def _transpose(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Transposed itself, or made of another input or of grad_output transposed."""
    if _is_square(actual) and evidence.same(actual.mT, evidence.slope.pull(grad_output)):
        return [("grad-transposed", "is transposed")]
    squares = [(other, value.mT) for other, value in enumerate(evidence.arguments) if _is_square(value)]
    for other, value in squares:
        if evidence.is_gradient_with(actual, other, value, grad_output):
            return [("grad-transposed", f"is what it would be if {evidence.names[other]} were transposed")]
    if _is_square(grad_output):
        if evidence.same(actual, evidence.slope.pull(grad_output.mT)):
            return [("grad-transposed", "is what it would be if grad_output were transposed")]
        for other, value in squares:
            if evidence.is_gradient_with(actual, other, value, grad_output.mT):
                return [("grad-transposed", f"is made of {evidence.names[other]} and grad_output, both transposed")]
    return []


def _symmetry(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Right along all symmetric matrices, as that of an operation is which lives on them."""
    expected, name = evidence.slope.pull(grad_output), evidence.name
    is_square = actual.dim() >= 2 and actual.shape[-1] == actual.shape[-2]
    if not is_square or not evidence.same(actual + actual.mT, expected + expected.mT):
        return []
    words = "is right but for its antisymmetric part; if the operation takes symmetric matrices alone, check it through"
    return [("grad-value", f"{words} a callable that makes one: lambda {name}: f(({name} + {name}.mT) / 2)")]


def _point(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Evaluated at another point than the input."""
    argument, output, position = evidence.arguments[evidence.position], evidence.output, evidence.position
    if argument.shape == output.shape:
        if evidence.is_gradient_with(actual, position, output, grad_output):
            return [("grad-value", "is evaluated at the output, where the input is due")]
        if evidence.gradient_by_output is not None and evidence.same(
            actual, evidence.gradient_by_output(argument, grad_output)
        ):
            return [("grad-value", "is evaluated at the input, in a form that wants the output")]
    for other, value in enumerate(evidence.arguments):
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        name, alike = evidence.names[other], other != position and value.shape == argument.shape
        if alike and evidence.is_gradient_with(actual, other, argument.double(), grad_output):
            return [("grad-value", f"is made of {evidence.name} where {name} is due")]
        for factor, words in ((0.5, "half of"), (2.0, "twice"), (-1.0, "minus"), (0.0, "0 in the place of")):
            if (factor or other != position) and evidence.is_gradient_with(actual, other, factor * value, grad_output):
                return [("grad-value", f"is what it would be for {words} {name}")]
    return []


def _part(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Parts of it wrong: the mask, the diagonal alone, no local derivative at all."""
    expected, jacobian = evidence.slope.pull(grad_output), evidence.slope.jacobian
    if actual.shape == grad_output.shape:
        if evidence.same(actual, grad_output):
            return [("grad-value", "is grad_output itself: the derivative of this function is left out")]
        diagonal = torch.diagonal(jacobian).reshape(actual.shape)
        if _is_square(jacobian) and evidence.same(actual, diagonal * grad_output.double()):
            return [("grad-value", "takes each output to depend on one entry of the input alone, the one in its place")]
    wrong = (actual - expected).abs() > evidence.tolerance.relative * (1 + float(expected.abs().max()))
    if not wrong.any() or wrong.all():
        return []
    count = f"in {int(wrong.sum())} of {wrong.numel()} entries"
    argument = evidence.arguments[evidence.position].double()
    for words, region in (("negative", argument < 0), ("positive", argument > 0)):
        if torch.equal(wrong, region):
            return [("grad-value", f"is wrong exactly where {evidence.name} is {words}")]
    if not actual[wrong].any():
        return [("grad-value", f"is 0 where it should not be, {count}")]
    if not expected[wrong].any():
        return [("grad-value", f"is not 0 where it should be, {count}")]
    if evidence.same(-actual[wrong], expected[wrong]):
        return [("grad-sign", f"has the wrong sign {count}")]
    return [("grad-value", f"is wrong {count}")]
