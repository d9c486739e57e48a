"""What is installed: the libraries that the package imports, pages without dead links, a line for reports of bugs."""

import ast
import configparser
import functools
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions, version

import pytest
from pages import ROOT, links
from running import command

import amal

PACKAGED = ("amal", "tme1", "tme2", "tme3")
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")

# ---------------------------------------------------------------------------------- libraries


def plain(requirements):
    """Return the names of distributions in lines such as `torch >= 2.11`."""
    return {re.match(r"[\w.-]+", line)[0].lower() for line in requirements.split("\n") if line}


@functools.cache
def distributions():
    """Return library -> the distributions that it comes from: two seconds to find out."""
    return packages_distributions()


def undeclared(source, declared):
    """Return the libraries that a file imports, and of which no distribution is declared."""
    tops = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            tops.add(node.module.split(".")[0])
    known = distributions()
    foreign = tops - sys.stdlib_module_names - set(PACKAGED)
    return {top for top in foreign if not declared & {name.lower() for name in known.get(top, ())}}


@pytest.mark.parametrize(
    "path",
    [path for package in PACKAGED for path in sorted((ROOT / package).rglob("*.py"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_what_the_package_imports_is_installed_with_it(path):
    """The tests of the exercises import what a student may import: they run them."""
    own = {other.stem for other in path.parent.glob("*.py")} if "exercise" in path.parts else set()
    assert undeclared(path.read_text(encoding="utf-8"), plain(SETUP["options"]["install_requires"])) - own == set()


def test_an_undeclared_library_is_seen():
    assert undeclared("import os, numpy.linalg\nfrom hypothesis import given", {"numpy"}) == {"hypothesis"}
    assert undeclared("import pytest", plain("torch >= 2.11\ntqdm >= 4.66")) == {"pytest"}


def test_what_students_run_is_installed_without_the_tools_of_the_tests():
    """`amal grade` and `python -m pytest` in the folder of an exercise: after `make`, not only after `make test`."""
    needed, tools = plain(SETUP["options"]["install_requires"]), plain(SETUP["options.extras_require"]["test"])
    assert "pytest" in needed
    assert not needed & tools, "declared twice"


# ---------------------------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this source, built without a network."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGED:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", build, made], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [path] = made.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def dead_links(page, text, names):
    """Return the relative links of a page of a wheel that lead to nothing in it."""
    targets = [target.partition("#")[0] for _, target in links(text) if not re.match(r"\w+:|#", target)]
    folder = page.split("/")[:-1]
    dead = []
    for target in targets:
        parts = list(folder)
        for part in target.split("/"):
            if part == "..":
                parts = parts[:-1]
            elif part != ".":
                parts.append(part)
        if "/".join(parts) not in names:
            dead.append(target)
    return dead


def test_no_page_of_the_wheel_has_a_dead_link(wheel):
    pages = [name for name in wheel if name.endswith((".md", "/METADATA"))]
    assert {"tme1/exercise/README.md", "tme2/exercise/README.md", "tme3/exercise/README.md"} < set(pages)
    assert {page: dead_links(page, wheel[page].decode(), wheel) for page in pages} == {page: [] for page in pages}


def test_a_dead_link_of_a_wheel_is_seen():
    names = {"amal/ops/linear.py", "tme1/README.md"}
    text = "[a](../amal/ops/linear.py#x) [b](#here) [c](https://x.y/z) [d](../docs/RESULTS.md)"
    assert dead_links("tme1/README.md", text, names) == ["../docs/RESULTS.md"]


def test_the_wheel_holds_every_module_and_what_modules_read(wheel):
    modules = [path.relative_to(ROOT).as_posix() for package in PACKAGED for path in (ROOT / package).rglob("*.py")]
    templates = [path.relative_to(ROOT).as_posix() for path in (ROOT / "amal/report/templates").iterdir()]
    assert {*modules, *templates, "amal/py.typed"} - wheel.keys() == set()
    assert not [name for name in wheel if name.split("/")[0] not in PACKAGED and ".dist-info/" not in name]


# ---------------------------------------------------------------------------------- for reports of bugs


def test_version_says_what_a_report_of_a_bug_begins_with():
    said = command("amal", "--version").stdout
    rows = dict(line.split(maxsplit=1) for line in said.splitlines())
    assert list(rows) == ["amal", "torch", "Python", "machine", "device"]
    assert rows["amal"] == amal.__version__
    assert rows["torch"].partition("+")[0] == version("torch").partition("+")[0]
    assert rows["Python"] == sys.version.split()[0]
    assert re.search(r"CPU \(threads: \d+\)$", rows["device"])


def test_help_names_it_and_does_not_wait_for_torch():
    code = (
        "import sys\nfrom amal.cli import main\nsys.argv = ['amal', '--help']\ntry:\n    main()\nexcept SystemExit:\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}    sys.exit('torch' in sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--version" in done.stdout
