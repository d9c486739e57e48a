"""A run: from its command line to its folder, and what TensorBoard shows of it."""

from typing import TYPE_CHECKING

from amal._lazy import lazy

if TYPE_CHECKING:
    from .launcher import Outcome as Outcome
    from .launcher import launch as launch
    from .logbook import RunLogbook as RunLogbook

__getattr__ = lazy(
    __name__,
    {"Outcome": "amal.runs.launcher", "launch": "amal.runs.launcher", "RunLogbook": "amal.runs.logbook"},
)
