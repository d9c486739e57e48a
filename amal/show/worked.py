"""A worked example, computed: on paper, by the operation, and measured by small steps, side by side."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from amal.proofs.matrix import verdict

from .examples import EXAMPLES, Example, FixedCase
from .quantity import Index, Line, Paper, entry, indices, short, slope

STEP = 1e-5
"""Of a central difference in float64: smaller, and rounding outweighs what the formula leaves out."""
PROPERTIES = {
    "gradcheck": "torch.autograd.gradcheck",
    "gradgradcheck": "torch.autograd.gradgradcheck, of second derivatives",
    "exact shapes": "each gradient of exactly its input's shape, which gradcheck does not ask",
}
"""Of those that amal.proofs has, what is asked of an example, in words."""


@dataclass(frozen=True)
class Comparison:
    """One number from three sides; what was not written, or has no slope, is None."""

    name: str
    paper: float | None
    computed: float
    measured: float | None = None

    @property
    def error(self) -> float:
        """The largest difference of the computed number from the others."""
        return max(abs(self.computed - other) for other in (self.paper, self.measured) if other is not None)


@dataclass(frozen=True)
class Worked:
    """What came of an example."""

    example: Example
    paper: Paper
    output: tuple[Comparison, ...]
    gradients: tuple[Comparison, ...]
    verdicts: dict[str, tuple[bool | None, str]]
    """Property -> whether it holds of this example, and why not."""


def work(op: str, operation: Callable[..., Tensor] | None = None) -> Worked:
    """Follow the example of an operation.

    Args:
        op: its name, such as `linear`.
        operation: a function to put in its place, of the example's variables in order; None for amal's own.
    """
    example = EXAMPLES[op]
    call = operation or example.call(op)
    paper, variables, grad_output = example.on_paper(), example.tensors(), example.gradient()
    output = call(*variables)
    value = output.detach()
    returned = torch.autograd.grad(output, variables, grad_output, allow_unused=True)
    written = {line.name: line.quantity.value for line in paper.lines if isinstance(line, Line)}

    values = [
        Comparison(name, written.get(name), float(value[index]))
        for index in indices(value)
        for name in (entry(example.output, index),)
    ]
    gradients = []
    for place, (variable, gradient) in enumerate(zip(example.variables, returned, strict=True)):
        for index in indices(variables[place]):
            name = slope("L", entry(variable.letter, index))
            computed = 0.0 if gradient is None else float(gradient[index])
            measured = measure(call, variables, place, index, grad_output)
            gradients.append(Comparison(name, written.get(name), computed, measured))
    shapes = tuple(tuple(tensor.shape) for tensor in variables)
    case = FixedCase(op, call, call, shapes, example=example)
    verdicts = {name: verdict(name, case) for name in PROPERTIES}
    return Worked(example, paper, tuple(values), tuple(gradients), verdicts)


def measure(
    call: Callable[..., Tensor], variables: tuple[Tensor, ...], place: int, index: Index, grad_output: Tensor
) -> float:
    """Return the slope of Σ grad_output · output by one entry of one variable, by a central difference."""

    def moved(step: float) -> float:
        tensors = [tensor.detach().clone() for tensor in variables]
        tensors[place][index] += step
        return float((call(*tensors) * grad_output).sum())

    return (moved(STEP) - moved(-STEP)) / (2 * STEP)


def as_text(worked: Worked, width: int) -> str:
    """Set an example for a terminal of this width."""
    parts = [
        _given(worked.example, width),
        *_calculation(worked.paper, width),
        _compared(worked, width),
        _verdicts(worked),
    ]
    return "\n\n".join(part for part in parts if part)


def _given(example: Example, width: int) -> str:
    blocks = [(f"{of.letter} = {of.argument}", torch.tensor(of.numbers)) for of in example.variables]
    blocks.append(("g = grad_output", example.gradient()))
    drawn = [[f"{title} {_shape(tensor)}", *_rows(tensor)] for title, tensor in blocks]
    lines: list[str] = []
    while drawn:  # as many side by side as fit
        taken = 1
        while taken < len(drawn) and sum(max(map(len, block)) + 4 for block in drawn[: taken + 1]) <= width:
            taken += 1
        lines += _beside(drawn[:taken])
        drawn = drawn[taken:]
    constants = ", ".join(f"{name}={_constant(value)}" for name, value in example.constants.items())
    told = [f"With {constants}."] if constants else []
    told += [example.note] if example.note else []
    g = "g is 2, as if the program went on with twice the loss." if example.output == "L" else "g = ∂L/∂y."
    told.append(f"Indices count from 0, as in Python. {g}")
    return "\n".join([*lines, "", *(wrapped for text in told for wrapped in _wrapped(text, width, 0))])


def _constant(value: object) -> str:
    return str(value.tolist()) if isinstance(value, Tensor) else repr(value)


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"


def _rows(tensor: Tensor) -> list[str]:
    matrix = tensor.reshape(-1, tensor.shape[-1]) if tensor.dim() else tensor.reshape(1, 1)
    cells = [[short(float(number)) for number in row] for row in matrix]
    widest = max(len(cell) for row in cells for cell in row)
    return ["  " + "  ".join(cell.rjust(widest) for cell in row) for row in cells]


def _beside(blocks: list[list[str]]) -> list[str]:
    height = max(map(len, blocks))
    padded = [[line.ljust(max(map(len, block))) for line in block + [""] * (height - len(block))] for block in blocks]
    return ["    ".join(lines).rstrip() for lines in zip(*padded, strict=True)]


def _calculation(paper: Paper, width: int) -> list[str]:
    parts: list[list[str]] = []
    for line in paper.lines:
        if isinstance(line, str):
            parts.append(_wrapped(line, width, 4))
        else:
            parts[-1] += written(line, width)
    return ["\n".join(part) for part in parts]


def written(line: Line, width: int) -> list[str]:
    """Write one line of a calculation: name = symbols = numbers = value, on several lines where it is too long."""
    quantity, value = line.quantity, short(line.quantity.value)
    sides = [quantity.symbols]
    for text in (quantity.numbers, value):
        if text != sides[-1]:
            sides.append(text)
    one = f"  {line.name} = {' = '.join(sides)}"
    if len(one) <= width:
        return [one]
    indent = " " * (len(line.name) + 3)
    wrapped = [_wrapped(f"= {side}", width - len(indent), 4) for side in sides]
    below = [indent + text for side in wrapped for text in side]
    return [f"  {line.name} {below[0].strip()}", *below[1:]]


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(text, max(width, 40), subsequent_indent=" " * indent, break_long_words=False)


def _compared(worked: Worked, width: int) -> str:
    title = ("gradient", "on paper", "backward", "slope", "difference")
    rows: list[tuple[str, ...]] = [("output", "on paper", "forward", "", "difference")]
    rows += [_row(of) for of in worked.output]
    rows += [title, *(_row(of) for of in worked.gradients)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(size) if not place else cell.rjust(size) for place, (cell, size) in enumerate(cells))
        for cells in (zip(row, widths, strict=True) for row in rows)
    ]
    total = "g L" if worked.example.output == "L" else f"Σ g {worked.example.output}"
    heading = f"the same by the operation; slopes are measured, (f(x + h) − f(x − h)) / 2h, f = {total}, h = {STEP:g}"
    return "\n".join([*_wrapped(heading, width, 4), *(f"  {line}".rstrip() for line in lines)])


def _row(of: Comparison) -> tuple[str, ...]:
    numbers = ("" if number is None else short(number) for number in (of.paper, of.computed, of.measured))
    return (of.name, *numbers, f"{of.error:.0e}" if of.error else "0")


def _verdicts(worked: Worked) -> str:
    lines = ["verdict, on these numbers"]
    for name, (holds, why) in worked.verdicts.items():
        lines.append(f"  {PROPERTIES[name]}: {holds}")
        lines += [f"    {line}" for line in why.strip().splitlines()[:6]]
    return "\n".join(lines)
