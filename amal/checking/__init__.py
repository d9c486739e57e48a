"""The gradient doctor: what must hold of a hand-written Function, and whether it does."""

import importlib
from typing import TYPE_CHECKING, Any

from .doctor import assert_correct as assert_correct
from .doctor import check as check
from .doctor import declare as declare
from .doctor import examine as examine

if TYPE_CHECKING:
    from .cases import Case as Case
    from .matrix import SIGNS as SIGNS
    from .matrix import verdict as verdict
    from .properties import PROPERTIES as PROPERTIES
    from .table import CASES as CASES

_OF_OPERATIONS = {
    "Case": "cases",
    "SIGNS": "matrix",
    "verdict": "matrix",
    "PROPERTIES": "properties",
    "CASES": "table",
}


def __getattr__(name: str) -> Any:
    """Import what holds amal's own operations when it is first used: the doctor does without them."""
    if name in _OF_OPERATIONS:
        return getattr(importlib.import_module(f".{_OF_OPERATIONS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
