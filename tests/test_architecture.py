"""The rules of the house: who imports whom, what is not imported at all, and that no file grows out of hand."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {"errors", "experiments", "records", "seeds"}  # plain Python that every room stands on
MAY_IMPORT = {
    "environment": set(),
    "errors": set(),
    "commandline": {"errors"},
    "findings": set(),
    "sandbox": {"errors"},
    "annotations": {"findings"},
    "sources": {"errors"},
    "isolation": {"errors", "findings", "sandbox", "sources"},
    "pytest_plugin": {"errors", "findings", "isolation", "sandbox", "sources"},
    "experiments": set(),
    "records": set(),
    "seeds": set(),
    "ops": set(),
    "functional": {"ops"},
    "nn": {"functional"},
    "data": GROUND,
    "training": {*GROUND, "commandline", "environment"},
    "optim": set(),
    # operations for the table's references, and nothing else
    "checking": {"errors", "findings", "sandbox", "sources", "ops", "functional"},
    "report": GROUND,
    "exercises": {*GROUND, "sandbox"},
    "board": {"errors", "board_server"},
    "board_server": set(),
    "graph": set(),
    "show": {"functional", "nn", "checking", "graph"},
    "labs": {"experiments", "sandbox"},
    "check_command": {
        "annotations",
        "commandline",
        "errors",
        "exercises",
        "findings",
        "isolation",
        "sources",
        "waiting",
    },
    "waiting": set(),
    "cli": {
        *GROUND,
        "board",
        "check_command",
        "commandline",
        "environment",
        "checking",
        "exercises",
        "graph",
        "labs",
        "report",
        "show",
    },
    "__main__": {"cli"},
    "__init__": set(),
}
LIBRARIES = {
    "records": {"tensorboard"},
    "environment": {"torch"},
    "seeds": {"torch", "numpy"},
    "ops": {"torch"},
    "functional": set(),
    "nn": {"torch"},
    "data": {"torch", "torchvision", "sklearn", "numpy"},
    "training": {"torch", "tyro", "tqdm", "matplotlib", "numpy", "tensorboard", "google"},  # google: protobuf
    "optim": {"torch"},
    "pytest_plugin": {"pytest"},
    "checking": {"torch", "pytest"},  # to run the tests that `amal grade` judges
    "report": {"torch", "matplotlib", "tensorboard", "google", "PIL", "jinja2"},
    "graph": {"torch"},
    "show": {"torch"},
    "labs": {"torch"},
    "board_server": {"tensorboard", "absl"},  # absl: how TensorBoard reads its command line
    "check_command": {"tyro"},
    "waiting": {"tqdm"},
    "cli": {"tyro", "tqdm"},
    "commandline": {"tyro"},
}


def imports(tree, package):
    """The absolute names of all modules that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room_of(path):
    return path.relative_to(ROOT / "amal").parts[0].removesuffix(".py")


def violations(path, source):
    """What a file of amal imports that its room may not."""
    room = room_of(path)
    package = list(path.relative_to(ROOT).parent.parts)
    for name in imports(ast.parse(source), package):
        top, *rest = name.split(".")
        if top == "amal":
            inner = rest[0] if rest else None
            if inner in MAY_IMPORT and inner != room and inner not in MAY_IMPORT[room]:
                yield f"{room} imports amal.{inner}"
        elif top not in sys.stdlib_module_names and top not in LIBRARIES.get(room, set()):
            yield f"{room} imports {top}"


FILES = sorted((ROOT / "amal").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_it_may(path):
    assert list(violations(path, path.read_text())) == []


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("ops/new.py", "import numpy"),
        ("ops/new.py", "from amal import functional"),
        ("nn/new.py", "from amal.training import launch"),
        ("nn/new.py", "def f():\n    from ..training.loop import descend"),
        ("training/new.py", "from amal import data"),
        ("training/new.py", "import amal.nn"),
        ("data/new.py", "from tme1 import regression"),
        ("report/new.py", "from amal.cli import main"),
        ("graph/new.py", "from amal.nn import Linear"),
        ("cli.py", "import torch"),
    ],
)
def test_a_forbidden_import_is_seen(where, source):
    assert list(violations(ROOT / "amal" / where, source))


def test_every_room_has_a_rule():
    assert {room_of(path) for path in FILES} <= MAY_IMPORT.keys()


@pytest.mark.parametrize("path", sorted(ROOT.glob("amal/ops/*.py")), ids=lambda path: path.name)
def test_an_operation_fits_in_two_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 200


def modules_after(statement):
    code = f"import sys; {statement}; print(*sorted(set(sys.modules)))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import amal", {"torch", "torchvision", "matplotlib", "sklearn"}),
        ("import amal.cli", {"torch", "torchvision", "matplotlib", "sklearn"}),
        (
            "import amal.functional, amal.nn, amal.data, amal.training",
            {"torchvision", "matplotlib", "sklearn", "torch._dynamo"},
        ),
        ("import tme1.regression, tme1.gradcheck", {"torchvision", "matplotlib", "sklearn", "tensorboard"}),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement, absent):
    assert not modules_after(statement) & absent


def test_rooms_are_there_after_import_amal():
    import amal

    assert amal.functional.linear is amal.ops.linear
    with pytest.raises(AttributeError, match="module 'amal' has no attribute 'nonsense'"):
        _ = amal.nonsense
