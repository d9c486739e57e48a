"""A calculation as one writes it on paper: with symbols, with numbers in their place, and its value.

A Quantity holds all three. Arithmetic with it writes the formula, puts the numbers in and computes
the value: the text cannot differ from the calculation.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product

from torch import Tensor

SUM, PRODUCT, ATOM = range(3)
"""The outermost operation of a formula, which decides where it needs brackets."""
Index = tuple[int, ...]


@dataclass(frozen=True)
class Quantity:
    """A formula, the same with numbers put in, and its value."""

    symbols: str
    numbers: str
    value: float
    level: int = ATOM

    def __add__(self, other: "Quantity | float") -> "Quantity":
        other = quantity(other)
        return self._join(other, " + ", " + ", self.value + other.value, SUM)

    def __radd__(self, other: "Quantity | float") -> "Quantity":
        return self if other == 0 else quantity(other) + self  # sum() begins with 0

    def __sub__(self, other: "Quantity | float") -> "Quantity":
        other = quantity(other)
        other = other if other.level > SUM else other.in_brackets()
        return self._join(other, " − ", " − ", self.value - other.value, SUM)

    def __rsub__(self, other: float) -> "Quantity":
        return quantity(other) - self

    def __mul__(self, other: "Quantity | float") -> "Quantity":
        other = quantity(other)
        left, right = (factor if factor.level > SUM else factor.in_brackets() for factor in (self, other))
        return left._join(right, " ", "·", self.value * other.value, PRODUCT)

    def __rmul__(self, other: float) -> "Quantity":
        return quantity(other) * self

    def __truediv__(self, other: "Quantity | float") -> "Quantity":
        other = quantity(other)
        left = self if self.level > SUM else self.in_brackets()
        right = other if other.level > PRODUCT else other.in_brackets()
        return left._join(right, " / ", " / ", self.value / other.value, PRODUCT)

    def __rtruediv__(self, other: float) -> "Quantity":
        return quantity(other) / self

    def __neg__(self) -> "Quantity":
        term = self if self.level > SUM else self.in_brackets()
        return Quantity(f"−{term.symbols}", f"−{_protect(term.numbers)}", -self.value, SUM)

    def square(self) -> "Quantity":
        """Return the square."""
        base = self if self.level > PRODUCT else self.in_brackets()
        return Quantity(f"{base.symbols}²", f"{_protect(base.numbers)}²", self.value**2)

    def in_brackets(self) -> "Quantity":
        """Return the same in brackets."""
        return Quantity(f"({self.symbols})", f"({self.numbers})", self.value)

    def _join(self, other: "Quantity", sign: str, numbers_sign: str, value: float, level: int) -> "Quantity":
        first = _protect(self.numbers) if level == PRODUCT else self.numbers
        symbols = other.symbols if not other.symbols.startswith("−") else f"({other.symbols})"
        numbers = f"{first}{numbers_sign}{_protect(other.numbers)}"
        return Quantity(f"{self.symbols}{sign}{symbols}", numbers, value, level)


def _protect(numbers: str) -> str:
    return f"({numbers})" if numbers.startswith("−") else numbers


def quantity(number: Quantity | float) -> Quantity:
    """Return a number as a quantity whose symbol is the number itself."""
    return number if isinstance(number, Quantity) else Quantity(numeral(number), numeral(number), number)


def symbol(symbol: str, value: float) -> Quantity:
    """Return a quantity with a name."""
    return Quantity(symbol, numeral(value), value)


def call(name: str, function: Callable[..., float], *arguments: Quantity) -> Quantity:
    """Return a function of quantities, written with its name."""
    symbols, numbers = (
        ", ".join(texts)
        for texts in zip(*((argument.symbols, argument.numbers) for argument in arguments), strict=True)
    )
    return Quantity(f"{name}({symbols})", f"{name}({numbers})", function(*(argument.value for argument in arguments)))


exp = partial(call, "e^", math.exp)
log = partial(call, "log", math.log)
sqrt = partial(call, "√", math.sqrt)
sigmoid = partial(call, "σ", lambda number: 1 / (1 + math.exp(-number)))
sign = partial(call, "sign", lambda number: float((number > 0) - (number < 0)))


def truth(claim: str, holds: bool) -> Quantity:
    """Return [claim]: 1 if it holds, else 0."""
    return symbol(f"[{claim}]", float(holds))


def total(quantities: list[Quantity]) -> Quantity:
    """Return the sum; 0 for no quantities."""
    result: Quantity | float = sum(quantities)
    return quantity(result)


def mean(quantities: list[Quantity]) -> Quantity:
    """Return the sum, divided by how many there are."""
    return total(quantities) / len(quantities)


def numeral(number: float) -> str:
    """Return a number as text: four significant digits, at most twelve decimals, a real minus sign."""
    text = format(round(number, 12), ".4g").replace("-", "−")
    return "0" if text == "−0" else text


def entry(letter: str, index: Index) -> str:
    """Return the name of an entry: x_01, or x_00,12 in four dimensions. Indices count from 0."""
    digits = "".join(map(str, index))
    digits = digits if len(digits) < 4 else f"{digits[:2]},{digits[2:]}"
    return f"{letter}_{digits}" if digits else letter


def slope(output: str, variable: str) -> str:
    """Return the name of a derivative, ∂output/∂variable."""
    return f"∂{output}/∂{variable}"


def indices(tensor: Tensor) -> list[Index]:
    """Return the index of every entry."""
    return list(product(*map(range, tensor.shape)))


class Entries(dict[Index, Quantity]):
    """The entries of a tensor by their indices."""

    def __init__(self, entries: Mapping[Index, Quantity], shape: Index) -> None:
        super().__init__(entries)
        self.shape = shape

    @classmethod
    def from_tensor(cls, letter: str, tensor: Tensor) -> "Entries":
        """Return the entries of a tensor, each with its name."""
        entries = {index: symbol(entry(letter, index), float(tensor[index].detach())) for index in indices(tensor)}
        return cls(entries, tuple(tensor.shape))


@dataclass(frozen=True)
class Line:
    """One line of a calculation."""

    name: str
    quantity: Quantity


@dataclass
class Paper:
    """A sheet of paper: lines of a calculation, and headings between them, in order."""

    lines: list[Line | str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Begin a part of the calculation."""
        self.lines.append(text)

    def write(self, name: str, quantity: Quantity) -> Quantity:
        """Write `name = quantity`, and return the quantity under this name."""
        self.lines.append(Line(name, quantity))
        return symbol(name, quantity.value)

    def gradient(self, letter: str, index: Index, quantity: Quantity) -> None:
        """Write the derivative of the loss with respect to one entry of a variable."""
        self.write(slope("L", entry(letter, index)), quantity)
