"""A mutant: a right Function with one change in its text that makes it wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A wrong variant of an operation's solution."""

    name: str
    codes: tuple[str, ...]
    """What the doctor may call it: one of these at least."""
    description: str
    changes: tuple[tuple[str, str], ...]
    """Text of the solution, found there once -> what stands in its place."""

    def of(self, solution: str) -> str:
        """Return the text of the wrong Function.

        Raises:
            ValueError: what is to be changed is not in the solution, or more than once.
        """
        for old, new in self.changes:
            if solution.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} is {solution.count(old)} times in the solution, expected once")
            solution = solution.replace(old, new)
        return solution


def mutant(name: str, codes: str, description: str, *texts: str) -> Mutant:
    """Return a mutant from codes separated by spaces, and texts: old, new, old, new ..."""
    return Mutant(name, tuple(codes.split()), description, tuple(zip(texts[::2], texts[1::2], strict=True)))
