"""amal: automatic differentiation and neural-network training, every derivative written by hand and proven.

`import amal.functional as F` and `import amal.nn as nn` stand where torch.nn.functional and torch.nn stood.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = (
    "checking",
    "course",
    "data",
    "doctor",
    "functional",
    "graph",
    "nn",
    "ops",
    "optim",
    "plots",
    "proofs",
    "report",
    "runs",
    "show",
    "training",
)


def __getattr__(name: str) -> ModuleType:
    """Import a room when it is first used: `amal --help` must not wait for torch."""
    if name in _ROOMS:
        return importlib.import_module(f"amal.{name}")
    raise AttributeError(f"module 'amal' has no attribute {name!r}; it has {', '.join(_ROOMS)}")
