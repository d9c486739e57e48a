"""A calculation as it is written on paper: with symbols, with numbers put in, and what it comes to.

A Quantity is all three at once. Arithmetic on it writes the formula, puts the numbers in and computes the value, so
that what is printed cannot differ from what was computed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product

from torch import Tensor

SUM, PRODUCT, ATOM = range(3)
"""How tightly a text holds together, and so whether it needs brackets."""
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
        return self._joined(other, " + ", " + ", self.value + other.value, SUM)

    def __radd__(self, other: "Quantity | float") -> "Quantity":
        return self if other == 0 else quantity(other) + self  # sum() begins with 0

    def __sub__(self, other: "Quantity | float") -> "Quantity":
        other = quantity(other)
        other = other if other.level > SUM else other.bracketed()
        return self._joined(other, " − ", " − ", self.value - other.value, SUM)

    def __rsub__(self, other: float) -> "Quantity":
        return quantity(other) - self

    def __mul__(self, other: "Quantity | float") -> "Quantity":
        other = quantity(other)
        left, right = (one if one.level > SUM else one.bracketed() for one in (self, other))
        return left._joined(right, " ", "·", self.value * other.value, PRODUCT)

    def __rmul__(self, other: float) -> "Quantity":
        return quantity(other) * self

    def __truediv__(self, other: "Quantity | float") -> "Quantity":
        other = quantity(other)
        left = self if self.level > SUM else self.bracketed()
        right = other if other.level > PRODUCT else other.bracketed()
        return left._joined(right, " / ", " / ", self.value / other.value, PRODUCT)

    def __rtruediv__(self, other: float) -> "Quantity":
        return quantity(other) / self

    def __neg__(self) -> "Quantity":
        of = self if self.level > SUM else self.bracketed()
        return Quantity(f"−{of.symbols}", f"−{_guarded(of.numbers)}", -self.value, SUM)

    def squared(self) -> "Quantity":
        """Return the square."""
        of = self if self.level > PRODUCT else self.bracketed()
        return Quantity(f"{of.symbols}²", f"{_guarded(of.numbers)}²", self.value**2)

    def bracketed(self) -> "Quantity":
        """Return the same in brackets."""
        return Quantity(f"({self.symbols})", f"({self.numbers})", self.value)

    def _joined(self, other: "Quantity", sign: str, numbers_sign: str, value: float, level: int) -> "Quantity":
        first = _guarded(self.numbers) if level == PRODUCT else self.numbers
        symbols = other.symbols if not other.symbols.startswith("−") else f"({other.symbols})"
        numbers = f"{first}{numbers_sign}{_guarded(other.numbers)}"
        return Quantity(f"{self.symbols}{sign}{symbols}", numbers, value, level)


def _guarded(numbers: str) -> str:
    return f"({numbers})" if numbers.startswith("−") else numbers


def quantity(number: Quantity | float) -> Quantity:
    """Return a number as a quantity that is its own symbol."""
    return number if isinstance(number, Quantity) else Quantity(short(number), short(number), number)


def known(symbol: str, value: float) -> Quantity:
    """Return a quantity that has a name."""
    return Quantity(symbol, short(value), value)


def of(name: str, function: Callable[..., float], *arguments: Quantity) -> Quantity:
    """Apply a function that has a name to quantities."""
    symbols, numbers = (", ".join(texts) for texts in zip(*((a.symbols, a.numbers) for a in arguments), strict=True))
    return Quantity(f"{name}({symbols})", f"{name}({numbers})", function(*(a.value for a in arguments)))


def exp(x: Quantity) -> Quantity:
    """Return eˣ."""
    return of("e^", math.exp, x)


def log(x: Quantity) -> Quantity:
    """Return the natural logarithm."""
    return of("log", math.log, x)


def sqrt(x: Quantity) -> Quantity:
    """Return the square root."""
    return of("√", math.sqrt, x)


def sigmoid(x: Quantity) -> Quantity:
    """Return 1 / (1 + e⁻ˣ)."""
    return of("σ", lambda number: 1 / (1 + math.exp(-number)), x)


def sign(x: Quantity) -> Quantity:
    """Return 1, 0 or −1."""
    return of("sign", lambda number: float((number > 0) - (number < 0)), x)


def whether(claim: str, holds: bool) -> Quantity:
    """Return [claim]: 1 if it holds, else 0."""
    return known(f"[{claim}]", float(holds))


def total(quantities: list[Quantity]) -> Quantity:
    """Return the sum; 0 of nothing."""
    added: Quantity | float = sum(quantities)
    return quantity(added)


def mean(quantities: list[Quantity]) -> Quantity:
    """Return the sum over the number."""
    return total(quantities) / len(quantities)


def short(number: float) -> str:
    """Write a number as one does on paper: with four significant digits, and twelve decimals at most."""
    text = format(round(number, 12), ".4g").replace("-", "−")
    return "0" if text == "−0" else text


def entry(letter: str, index: Index) -> str:
    """Name an entry: x_01, and of four dimensions x_00,12. Indices count from 0, as in Python."""
    digits = "".join(map(str, index))
    digits = digits if len(digits) < 4 else f"{digits[:2]},{digits[2:]}"
    return f"{letter}_{digits}" if digits else letter


def slope(of_what: str, by: str) -> str:
    """Name a derivative."""
    return f"∂{of_what}/∂{by}"


def indices(tensor: Tensor) -> list[Index]:
    """Return the index of every entry."""
    return list(product(*map(range, tensor.shape)))


class Entries(dict[Index, Quantity]):
    """The entries of a tensor by their indices."""

    def __init__(self, entries: Mapping[Index, Quantity], shape: Index) -> None:
        super().__init__(entries)
        self.shape = shape

    @classmethod
    def given(cls, letter: str, tensor: Tensor) -> "Entries":
        """Name the entries of a tensor."""
        entries = {index: known(entry(letter, index), float(tensor[index])) for index in indices(tensor)}
        return cls(entries, tuple(tensor.shape))


@dataclass(frozen=True)
class Line:
    """One line of a calculation."""

    name: str
    quantity: Quantity


@dataclass
class Paper:
    """What is written down, in order: lines, and headings between them."""

    lines: list[Line | str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.lines.append(text)

    def write(self, name: str, quantity: Quantity) -> Quantity:
        """Write what a name stands for, and return it by this name."""
        self.lines.append(Line(name, quantity))
        return known(name, quantity.value)

    def gradient(self, letter: str, index: Index, quantity: Quantity) -> None:
        """Write the derivative of the loss by one entry of a variable."""
        self.write(slope("L", entry(letter, index)), quantity)
