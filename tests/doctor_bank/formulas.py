"""A Function in a few lines: what forward and backward compute. Of each there are both forms, right and wrong."""

from collections.abc import Callable
from dataclasses import dataclass

from .calls import numbers

TEXT = """
class {name}(Function):
    @staticmethod
    def forward(ctx, {inputs}):
        {forward}
        ctx.save_for_backward({saved})
        return output

    @staticmethod
    def backward(ctx, grad_output):
        {saved}, = ctx.saved_tensors
        {lines}
        return {gradients}
"""
SEVERAL = """
class {name}(Function):
    @staticmethod
    def forward(ctx, {inputs}):
        ctx.save_for_backward({saved})
        {forward}

    @staticmethod
    def backward(ctx, g, h):
        {saved}, = ctx.saved_tensors
        {lines}
        return {gradients}
"""


@dataclass(frozen=True)
class Wrong:
    """One fault."""

    name: str
    codes: str
    gradients: str = ""
    lines: str = ""
    """Instead of the right ones; empty for the same."""
    forward: str = ""
    where: str = "usual"
    """What must be looked at to see it: a probe of behaviour.py."""


@dataclass(frozen=True)
class Formula:
    """A Function, and what makes it wrong."""

    name: str
    operation: str | None
    """What the doctor knows it as; None to have it checked with its reference."""
    inputs: str
    forward: str
    """What assigns `output`; with several outputs, what returns them."""
    gradients: str
    reference: Callable
    draw: Callable
    wrong: tuple[Wrong, ...] = ()
    lines: str = "pass"
    saved: str = ""
    """Empty for all inputs."""
    several: bool = False
    """Whether there are two outputs, whose gradients are called g and h."""
    variables: tuple[int, ...] = (0,)
    right: bool = True
    """Whether the right one is an entry of its own: not where another one is just that."""

    def text(self, wrong: Wrong | None = None) -> str:
        """Return the source of the class, in the old form."""
        values = {key: getattr(self, key) for key in ("name", "inputs", "forward", "gradients", "lines")}
        if wrong is not None:
            values |= {key: getattr(wrong, key) for key in ("gradients", "lines", "forward") if getattr(wrong, key)}
        values = {key: value.replace("\n", "\n        ") for key, value in values.items()}
        template = SEVERAL if self.several else TEXT
        return "from torch.autograd import Function\nimport torch\nimport torch.nn.functional as F\n" + template.format(
            **values, saved=self.saved or self.inputs
        )


def one(n):
    return (numbers(n, 3),)


def square(n):
    return (numbers(n, 5),)


def two(n):
    return numbers(n, 3), numbers(n, 3, seed=1)


def value_of(name, codes, gradients, where="usual"):
    return Wrong(name, codes, gradients, where=where)
