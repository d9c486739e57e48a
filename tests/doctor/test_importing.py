"""`amal check` imports what students write: modules that are missing, lines that fail, names that hide modules."""

import sys

import pytest
import torch

from amal.course.mutants import SOLUTIONS
from amal.doctor import student
from amal.doctor.findings import diagnosis_from
from amal.doctor.isolation import examine_file, last_report
from amal.doctor.stand_in import StandIn

TANH = SOLUTIONS["tanh"]
USES = TANH.replace("y = torch.tanh(x)", "ic(x)\n        y = torch.tanh(x)")


@pytest.fixture
def examine(monkeypatch, tmp_path):
    """What the examining process tells of a file, without a process of its own."""

    def run(text, name="lab.py", names=()):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        monkeypatch.setattr(sys, "path", sys.path.copy())
        monkeypatch.setattr(sys, "argv", sys.argv)
        forget(tmp_path)
        monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
        messages = []
        student.main(lambda **message: messages.append(message), str(path), list(names), {}, 0)
        return messages

    yield run
    forget(tmp_path)


def forget(folder):
    """Take stand-ins, and what was imported from a folder, out of the modules that are known."""
    for name, module in list(sys.modules.items()):
        space = getattr(module, "__dict__", {})
        if isinstance(module, StandIn) or str(folder) in f"{space.get('__file__')} {space.get('__path__')}":
            del sys.modules[name]


def only(messages):
    """The one diagnosis, and its notes on the import."""
    (diagnosis,) = (diagnosis_from(message["diagnosis"]) for message in messages if "diagnosis" in message)
    return diagnosis, [finding.message for finding in diagnosis.findings if finding.code == "imported-in-part"]


def test_the_solution_that_is_changed_here_holds_what_is_changed():
    assert USES != TANH


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "head",
    [
        "from icecream import ic",
        "import icecream as ic",
        "import icecream.deep.deeper\nfrom icecream.deep import one, two\nic = one",
        "import icecream\nicecream.install(level=3)\nic = icecream.ic",
        "from icecream import ic\nfor step in ic(range(3)):\n    1 / 0",
        "from icecream import ic\nif ic.version > '2' or ic[3] + 1 < ic:\n    1 / 0",
        "from icecream import ic\nwith ic.pause() as paused:\n    paused.x = float(ic) + int(ic) + len(ic)",
        "import icecream as ic\nclass Net(ic.Module, torch.nn.Module):\n    pass\nNet()",
    ],
)
def test_a_module_that_is_not_installed_is_stood_in_for(head, examine):
    diagnosis, notes = only(examine(f"import torch\n{head}\n{TANH}"))
    assert diagnosis.verdict == "correct"
    assert len(notes) == 1
    assert notes[0].startswith("Not installed: icecream")
    diagnosis, _ = only(examine(f"import torch\n{head}\n{USES}", "uses.py"))
    assert diagnosis.verdict == "not examined"
    assert diagnosis.findings[0].message == "Could not be examined: it needs icecream, which is not installed."


def test_a_decorator_that_is_not_installed_leaves_what_it_decorates(examine):
    decorated = TANH.replace(
        "    @staticmethod\n", "    @staticmethod\n    @numba.jit(nopython=True)\n    @numba.njit\n"
    )
    assert decorated.count("numba") == 4
    assert only(examine(f"import numba_of_nobody as numba\n{decorated}"))[0].verdict == "correct"


def test_an_import_inside_of_a_function_is_told_as_well(examine):
    diagnosis, notes = only(examine(TANH.replace("y = torch", "import icecream\n        y = torch")))
    assert (diagnosis.verdict, notes) == ("not examined", [])
    assert "it needs icecream, which is not installed" in diagnosis.findings[0].message


@pytest.mark.one_in(2)
@pytest.mark.parametrize("caught", ["ImportError", "(OSError, ModuleNotFoundError)", "Exception as error", ""])
def test_who_does_without_a_module_does_without_it(caught, examine):
    text = f"try:\n    from icecream import ic\nexcept {caught}:\n    ic = print\n{USES}".replace("except :", "except:")
    diagnosis, notes = only(examine(text))
    assert (diagnosis.verdict, notes) == ("correct", [])


