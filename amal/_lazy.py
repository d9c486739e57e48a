"""Names of a package whose modules are imported when they are first used: `amal --help` must not wait for torch."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return what a package calls `__getattr__`.

    Args:
        package: its name.
        homes: public name -> the module that defines it.
    """

    def __getattr__(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
