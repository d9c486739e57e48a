"""Why is a gradient wrong? Each hypothesis is a computation; the one that gives what backward gave is the diagnosis.

Nothing is concluded from error messages. To ask whether a factor is missing, the gradient is divided by the slope that
was measured; to ask whether two gradients are exchanged, each is compared with the other's slope; and so on.
"""

from itertools import combinations_with_replacement

import torch
from torch import Tensor

from .evidence import Evidence as Evidence
from .evidence import Explanation, factor_text
from .evidence import Tolerance as Tolerance
from .evidence import same as same
from .evidence import worst_entry as worst_entry
from .missing_terms import border, halves, repeated, squeezed

# ---------------------------------------------------------------------------------- shape


def explain_shape(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> tuple[Explanation, Tensor | None]:
    """Say why a gradient has not the shape of its input; return the gradient in that shape too, if it can be had."""
    slope = evidence.slopes[evidence.position]
    wanted, expected = slope.shape, slope.pull(grad_output)
    shapes = f"has shape {tuple(actual.shape)}, and {evidence.name} has {tuple(wanted)}"
    larger = actual.numel() > wanted.numel() and _fits(actual, wanted)
    if larger and evidence.same(actual.sum_to_size(wanted), expected):
        return ("not-summed", f"is not summed over the batch: it {shapes}"), actual.sum_to_size(wanted)
    for other, of in evidence.slopes.items():
        if other != evidence.position and evidence.same(actual, of.pull(grad_output)):
            return ("grad-order", f"is that of {evidence.names[other]}"), None
    if actual.dim() == 2 and actual.mT.shape == wanted:
        return ("grad-transposed", f"is transposed: it {shapes}"), actual.mT
    sums = [dim for dim in range(grad_output.dim()) if evidence.same(actual, grad_output.sum(dim).to(actual))]
    if sums and not evidence.same(actual.sum_to_size(wanted) if _fits(actual, wanted) else actual, expected):
        return ("grad-shape", f"is summed over the wrong dimension, {sums[0]}: it {shapes}"), None
    if actual.numel() == wanted.numel():
        kept = [size for size in actual.shape if size != 1] == [size for size in wanted if size != 1]
        words = "has a dimension of size 1 too many or too few: it " if kept else ""
        return ("grad-shape", f"{words}{shapes}"), actual.reshape(wanted)
    if _fits(actual, wanted):
        return ("not-summed", f"is not summed over the batch: it {shapes}"), actual.sum_to_size(wanted)
    if actual.numel() == 1:
        return ("grad-shape", f"is summed over everything: it {shapes}"), None
    return ("grad-shape", shapes), None


def _fits(actual: Tensor, wanted: torch.Size) -> bool:
    """Whether a sum over dimensions would give the shape."""
    try:
        actual.sum_to_size(wanted)
    except RuntimeError:
        return False
    return actual.dim() >= len(wanted)


# ---------------------------------------------------------------------------------- value


def explain_value(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Say why a gradient of the right shape has the wrong values."""
    actual = actual.double()
    if not torch.isfinite(actual).all():
        return [("grad-value", "is not finite")]
    for hypothesis in (_factor, _exchanged, _turned, _symmetric, repeated, halves, squeezed, border, _where, _local):
        found = hypothesis(actual, grad_output, evidence)
        if found:
            return found
    return [("grad-value", "is not the slope of the output")]


def _factor(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    expected = evidence.slopes[evidence.position].pull(grad_output)
    if not expected.any():
        words = f"is not 0, although the output does not change with {evidence.name}; if that is on purpose"
        return [("grad-value", f"{words}, say whose derivative it is: a surrogate")]
    if not actual.any():
        return [("grad-value", "is 0 everywhere, as if the output did not depend on it")]
    ratio = float((actual * expected).sum() / (expected * expected).sum())
    if not evidence.same(actual, ratio * expected):
        return []
    found: list[Explanation] = []
    if ratio < 0:
        found.append(("grad-sign", "has the wrong sign"))
    if abs(abs(ratio) - 1) > 1e-5:
        found.append(
            ("grad-factor", f"is {factor_text(abs(ratio))} times what it should be{named_factor(abs(ratio), evidence)}")
        )
    return found


def named_factor(factor: float, evidence: Evidence) -> str:
    """Say what a factor is: a fraction of the sizes that are at hand, such as the batch size."""
    sizes = {2.0: "2"}
    first = next((of for of in evidence.arguments if isinstance(of, Tensor) and of.dim()), None)
    if first is not None:
        sizes.setdefault(float(len(first)), f"the batch size {len(first)}")
        sizes.setdefault(float(first.numel()), f"the number of entries {first.numel()}")
        sizes.setdefault(float(first.shape[-1]), f"the number of columns {first.shape[-1]} of {evidence.names[0]}")
    if evidence.output.dim():
        columns, entries = evidence.output.shape[-1], evidence.output.numel()
        sizes.setdefault(float(columns), f"the number of columns {columns} of the output")
        sizes.setdefault(float(entries), f"the number of entries {entries} of the output")
    for size, words in sizes.items():
        for value, what in ((size, words), (1 / size, f"1 / {words}")):
            if abs(factor - value) < 1e-5 * value:
                return f": {what}" if size != 2 else ""
    pairs = [(a, b) for a, b in combinations_with_replacement(sizes, 2) if a != 1 and b != 1]
    for a, b in pairs:
        for value, what in (
            (a * b, f"{sizes[a]} times {sizes[b]}"),
            (a / b, f"{sizes[a]} / {sizes[b]}"),
            (b / a, f"{sizes[b]} / {sizes[a]}"),
            (1 / (a * b), f"1 / ({sizes[a]} times {sizes[b]})"),
        ):
            if abs(factor - value) < 1e-5 * value:
                return f": {what}"
    return ""


def _exchanged(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    for other, slope in evidence.slopes.items():
        if other != evidence.position and evidence.same(actual, slope.pull(grad_output)):
            return [("grad-order", f"is that of {evidence.names[other]}")]
    return []


def _turned(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Transposed itself, or made of another input or of grad_output transposed."""
    expected = evidence.slopes[evidence.position].pull(grad_output)
    if actual.dim() == 2 and actual.shape[0] == actual.shape[1] and evidence.same(actual.mT, expected):
        return [("grad-transposed", "is transposed")]
    for other, argument in enumerate(evidence.arguments):
        square = isinstance(argument, Tensor) and argument.dim() == 2 and argument.shape[0] == argument.shape[1]
        if square and evidence.as_if(actual, other, argument.mT, grad_output):
            return [("grad-transposed", f"is what it would be if {evidence.names[other]} were transposed")]
    if grad_output.dim() == 2 and grad_output.shape[0] == grad_output.shape[1]:
        turned = evidence.slopes[evidence.position].pull(grad_output.mT)
        if evidence.same(actual, turned):
            return [("grad-transposed", "is what it would be if grad_output were transposed")]
        for other, argument in enumerate(evidence.arguments):
            square = isinstance(argument, Tensor) and argument.dim() == 2 and argument.shape[0] == argument.shape[1]
            if square and evidence.as_if(actual, other, argument.mT, grad_output.mT):
                return [("grad-transposed", f"is made of {evidence.names[other]} and grad_output, both transposed")]
    return []


def _symmetric(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Right along all symmetric matrices, as that of an operation is which lives on them."""
    expected = evidence.slopes[evidence.position].pull(grad_output)
    if (
        actual.dim() < 2
        or actual.shape[-1] != actual.shape[-2]
        or not evidence.same(actual + actual.mT, expected + expected.mT)
    ):
        return []
    words = "is right but for its antisymmetric part; if the operation takes symmetric matrices alone, check it through"
    return [
        (
            "grad-value",
            f"{words} a callable that makes one: lambda {evidence.name}: f(({evidence.name} + {evidence.name}.mT) / 2)",
        )
    ]


def _where(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Evaluated at another point than the input."""
    argument, output = evidence.arguments[evidence.position], evidence.output
    if argument.shape == output.shape:
        if evidence.as_if(actual, evidence.position, output, grad_output):
            return [("grad-value", "is evaluated at the output, where the input is due")]
        if evidence.of_output is not None and evidence.same(actual, evidence.of_output(argument, grad_output)):
            return [("grad-value", "is evaluated at the input, in a form that wants the output")]
    for other, one in enumerate(evidence.arguments):
        if isinstance(one, Tensor) and one.is_floating_point():
            alike = other != evidence.position and one.shape == argument.shape
            if alike and evidence.as_if(actual, other, argument.double(), grad_output):
                return [("grad-value", f"is made of {evidence.name} where {evidence.names[other]} is due")]
            for factor, words in ((0.5, "half of"), (2.0, "twice"), (-1.0, "minus"), (0.0, "0 in the place of")):
                if other == evidence.position and factor == 0:
                    continue
                if evidence.as_if(actual, other, factor * one, grad_output):
                    return [("grad-value", f"is what it would be for {words} {evidence.names[other]}")]
    return []


def _local(actual: Tensor, grad_output: Tensor, evidence: Evidence) -> list[Explanation]:
    """Parts of it wrong: the mask, the diagonal alone, no local derivative at all."""
    expected = evidence.slopes[evidence.position].pull(grad_output)
    jacobian = evidence.slopes[evidence.position].jacobian
    if actual.shape == grad_output.shape:
        if evidence.same(actual, grad_output):
            return [("grad-value", "is grad_output itself: the derivative of this function is left out")]
        diagonal = torch.diagonal(jacobian).reshape(actual.shape)
        if jacobian.shape[0] == jacobian.shape[1] and evidence.same(actual, diagonal * grad_output.double()):
            return [("grad-value", "takes each output to depend on one entry of the input alone, the one in its place")]
    margin = evidence.tolerance.relative * (1 + float(expected.abs().max()))
    wrong = (actual - expected).abs() > margin
    if not wrong.any() or wrong.all():
        return []
    count = f"in {int(wrong.sum())} of {wrong.numel()} entries"
    argument = evidence.arguments[evidence.position].double()
    for what, there in (("negative", argument < 0), ("positive", argument > 0)):
        if torch.equal(wrong, there):
            return [("grad-value", f"is wrong exactly where {evidence.name} is {what}")]
    if not actual[wrong].any():
        return [("grad-value", f"is 0 where it should not be, {count}")]
    if not expected[wrong].any():
        return [("grad-value", f"is not 0 where it should be, {count}")]
    if evidence.same(-actual[wrong], expected[wrong]):
        return [("grad-sign", f"has the wrong sign {count}")]
    return [("grad-value", f"is wrong {count}")]
