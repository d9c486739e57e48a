"""The rules of the house: who imports whom, what is not imported at all, and that no file grows out of hand."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {"errors", "experiments", "files", "locks", "seeds"}  # what every room stands on
MAY_IMPORT = {
    "_lazy": set(),
    "_torch": set(),
    "environment": {"text"},
    "errors": set(),
    "experiments": set(),
    "files": set(),
    "locks": {"errors"},
    "seeds": set(),
    "tensors": set(),
    "commandline": {"errors"},
    "text": set(),
    "sandbox": {"errors"},
    "ops": {"_torch"},
    "functional": {"ops"},
    "nn": {"_torch", "functional", "ops"},
    "optim": {"_torch"},
    "data": GROUND,
    "plots": set(),
    "training": {*GROUND, "_torch"},
    "runs": {*GROUND, "_lazy", "_torch", "commandline", "environment", "training"},
    "graph": {"_torch"},
    # operations for the table's references, and nothing else
    "proofs": {"_torch", "ops", "functional", "graph", "tensors", "text"},
    "doctor": {"_lazy", "_torch", "errors", "graph", "sandbox", "tensors", "text"},
    "checking": {"_lazy", "doctor", "proofs"},
    "course": {*GROUND, "doctor", "runs", "sandbox", "text", "training"},
    "report": {*GROUND, "runs"},
    "show": {"_torch", "functional", "nn", "proofs", "graph", "tensors", "text"},
    "pytest_plugin": {"errors", "doctor", "sandbox"},
    "commands": {"commandline", "course", "doctor", "errors", "experiments", "text"},
    "cli": {
        "commandline",
        "commands",
        "course",
        "environment",
        "errors",
        "graph",
        "proofs",
        "report",
        "runs",
        "show",
        "text",
    },
    "__main__": {"cli"},
    "__init__": set(),
}
BEGINS_LIGHT = {"findings", "source_functions", "annotations", "isolation"}
"""Modules of the doctor that the command line needs before it knows whether it needs torch."""
LAYERS = {
    # a module imports what stands before its own line, and nothing on it
    "training": [
        {"device", "distributed", "batches", "fields", "logbook"},
        {"config", "signals", "prefixed", "evaluation", "progress_bars", "random_states"},
        {"state", "step"},
        {"checkpoint", "compatibility", "together"},
        {"loop", "sweep"},
    ],
    "runs": [
        {"records", "projector", "hparams", "graph", "folder", "run_info", "board_server"},
        {"event_files", "board"},
        {"logbook"},
        {"launcher"},
    ],
}
LIBRARIES = {
    "_torch": {"torch"},
    "environment": {"torch"},
    "files": {"torch"},
    "seeds": {"torch", "numpy"},
    "tensors": {"torch"},
    "ops": {"torch"},
    "functional": set(),
    "nn": {"torch"},
    "data": {"torch", "torchvision", "sklearn", "numpy"},
    "training": {"torch", "tqdm", "numpy", "matplotlib"},  # matplotlib: the type of a figure
    "runs": {"torch", "tyro", "matplotlib", "numpy", "tensorboard", "absl", "google"},  # google: protobuf
    "optim": {"torch"},
    "pytest_plugin": {"pytest"},
    "proofs": {"torch"},
    "doctor": {"torch"},
    "checking": set(),
    "plots": {"torch", "matplotlib"},
    "course": {"torch", "matplotlib", "pytest"},  # pytest: to run the tests that `amal grade` judges
    "report": {"torch", "matplotlib", "tensorboard", "google", "PIL", "jinja2"},
    "graph": {"torch"},
    "show": {"torch", "pygments"},
    "commands": {"tyro", "tqdm"},
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


def imported_modules(path, source):
    """The modules of amal that a file imports, by their names."""
    package = list(path.relative_to(ROOT).parent.parts)
    named = {name for name in imports(ast.parse(source), package) if name in MODULES}
    packages = {name.rpartition(".")[0] for name in named}  # `from . import part` asks for the part
    return named - packages - {module_of(path)}


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def upward(path, source):
    """What a module imports of its own room that does not stand before it in the room's layers."""
    room, *rest = module_of(path).split(".")[1:]
    if not rest:  # the room's __init__ shows what there is
        return
    rank = {name: number for number, layer in enumerate(LAYERS.get(room, [])) for name in layer}
    for name in imported_modules(path, source):
        other, *inner = name.split(".")[1:]
        if other == room and inner and rank and rank[inner[0]] >= rank[rest[0]]:
            yield f"{rest[0]} imports {inner[0]}"


FILES = sorted((ROOT / "amal").rglob("*.py"))
MODULES = {module_of(path) for path in FILES}


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
        ("training/new.py", "from amal.runs import RunLogbook"),
        ("doctor/new.py", "from amal.proofs import cases"),
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
    for room, layers in LAYERS.items():
        modules = {path.stem for path in (ROOT / "amal" / room).glob("*.py")} - {"__init__"}
        assert sorted(name for layer in layers for name in layer) == sorted(modules)


@pytest.mark.parametrize("room", LAYERS)
def test_within_a_room_imports_go_one_way(room):
    files = (ROOT / "amal" / room).rglob("*.py")
    assert [complaint for path in files for complaint in upward(path, path.read_text())] == []


def test_an_import_the_other_way_is_seen():
    path = ROOT / "amal/training/checkpoint.py"
    assert list(upward(path, "def f():\n    from .loop import fit")) == ["checkpoint imports loop"]
    assert list(upward(path, "from . import sweep")) == ["checkpoint imports sweep"]


def circles(arrows):
    """Return the modules that import each other, and those that lead there; `arrows` is module -> modules."""
    left = {module: set(targets) for module, targets in arrows.items()}
    while ends := {module for module in left if not left[module] & left.keys()}:
        left = {module: targets for module, targets in left.items() if module not in ends}
    return sorted(left)


def test_no_modules_import_each_other():
    assert circles({module_of(path): imported_modules(path, path.read_text()) for path in FILES}) == []
    assert circles({"a": {"b"}, "b": {"a"}, "c": {"a"}, "d": set()}) == ["a", "b", "c"]


def test_what_the_command_line_begins_with_imports_no_torch():
    for name in BEGINS_LIGHT:
        path = ROOT / f"amal/doctor/{name}.py"
        inside = {each.split(".")[-1] for each in imported_modules(path, path.read_text()) if "doctor." in each}
        assert inside <= BEGINS_LIGHT


def too_long(paths):
    """The files with more than 300 lines, or 200 that hold an operation."""
    limits = {path: 200 if path.parent.name == "ops" else 300 for path in paths}
    return [path.name for path, limit in limits.items() if len(path.read_text().splitlines()) > limit]


def test_a_file_fits_in_three_hundred_lines_and_an_operation_in_two_hundred(tmp_path):
    assert too_long(FILES) == []
    long = tmp_path / "new.py"
    long.write_text("pass\n" * 301)
    assert too_long([long]) == ["new.py"]


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
        pytest.param(
            "import tme1.regression, tme1.gradcheck",
            {"torchvision", "matplotlib", "sklearn", "tensorboard"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement, absent):
    assert not modules_after(statement) & absent


def test_rooms_are_there_after_import_amal():
    import amal

    assert amal.functional.linear is amal.ops.linear
    with pytest.raises(AttributeError, match="module 'amal' has no attribute 'nonsense'"):
        _ = amal.nonsense
