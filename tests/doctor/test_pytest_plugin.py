"""`pytest --doctor`: which items there are, what becomes of them, and that foreign code is run in a sandbox alone."""

import configparser
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import torch
from pages import ROOT, blocks, read

from amal.doctor import isolation, source_functions
from amal.doctor.findings import Diagnosis, Finding
from amal.errors import UserError

pytest_plugins = ["pytester"]

FUNCTION = "class {}(Function):\n    @staticmethod\n    def forward(ctx, x):\n        return x\n"
HEAD = "from torch.autograd import Function\n"
BOMB = "raise SystemExit('this was imported')\n"
DISABLED = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")  # the second takes a second, to say nothing
REWRITE_WARNING = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"  # amal, by the outer pytest
OPTIONS = ("-p", "amal.pytest_plugin", "-W", REWRITE_WARNING, *DISABLED)


def functions(*names, end=""):
    return HEAD + "".join(map(FUNCTION.format, names)) + end


@pytest.fixture
def project(pytester, monkeypatch):
    """A project, of which what the doctor would say is said here: by the name of the Function."""

    def examine_file(path, names, time_limit, memory_limit, sandbox):
        [name] = names
        calls.append((name, time_limit, memory_limit, sandbox))
        codes = {"Wrong": "not-summed", "Killed": "killed", "Odd": "not-examined", "Crash": "raises"}
        if name.startswith("Lost"):
            raise UserError("lab.py cannot be imported: ImportError: no helper")
        error = (Finding(codes[name], "This and that.", "b", "error", "backward", 7),) if name in codes else ()
        note = (Finding("no-vmap", "There is no vmap.", None, "note"),)
        return [isolation.Report([Diagnosis(name, "square", "", error + note, str(path), 2)], "hello")]

    calls = []
    monkeypatch.setattr(isolation, "examine_file", examine_file)
    monkeypatch.setattr(isolation, "examining", lambda: Closed(calls))

    def run(*arguments, **files):
        for name, text in files.items():
            path = pytester.path / name.replace("__", "/", 1)
            path = path.with_suffix(".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return pytester.runpytest_inprocess(*OPTIONS, "--doctor", *map(str, arguments))

    run.path, run.calls, run.ini = pytester.path, calls, pytester.makeini
    return run


class Closed:
    """Where a sandbox would be: notes that it was ended."""

    def __init__(self, calls):
        self.calls = calls

    def __exit__(self, *_):
        self.calls.append("closed")


def items(result):
    return [line for line in result.outlines if "::" in line and " " not in line]


# ---------------------------------------------------------------------------------- what is collected


def test_a_folder_has_an_item_for_each_function_and_nothing_is_imported(project):
    files = {
        "src__functions": functions("Linear", "Tanh", end=BOMB),
        "src____init__": BOMB,
        "src__helper": "import torch.nn as nn\nclass Function(nn.Module): pass\n" + BOMB,
    }
    names = ["src/functions.py::Linear", "src/functions.py::Tanh"]
    for arguments in (["src"], ["src/functions.py", "src/helper.py"], ["src/functions.py"]):
        assert items(project(*arguments, "--collect-only", "-q", **files)) == names
    assert items(project("src/functions.py::Tanh", "--collect-only", "-q")) == names[1:]
    assert items(project("src/functions.py", "-k", "linear", "--collect-only", "-q")) == names[:1]
    assert project("src/helper.py").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert project.calls == []
    project("src/functions.py").assert_outcomes(passed=2)


def test_tests_run_as_always_beside_the_doctor_and_their_own_functions_are_left_alone(project):
    files = {"functions": functions("Linear"), "test_it": functions("Own", end="def test_it():\n    pass\n")}
    assert items(project("-q", "--collect-only", **files)) == ["functions.py::Linear", "test_it.py::test_it"]
    project().assert_outcomes(passed=2)


def test_the_settings_name_files_which_are_examined_besides_the_folders_of_the_tests(project):
    project.ini("[pytest]\ntestpaths = tests\ndoctor_files = src/f*.py src/deep/**/*.py")
    (project.path / "src/deep/er").mkdir(parents=True)
    (project.path / "src/deep/er/inner.py").write_text(functions("Inner"))
    files = {
        "src__functions": functions("Linear"),
        "src__far": "no_function = 1",
        "src__other": functions("Other"),
        "tests__test_it": "def test_it(): pass",
    }
    named = ["src/deep/er/inner.py::Inner", "src/functions.py::Linear"]
    assert sorted(items(project("-q", "--collect-only", **files))) == [*named, "tests/test_it.py::test_it"]
    assert sorted(items(project("src", "-q", "--collect-only"))) == named
    assert items(project("src/other.py", "-q", "--collect-only")) == ["src/other.py::Other"]
    assert items(project("tests", "-q", "--collect-only")) == ["tests/test_it.py::test_it"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("doctor_files = nothing/*.py", "doctor_files: nothing/*.py finds no Python file in"),
        ("doctor_files = /", "doctor_files: /: "),
        ("doctor_not_examined = pass", "doctor_not_examined = pass: expected skip or fail"),
        ("doctor_time_limit = long", "doctor_time_limit = long: expected a positive number"),
        ("doctor_memory_limit = 0", "doctor_memory_limit = 0: expected a positive number"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting, words, project):
    project.ini(f"[pytest]\n{setting}")
    result = project(functions=functions("Linear"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()


def test_a_file_that_is_no_python_is_an_error_of_the_collection_in_words(project):
    result = project("-q", functions="class Function(:\n")
    result.stdout.fnmatch_lines(["*functions.py cannot be read: SyntaxError: invalid syntax (line 1)"])
    result.assert_outcomes(errors=1)
    assert "Traceback" not in result.stdout.str()


# ---------------------------------------------------------------------------------- what becomes of the items


def test_a_failure_is_the_diagnosis_without_a_traceback(project):
    result = project("-rA", "-v", "--junitxml=said.xml", "lab.py", lab=functions("Square", "Wrong", "Crash", "Killed"))
    result.assert_outcomes(passed=1, failed=3)
    text = result.stdout.str()
    assert "WRONG   Wrong  (square)  lab.py:7\n  not-summed               b            This and that." in text
    assert "Traceback" not in text
    assert "pytest_plugin" not in text
    assert [line for line in result.outlines if line.startswith("FAILED ")] == [
        "FAILED lab.py::Wrong - not-summed (b)",
        "FAILED lab.py::Crash - raises (b)",
        "FAILED lab.py::Killed - killed (b)",
    ]
    assert "CORRECT Square  (square)\n  note: no-vmap" in text
    suite = ElementTree.parse(project.path / "said.xml").getroot()
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == ["Square", "Wrong", "Crash", "Killed"]
    assert cases["Wrong"].get("classname") == "lab"
    assert cases["Wrong"].find("failure").get("message") == "not-summed (b)"
    assert "This and that." in cases["Wrong"].find("failure").text


def test_one_sandbox_serves_all_files_and_is_ended(project):
    project.ini("[pytest]\ndoctor_time_limit = 7\ndoctor_memory_limit = 1.5")
    project(lab=functions("Square", "Killed", "Tanh"), other=functions("Exp"))
    *calls, last = project.calls
    assert [call[:3] for call in calls] == [(name, 7.0, 1.5) for name in ("Square", "Killed", "Tanh", "Exp")]
    assert len({id(sandbox) for *_, sandbox in calls}) == 1
    assert last == "closed"


def test_a_run_ends_at_the_first_failure_where_it_is_asked_to(project):
    project("-x", lab=functions("Wrong", "Square")).assert_outcomes(failed=1)
    assert [name for name, *_ in project.calls[:-1]] == ["Wrong"]


LOCAL = "def make(scale):\n" + "".join(f"    {line}\n" for line in FUNCTION.format("Local").split("\n"))


def test_what_was_not_examined_is_skipped_with_its_reason_or_fails_and_never_passes(project):
    text = functions("Odd", end=LOCAL)
    result = project("-rs", lab=text)
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED [[]1] lab.py:2: Odd was not examined: This and that.",
            "SKIPPED [[]1] lab.py:7: make.Local was not examined: it is defined within make, out of reach",
        ]
    )
    result = project("--doctor-not-examined", "fail")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["Odd was not examined: This and that."])
    project.ini("[pytest]\ndoctor_not_examined = fail")
    project().assert_outcomes(failed=2)
    project("--doctor-not-examined=skip").assert_outcomes(skipped=2)


def test_a_file_that_cannot_be_imported_fails_once_in_words(project):
    result = project("-rs", lab=functions("LostOne", "LostTwo"))
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "lab.py cannot be imported: ImportError: no helper",
            "SKIPPED [[]1] lab.py:6: LostTwo was not examined: for the same reason as LostOne",
        ]
    )
    assert "During handling" not in result.stdout.str()
    project("--doctor-not-examined", "fail").assert_outcomes(failed=2)


