"""Hand-written operations, one per file: derivation, Function, public function.

A file is an operation if its name does not begin with an underscore, and has a function of that name.
What is here is read from the files; __init__.pyi tells it to type checkers, and tests/exports.py writes that.
"""

import importlib
import pkgutil
from typing import Any

from ._function import Function as _Function

OPERATIONS = tuple(file.name for file in pkgutil.iter_modules(__path__) if not file.name.startswith("_"))


def _exports() -> dict[str, Any]:
    """Return every operation, and every Function, by name."""
    exports: dict[str, Any] = {}
    for file in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{file.name}")
        if file.name in OPERATIONS:
            exports[file.name] = getattr(module, file.name)
        classes = {name: value for name, value in vars(module).items() if isinstance(value, type)}
        exports |= {name: value for name, value in classes.items() if issubclass(value, _Function)}
    del exports["Function"]
    return exports


globals().update(_exports())
