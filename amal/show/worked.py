"""A worked example: computed on paper, by the operation, and measured by small steps, side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor

from amal.graph.drawing import shape_text
from amal.proofs.matrix import verdict
from amal.text import columns, wrap

from .examples import EXAMPLES, Example, FixedCase
from .quantity import Index, Line, Paper, entry, indices, numeral, slope

STEP = 1e-5
"""Step of a central difference in float64: below it rounding outweighs the formula's error."""
PROPERTIES = {
    "gradcheck": "torch.autograd.gradcheck",
    "gradgradcheck": "torch.autograd.gradgradcheck, of second derivatives",
    "exact shapes": "each gradient of exactly its input's shape, which gradcheck does not ask",
}
"""Properties of amal.proofs that an example is checked for -> their names on the page."""


@dataclass(frozen=True)
class Comparison:
    """One number, found in three ways; None if it is not on the paper, or has no slope."""

    name: str
    paper: float | None
    computed: float
    measured: float | None = None

    @property
    def error(self) -> float:
        """The largest difference of the computed number from the others."""
        return max(abs(self.computed - other) for other in (self.paper, self.measured) if other is not None)


@dataclass(frozen=True)
class WorkedExample:
    """An example with all its results."""

    example: Example
    paper: Paper
    output: tuple[Comparison, ...]
    gradients: tuple[Comparison, ...]
    verdicts: dict[str, tuple[bool | None, str]]
    """Property -> whether it holds for this example, and the reason if not."""


def work(op: str, operation: Callable[..., Tensor] | None = None) -> WorkedExample:
    """Compute the example of an operation.

    Args:
        op: its name, such as `linear`.
        operation: a function of the example's variables to examine in its place; None for amal's own.
    """
    example = EXAMPLES[op]
    call = operation or example.call(op)
    paper, variables, grad_output = example.on_paper(), example.tensors(), example.gradient()
    output = call(*variables)
    value = output.detach()
    computed = torch.autograd.grad(output, variables, grad_output, allow_unused=True)
    on_paper = {line.name: line.quantity.value for line in paper.lines if isinstance(line, Line)}

    values = [
        Comparison(name, on_paper.get(name), float(value[index]))
        for index in indices(value)
        for name in (entry(example.output, index),)
    ]
    gradients = []
    for position, (variable, gradient) in enumerate(zip(example.variables, computed, strict=True)):
        for index in indices(variables[position]):
            name = slope("L", entry(variable.letter, index))
            number = 0.0 if gradient is None else float(gradient[index])
            measured = measure(call, variables, position, index, grad_output)
            gradients.append(Comparison(name, on_paper.get(name), number, measured))
    shapes = tuple(tuple(tensor.shape) for tensor in variables)
    case = FixedCase(op, call, call, shapes, example=example)
    verdicts = {name: verdict(name, case) for name in PROPERTIES}
    return WorkedExample(example, paper, tuple(values), tuple(gradients), verdicts)


def measure(
    call: Callable[..., Tensor], variables: tuple[Tensor, ...], position: int, index: Index, grad_output: Tensor
) -> float:
    """Return the slope of Σ grad_output · output along one entry, by a central difference."""

    def value_after(step: float) -> float:
        tensors = [tensor.detach().clone() for tensor in variables]
        tensors[position][index] += step
        return float((call(*tensors) * grad_output).sum())

    return (value_after(STEP) - value_after(-STEP)) / (2 * STEP)


def as_text(worked: WorkedExample, width: int) -> str:
    """Format an example for a terminal of this width."""
    parts = [
        _variables(worked.example, width),
        *_calculation(worked.paper, width),
        _comparison(worked, width),
        _verdicts(worked),
    ]
    return "\n\n".join(part for part in parts if part)


