"""A wrong variant of a Function of the bank: one visible change in its text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    name: str
    codes: tuple[str, ...]
    description: str
    changes: tuple[tuple[str, str], ...]
    """Text of the Function, once in it -> what stands in its place."""

    def text(self, right):
        for old, new in self.changes:
            if right.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} is {right.count(old)} times in the text, expected once")
            right = right.replace(old, new)
        return right


def mutant(name, codes, description, *texts):
    """A variant from codes separated by spaces, and texts: old, new, old, new ..."""
    return Variant(name, tuple(codes.split()), description, tuple(zip(texts[::2], texts[1::2], strict=True)))
