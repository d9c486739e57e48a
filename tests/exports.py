"""What type checkers and editors are told of names that amal makes when it is imported.

The names are read from the files of amal/ops, so that an operation is exported, and has its layer, as soon as its
file is there. No type checker runs that code: stubs tell it the same. `python tests/exports.py` writes them.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAD = "# Made by tests/exports.py.\n"


def stubs():
    """Return the text of each stub, by its path."""
    import amal.ops
    from amal.nn.layers import LAYERS

    functions = {name: value for name, value in vars(amal.ops).items() if name.endswith("Function") and name[0] != "_"}
    homes = {name: value.__module__ for name, value in functions.items()}
    homes |= {name: f"amal.ops.{name}" for name in amal.ops.OPERATIONS}
    everything = [f"from {home.removeprefix('amal.ops')} import {name} as {name}\n" for name, home in homes.items()]
    operations = [f"from .ops.{name} import {name} as {name}\n" for name in amal.ops.OPERATIONS]
    layers = [f"class {name}(nn.{name}): ...\n" for name in LAYERS]
    return {
        ROOT / "amal/ops/__init__.pyi": "".join([HEAD, *sorted(everything), "\nOPERATIONS: tuple[str, ...]\n"]),
        ROOT / "amal/functional.pyi": "".join([HEAD, *operations]),
        ROOT / "amal/nn/layers.pyi": "".join([HEAD, "from torch import nn\n\n", *layers]),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for path, text in stubs().items():
        path.write_text(text, encoding="utf-8")