def test_without_the_option_nothing_changes(pytester):
    pytester.makepyfile(lab=functions("Square", end=BOMB), test_it="def test_it(): pass")
    pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=1)


def test_pytest_loads_it_with_the_package_and_waits_for_nothing_heavy():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    assert settings["options.entry_points"]["pytest11"].strip() == "amal.pytest_plugin = amal.pytest_plugin"
    code = "import sys, pytest; before = set(sys.modules); import amal.pytest_plugin; print(*set(sys.modules) - before)"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(process.stdout.split()) == {"amal", "amal.pytest_plugin"}


# ---------------------------------------------------------------------------------- real runs

FAKED = """
from amal.doctor import isolation
from amal.doctor.findings import Diagnosis, Finding

def examine_file(path, names, *_, **__):
    wrong = (Finding("not-summed", "This and that."),) if names == ("Wrong",) else ()
    return [isolation.Report([Diagnosis(names[0], "square", "", wrong, str(path), 2)])]

class Nothing:
    def __exit__(self, *_): pass

isolation.examine_file, isolation.examining = examine_file, Nothing
"""


def test_workers_share_the_items(pytester):
    pytester.makeini("[pytest]\naddopts = --doctor\ndoctor_files = src/*.py\ntestpaths = tests")
    (pytester.path / "src").mkdir()
    (pytester.path / "tests").mkdir()
    (pytester.path / "src/lab.py").write_text(functions("Square", "Wrong", "Tanh"))
    (pytester.path / "tests/test_it.py").write_text("def test_it(): pass")
    pytester.makeconftest(FAKED)
    result = pytester.runpytest_subprocess(*OPTIONS, "-n", "2")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED src/lab.py::Wrong - not-summed"])