def _variables(example: Example, width: int) -> str:
    tensors = {f"{variable.letter} = {variable.argument}": variable.numbers for variable in example.variables}
    tensors["g = grad_output"] = example.grad_output
    blocks = [_block(title, torch.tensor(numbers)) for title, numbers in tensors.items()]
    lines: list[str] = []
    while blocks:  # as many side by side as fit
        count = 1
        while count < len(blocks) and sum(max(map(len, block)) + 4 for block in blocks[: count + 1]) <= width:
            count += 1
        lines += columns(zip_longest(*blocks[:count], fillvalue=""), gap="    ")
        blocks = blocks[count:]
    constants = ", ".join(f"{name}={_constant(value)}" for name, value in example.constants.items())
    sentences = [f"With {constants}."] if constants else []
    sentences += [example.note] if example.note else []
    g = "g is 2, as if the program went on with twice the loss." if example.output == "L" else "g = ∂L/∂y."
    sentences.append(f"Indices count from 0, as in Python. {g}")
    return "\n".join([*lines, "", *(line for sentence in sentences for line in wrap(sentence, width))])


def _constant(value: object) -> str:
    return str(value.tolist()) if isinstance(value, Tensor) else repr(value)


def _block(title: str, tensor: Tensor) -> list[str]:
    """Return a title with the tensor's shape, and its numbers below."""
    matrix = tensor.reshape(-1, tensor.shape[-1]) if tensor.dim() else tensor.reshape(1, 1)
    cells = [[numeral(float(number)) for number in row] for row in matrix]
    widest = max(len(cell) for row in cells for cell in row)
    rows = columns(cells, ">", widths=[widest] * matrix.shape[1])
    return [f"{title} {shape_text(tuple(tensor.shape))}", *(f"  {row}" for row in rows)]


def _calculation(paper: Paper, width: int) -> list[str]:
    parts: list[list[str]] = []
    for line in paper.lines:
        if isinstance(line, str):
            parts.append(wrap(line, width, 4))
        else:
            parts[-1] += _equation(line, width)
    return ["\n".join(part) for part in parts]


def _equation(line: Line, width: int) -> list[str]:
    """Write name = symbols = numbers = value, on several lines if it is too long for one."""
    quantity = line.quantity
    sides = [quantity.symbols]
    for text in (quantity.numbers, numeral(quantity.value)):
        if text != sides[-1]:
            sides.append(text)
    equation = f"  {line.name} = {' = '.join(sides)}"
    if len(equation) <= width:
        return [equation]
    indent = len(line.name) + 3
    first, *rest = sides
    lines = wrap(f"= {first}", width, indent + 4, f"  {line.name} ")
    for side in rest:
        lines += wrap(f"= {side}", width, indent + 4, " " * indent)
    return lines


def _comparison(worked: WorkedExample, width: int) -> str:
    table = [
        ("output", "on paper", "forward", "", "difference"),
        *map(_row, worked.output),
        ("gradient", "on paper", "backward", "slope", "difference"),
        *map(_row, worked.gradients),
    ]
    total = "g L" if worked.example.output == "L" else f"Σ g {worked.example.output}"
    heading = f"the same by the operation; slopes are measured, (f(x + h) − f(x − h)) / 2h, f = {total}, h = {STEP:g}"
    return "\n".join([*wrap(heading, width, 4), *(f"  {line}" for line in columns(table, "<>"))])


def _row(comparison: Comparison) -> tuple[str, ...]:
    numbers = (comparison.paper, comparison.computed, comparison.measured)
    texts = ("" if number is None else numeral(number) for number in numbers)
    return (comparison.name, *texts, f"{comparison.error:.0e}" if comparison.error else "0")


def _verdicts(worked: WorkedExample) -> str:
    lines = ["verdict, on these numbers"]
    for name, (holds, reason) in worked.verdicts.items():
        lines.append(f"  {PROPERTIES[name]}: {holds}")
        lines += [f"    {line}" for line in reason.strip().splitlines()[:6]]
    return "\n".join(lines)
