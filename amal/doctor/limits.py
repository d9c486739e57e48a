"""How much an examination may cost, and what it left undone for that reason."""

import sys
import time
from dataclasses import dataclass, field


def peak_memory() -> float:
    """Return the most memory that this process has held, in bytes; POSIX only."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


class LimitReached(BaseException):
    """A limit is passed in the middle of something; no `except Exception` of those who measure may take it."""


@dataclass
class Limits:
    """The limits of an examination; each of its parts, and each call of the function, looks at them first."""

    seconds: float | None = None
    """By the clock on the wall, from now on; None for no limit."""
    memory: float | None = None
    """GB of resident memory above what the process has held so far; None for no limit."""
    start: float = field(default_factory=lambda: time.monotonic())
    omissions: list[str] = field(default_factory=list)
    """What was not done any more, in words."""
    gradients_done: bool = False
    """Whether value and gradients have been compared at the inputs themselves."""

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds < 0:
            raise ValueError(f"seconds is {self.seconds:g}, expected 0 or more")
        self.base = 0.0 if self.memory is None else peak_memory()

    @property
    def excess(self) -> str:
        """Which limit is passed, in words; empty if none is."""
        if self.seconds is not None and time.monotonic() - self.start > self.seconds:
            return f"{self.seconds:g} seconds are over"
        if self.memory is not None and peak_memory() - self.base > self.memory * 1e9:
            return f"{self.memory:g} GB are held"
        return ""

    def require(self) -> None:
        """Raise `LimitReached` where the time is over."""
        if self.seconds is not None and self.excess:
            raise LimitReached

    def allow(self, task: str) -> bool:
        """Whether something can still be done; if not, it is noted."""
        if not self.excess:
            return True
        self.omissions.append(task)
        return False
