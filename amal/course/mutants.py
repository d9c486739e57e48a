"""Mutants for teachers: each operation's solution as a student writes it, and the changes that make it wrong.

A file of `solutions` holds a right Function in the course's form, `forward(ctx, ...)`, and in its convention. The
docstring of the file lists the mutants. Below a line of the Function, a comment `# ✗ name: code` says what stands in
its place in the mutant of that name: two such comments are two lines, and one without code removes the line.
`amal mutants` lists them, and `amal grade` says which of them a test file kills.
"""

import re
from dataclasses import dataclass
from difflib import ndiff
from pathlib import Path

from amal.doctor.definitions import find_operation
from amal.errors import did_you_mean

ROW = re.compile(r"^([\w-]+) \[([\w -]+)\] (.+)$", re.MULTILINE)
MARK = re.compile(r"( *)# ✗ ([\w-]+):(?: (.+))?")


@dataclass(frozen=True)
class Mutant:
    """A wrong variant of an operation's solution."""

    name: str
    codes: tuple[str, ...]
    """What the doctor may call it: one of these at least."""
    description: str
    text: str
    """The source of the wrong Function."""


def parse(source: str) -> tuple[str, tuple[Mutant, ...]]:
    """Return the text of the right Function that a file of `solutions` holds, and its mutants.

    Raises:
        ValueError: a mutant is listed and marks no line, or it marks a line and is not listed.
    """
    _, listed, code = source.split('"""', 2)
    lines: list[tuple[str, dict[str, list[str]]]] = []  # a right line, mutant -> the lines in its place
    for line in code.strip().splitlines():
        if mark := MARK.fullmatch(line):
            indent, name, wrong = mark.groups()
            lines[-1][1].setdefault(name, []).extend([indent + wrong] if wrong else [])
        else:
            lines.append((line, {}))

    def text(name: str = "") -> str:
        return "".join(f"{line}\n" for right, wrong in lines for line in wrong.get(name, [right]))

    rows = ROW.findall(listed)
    if single := {name for name, *_ in rows} ^ {name for _, wrong in lines for name in wrong}:
        raise ValueError(f"listed or marked, and not both: {', '.join(sorted(single))}")
    return text(), tuple(
        Mutant(name, tuple(codes.split()), description, text(name)) for name, codes, description in rows
    )


SOLUTIONS: dict[str, str] = {}
"""Operation -> the text of a right Function, in the order of the course."""
MUTANTS: dict[str, tuple[Mutant, ...]] = {}
"""Operation -> its wrong variants."""
for _operation in (
    *("linear", "mse", "tanh", "sigmoid", "relu", "leaky_relu"),
    *("softmax", "log_softmax", "cross_entropy", "nll", "bce", "bce_with_logits"),
    *("conv1d", "conv2d", "max_pool", "avg_pool", "highway", "batch_norm", "layer_norm"),
):
    _source = (Path(__file__).with_name("solutions") / f"{_operation}.py").read_text(encoding="utf-8")
    SOLUTIONS[_operation], MUTANTS[_operation] = parse(_source)


def operation_of(name: str) -> str | None:
    """Return the operation that the name of a class or of an operation means.

    None if there are no mutants of it. Those of pooling are of signals: max_pool1d means max_pool.
    """
    operation = find_operation(name)
    names = (operation.name, operation.name.removesuffix("1d")) if operation else ()
    return next((name for name in names if name in SOLUTIONS), None)


def class_of(text: str) -> str:
    """Return the name of the class that a solution's text defines."""
    return text.split("\nclass ", 1)[1].split("(", 1)[0]


def class_name(operation: str) -> str:
    """Return the name of the class that an operation's solution defines."""
    return class_of(SOLUTIONS[operation])


def find(operation: str, name: str) -> Mutant:
    """Return a mutant by its name.

    Raises:
        ValueError: there is none of that name.
    """
    by_name = {mutant.name: mutant for mutant in MUTANTS[operation]}
    if name not in by_name:
        hint = did_you_mean(name, by_name)
        raise ValueError(f"{operation} has no mutant {name}{hint}; it has {', '.join(by_name)}")
    return by_name[name]


def difference(operation: str, mutant: Mutant) -> str:
    """Return the text of a wrong Function beside the right one.

    Lines marked - are the right ones, lines marked + the wrong ones.
    """
    lines = ndiff(SOLUTIONS[operation].splitlines(), mutant.text.splitlines())
    return "\n".join(line.rstrip() for line in lines if not line.startswith("?"))