def example(page, beginning):
    """The block of a page that begins so."""
    [content] = [
        text for _, language, text in blocks(read(page)) if language is not None and text.startswith(beginning)
    ]
    return content


def test_what_the_readme_shows_of_a_project_is_what_pytest_prints(pytester, monkeypatch):
    """A real run, of the file, the test and the settings that the README shows."""
    examples = {start: example("README.md", start) for start in ("# src/functions.py", "# tests/test_functions.py")}
    for start, text in examples.items():
        path = pytester.path / start.removeprefix("# ")
        path.parent.mkdir()
        path.write_text(text)
    with path.parent.parent.joinpath("src/functions.py").open("a") as file:
        file.write("\n\nimport os\nprint('in process', os.getpid())\n")
    pytester.makeini(example("README.md", "# pytest.ini"))
    monkeypatch.setenv("COLUMNS", "100")
    result = pytester.runpytest_inprocess(*OPTIONS)
    lines_of_run = iter(re.sub(r"=+ (.+) in [\d.]+s.* =+", r"\1", line).rstrip() for line in result.outlines)
    lines = example("README.md", "tests/test_functions.py .").split("\n")
    assert [line for line in lines if line.strip() not in ("", "...") and line not in lines_of_run] == [], (
        result.stdout.str()
    )
    processes = {int(number) for number in re.findall(r"in process (\d+)", result.stdout.str())}
    assert len(processes) == 1, "of the item that fails"
    assert os.getpid() not in processes


def test_what_the_readme_shows_as_wrong_is_unseen_by_gradcheck():
    scope = {}
    exec(example("README.md", "# src/functions.py"), scope)
    for name in ("SiLU", "Softplus"):
        assert torch.autograd.gradcheck(scope[name].apply, torch.randn(5, dtype=torch.float64, requires_grad=True))


# ---------------------------------------------------------------------------------- the text of a file

CLASSES = """
import torch, sympy
from torch import autograd
from torch.autograd import Function as F
from torch.autograd.function import InplaceFunction
from ._base import OwnFunction

class Full(torch.autograd.Function): pass
class Part(autograd.Function): pass
class Base(F): pass
class Child(Base):
    def forward(ctx, x): pass
class Inplace(InplaceFunction): pass
class Foreign(OwnFunction):
    def backward(ctx, g): pass
class Sympy(sympy.Function):
    def eval(self): pass
class Module(torch.nn.Module):
    def forward(self): pass
    class Inner(F): pass
def make():
    if True:
        class Local(Full): pass
try:
    class Tried(F): pass
except ImportError:
    class Excepted(F): pass
else:
    class Other(F): pass
with open("x"):
    class Opened(F): pass
"""


def test_the_text_of_a_file_says_which_functions_it_defines(tmp_path):
    path = tmp_path / "lab.py"
    path.write_text(CLASSES)
    places = source_functions.functions_in(path)
    whole = {
        "Part",
        "Child",
        "Inplace",
        "Foreign",
        "Module.Inner",
        "make.Local",
        "Tried",
        "Excepted",
        "Other",
        "Opened",
    }
    assert places.keys() == whole
    assert [name for name, place in places.items() if place.local] == ["make.Local"]
    lines = CLASSES.split("\n")
    assert all(f"class {name.split('.')[-1]}(" in lines[place.line - 1] for name, place in places.items())


@pytest.mark.parametrize("content", [b"Function = (", b"Function\x00", b"Function = '\xff'"])
def test_what_is_no_python_is_refused_in_words(content, tmp_path):
    path = tmp_path / "lab.py"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"lab\.py cannot be read: "):
        source_functions.functions_in(path)
    with pytest.raises(UserError, match="cannot be read"):
        source_functions.functions_in(tmp_path / "nothing.py")