def test_a_library_that_tries_an_import_is_not_given_a_stand_in(examine, tmp_path, monkeypatch):
    library = tmp_path / "elsewhere"
    library.mkdir()
    (library / "lib_of_somebody.py").write_text("import icecream\n")
    monkeypatch.syspath_prepend(str(library))
    _, notes = only(examine(f"import lib_of_somebody\n{TANH}", "here/lab.py"))
    assert len(notes) == 1
    assert "failed (ModuleNotFoundError: No module named 'icecream'): what it imports was left out" in notes[0]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("data = open('/nowhere/at/all.csv').read()", "FileNotFoundError"),
        ("device = torch.device('cuda:999'); torch.ones(3, device='no such device')", "RuntimeError"),
        (
            "import argparse; p = argparse.ArgumentParser(); p.add_argument('data'); args = p.parse_args()",
            "SystemExit: 2",
        ),
        ("assert torch.ones(1) == 2, 'no such thing'", "AssertionError: no such thing"),
        ("def main():\n    1 / 0\nmain()", "ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["before the class", "after the class"])
def test_a_line_that_fails_keeps_nothing_from_being_examined(line, error, first, examine):
    parts = [line, TANH] if first else [TANH, line]
    diagnosis, notes = only(examine("import torch\n" + "\n".join(parts)))
    assert diagnosis.verdict == "correct"
    (note,) = notes
    line_number = next(
        number
        for number, text in enumerate(("import torch\n" + "\n".join(parts)).splitlines(), 1)
        if text in (line, "    1 / 0")
    )
    assert note.startswith(f"Line {line_number} of lab.py failed ({error}")


def test_what_follows_a_line_that_fails_is_defined_and_not_run(examine, capsys):
    text = f"""
from __future__ import annotations
import torch, argparse
args = argparse.Namespace(lr=open("/nowhere/at/all.csv"))
print("printed")
for step in range(3):
    left = print("printed")
EPS: float = 0.0
rate = args.lr
if torch.cuda.is_available():
    WIDTH = 1
else:
    WIDTH = 2
{TANH.replace("y = torch.tanh(x)", "y: Nothing = torch.tanh(x) + EPS * WIDTH")}
{TANH.replace("class Tanh", "class MyTanh").replace("y = torch.tanh(x)", "y = torch.tanh(x) * rate")}
{TANH.replace("class Tanh", "class TanhFunction").replace("y = torch.tanh(x)", "y = torch.tanh(x) * (left is None)")}
"""
    diagnoses = {
        message["diagnosis"]["function"]: diagnosis_from(message["diagnosis"])
        for message in examine(text)
        if "diagnosis" in message
    }
    assert "printed" not in capsys.readouterr().out
    assert diagnoses["Tanh"].verdict == "correct", diagnoses["Tanh"]
    assert diagnoses["MyTanh"].verdict == "not examined"
    assert "it needs args, which line 4 was to give: FileNotFoundError" in diagnoses["MyTanh"].findings[0].message


def test_a_name_that_the_sandbox_cannot_ask_for_is_no_error(tmp_path):
    path = tmp_path / "lab.py"
    path.write_text(f"name = input('Your name? ')\n{TANH}")
    (diagnosis,) = last_report(examine_file(path)).diagnoses
    assert diagnosis.verdict == "correct"
    assert "Line 1 of lab.py failed (EOFError" in str(diagnosis)


@pytest.mark.parametrize("text", ["def f(:", "return 3", "x = 1\nclass A:\n  break"])
def test_a_syntax_error_is_an_error_wherever_it_is(text, examine):
    (failed,) = (message["failed"] for message in examine(f"{TANH}\n{text}") if "failed" in message)
    assert "cannot be imported: SyntaxError" in failed


@pytest.mark.parametrize("name", ["torch", "random", "argparse"])
def test_a_file_that_hides_a_module_is_told_so(name, examine):
    diagnosis, notes = only(examine(f"import torch, argparse\n{TANH}", f"{name}.py"))
    assert diagnosis.verdict == "correct"
    assert notes == [
        f"The file has the name of the module {name}: `import {name}` finds the file in its place. Rename it."
    ]


def test_a_neighbour_that_hides_a_module_is_told_so_if_it_is_imported(examine, tmp_path):
    for name in ("random", "secrets"):
        (tmp_path / f"{name}.py").touch()
    _, notes = only(examine(f"import random\n{TANH}"))
    assert len(notes) == 1
    assert notes[0].startswith("random.py beside it has the name of the module random")


def test_a_package_whose_init_fails_is_no_reason_not_to_look(examine, tmp_path):
    package = tmp_path / "pack_of_one"
    package.mkdir()
    (package / "__init__.py").write_text("raise OSError('no data')")
    (package / "two.py").write_text("import icecream\ntwo = 2\n")
    diagnosis, notes = only(examine(f"from .two import two\n{TANH}", "pack_of_one/lab.py"))
    assert diagnosis.verdict == "correct"
    assert [note.split(":")[0] for note in notes] == ["The __init__.py of pack_of_one was left out", "Not installed"]


def test_a_file_that_its_own_package_imports_is_imported_once(examine, tmp_path):
    package = tmp_path / "pack_of_two"
    package.mkdir()
    (package / "__init__.py").write_text("from .lab import Tanh\n")
    messages = examine(
        f"import builtins\nbuiltins.times_imported = getattr(builtins, 'times_imported', 0) + 1\n{TANH}",
        "pack_of_two/lab.py",
    )
    import builtins

    assert builtins.times_imported == 1
    del builtins.times_imported
    assert only(messages)[0].verdict == "correct"


def test_what_is_asked_for_by_name_and_not_there_is_told_with_what_failed(examine):
    (failure,) = (
        message["failed"] for message in examine(f"import icecream\n{TANH}", names=["Conv"]) if "failed" in message
    )
    assert failure.startswith("no Function Conv; there are Tanh. Not installed: icecream.")
