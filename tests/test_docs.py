"""The documentation keeps its word: formulas that GitHub shows, links that lead somewhere, commands that parse."""

import ast
import doctest
import functools
import importlib
import importlib.util
import io
import itertools
import re
from contextlib import redirect_stderr, redirect_stdout
from typing import get_type_hints

import pytest
import tyro
from pages import PAGES, ROOT, anchors, blocks, commands, inline_faults, link_faults, math_faults, pictures, read
from running import command

from amal import cli
from amal.errors import UserError
from amal.experiments import find_experiments

SCRIPTS = list(find_experiments())
SHEETS = ["tme1/README.md", "tme2/README.md", "tme3/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_github_shows_every_formula(page):
    assert math_faults(read(page)) == []


def test_the_sheets_have_formulas():
    for sheet in SHEETS:
        assert sum(language == "math" for _, language, _ in blocks(read(sheet))) >= 3
    assert not [page for page in PAGES if "\n$$" in read(page)]


PLANTED = {
    "$a_i$ and $`b_{i}`$, (see $x$)": "",
    "$$x$$": "in the place of a block",
    r"$a\,b$": "a backslash before a sign",
    "$a * b$": "a star",
    r"$\hat{y}_i$": "an underscore after a sign",
    "$a < b$": "HTML",
    "| $a | b$ |": "a bar",
    "| $`a | b`$ |": "a bar",
    "the $n$th": "touches a letter",
    "non-$x$": "touches",
    "$ x$": "a blank inside",
    "costs 5 $ today": "alone",
    r"$\frac{1}{2$": "",
    r"$`\frac{1}{2`$": "Expected",
    r"$`\operatorname{tr} A`$": "operatorname",
    r"$\unknown x$": "unknown",
    "$`a_b_c`$": "subscript",
    "`$x$th` is code": "",
}


@pytest.mark.parametrize(("line", "fault"), PLANTED.items())
def test_a_formula_that_github_does_not_show_is_seen(line, fault):
    found = math_faults(line)
    if line.startswith(("$a_i$", "`")):
        assert found == []
    else:
        assert any(fault.lower() in told.lower() for told in found), found


def test_a_wrong_block_of_math_is_seen():
    assert math_faults("text\n\n```math\n\\frac{a}{b}\n```\n") == []
    assert math_faults("text\n\n```math\n\\frac{a}{b\n```\n")[0].startswith("line 4: ")
    assert inline_faults(r"no formula, \$5") == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page):
    assert link_faults(page, read(page)) == []


def test_a_broken_link_is_seen():
    page, text = (
        "docs/x.md",
        "# A heading: `with` code\n\n[a](../README.md) [b](#a-heading-with-code) [c](https://x.y/z)",
    )
    assert link_faults(page, text) == []
    assert link_faults(page, "[a](../NOWHERE.md)") == ["line 1: ../NOWHERE.md: no such file"]
    assert link_faults(page, text + "\n\n[d](#nothing)") == ["line 5: #nothing: no such heading"]
    assert link_faults(page, "\n![p](img/none.png)") == ["line 2: img/none.png: no such file"]
    assert link_faults(page, "[a](../README.md#nowhere)") == ["line 1: ../README.md#nowhere: no such heading"]
    assert anchors("# 1.1 Check\n```\n# no heading\n```\n## Twice\n## Twice") == {"11-check", "twice", "twice-1"}


# ---------------------------------------------------------------------------------- pictures


def docs_images():
    spec = importlib.util.spec_from_file_location("docs_images", ROOT / "docs" / "images.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_is_shown_somewhere_and_made_by_the_package():
    shown = set().union(*(pictures(page) for page in PAGES))
    lying = {path.name for path in (ROOT / "docs" / "img").iterdir()}
    module = docs_images()
    made = {f"{name}.png" for name in (*module.PICTURES, *module.SCREENSHOTS)}
    assert lying - shown == set(), "stale: no page shows them"
    assert shown - made == set(), "docs/images.py does not make them"
    assert made - shown == set(), "docs/images.py makes them for nobody"


def test_pictures_are_taken_from_experiments_that_there_are():
    for script, _, _ in docs_images().PICTURES.values():
        assert script.replace("/", ".") in SCRIPTS


# ---------------------------------------------------------------------------------- commands

QUOTED = {
    (page, program, " ".join(arguments or ["?"])): arguments
    for page in PAGES
    for program, arguments in commands(read(page))
}


def help_of(script):
    """Return what a script says of itself, as a block of a page."""
    with open(importlib.util.find_spec(script).origin, encoding="utf-8") as file:
        return f"```\n{ast.get_docstring(ast.parse(file.read()))}\n```"


OF_SCRIPTS = {
    (script, program, " ".join(arguments)): arguments
    for script in SCRIPTS
    for program, arguments in commands(help_of(script))
}
PLACEHOLDERS = {"S": "0", "LAB": "tme1"}


def parse(program, arguments):
    """Read a command line as the program would, without running it; raise ValueError if it would refuse."""
    said = io.StringIO()
    arguments = [PLACEHOLDERS.get(argument, argument) for argument in arguments]
    try:
        with redirect_stderr(said), redirect_stdout(said):
            if program == "amal":
                if arguments[0] == "--help":
                    return
                target, arguments = getattr(cli, arguments[0]), arguments[1:]
                tyro.cli(functools.wraps(target)(lambda *_, **__: None), args=arguments)
            else:
                tyro.cli(get_type_hints(importlib.import_module(program).run)["config"], args=arguments)
    except (SystemExit, UserError, AttributeError, ImportError) as error:
        if not isinstance(error, SystemExit) or error.code:
            raise ValueError(f"{program} {' '.join(arguments)}: {error}: {said.getvalue()}") from None


@pytest.mark.parametrize("quoted", [*QUOTED, *OF_SCRIPTS], ids=" ".join)
def test_every_command_that_is_quoted_would_be_understood(quoted):
    arguments = {**QUOTED, **OF_SCRIPTS}[quoted]
    assert arguments is not None
    parse(quoted[1], arguments)


def test_the_sheets_quote_every_script_of_their_lab():
    for sheet in SHEETS:
        lab = sheet[:4]
        quoted = {program for program, _ in commands(read(sheet))}
        assert quoted >= {script for script in SCRIPTS if script.startswith(lab)}


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("tme1.regression", ["--no-such-option"]),
        ("tme1.regression", ["--epochs", "many"]),
        ("tme1.no_such_script", []),
        ("tme3.autoencoder", ["--models", "30-x"]),
        ("amal", ["labs", "tme9"]),
        ("amal", ["no-such-command"]),
        ("amal", ["check"]),
    ],
)
def test_a_command_that_would_be_refused_is_seen(program, arguments):
    with pytest.raises(ValueError, match=program):
        parse(program, arguments)


def test_commands_are_found_in_blocks_and_in_prose():
    lines = "$ python -m tme1.x --lr 0.1   # why\ntorchrun --nproc-per-node 2 -m tme2.y\n"
    text = f"Run `amal labs tme1`, not `amal check` alone.\n\n```\n{lines}```\n"
    assert commands(text) == [("amal", ["labs", "tme1"]), ("tme1.x", ["--lr", "0.1"]), ("tme2.y", [])]


# ---------------------------------------------------------------------------------- what is pasted

PASTED = [
    ("tme1/README.md", "tme1.gradcheck", "a mistake  "),
    ("tme1/README.md", "tme1.chain_rule", "squared errors, averaged by"),
    ("tme1/README.md", "tme1.bugs", "| bug "),
    ("tme2/README.md", "tme2.bugs", "| bug "),
    ("tme3/README.md", "tme3.bugs", "| bug "),
]
"""Sheet, script, and how the first line begins of what it shows of the script's output."""


def pasted(text, beginning):
    """Return the lines of a page from one that begins so to the end of its paragraph."""
    lines = text.split("\n")
    [start] = [place for place, line in enumerate(lines) if line.startswith(beginning)]
    return list(itertools.takewhile(lambda line: line.strip("` "), lines[start:]))


@pytest.mark.parametrize(("sheet", "_", "beginning"), PASTED)
def test_what_is_pasted_is_found(sheet, _, beginning):
    assert len(pasted(read(sheet), beginning)) >= 4


@pytest.mark.slow
@pytest.mark.parametrize(("sheet", "script", "beginning"), PASTED)
def test_the_scripts_print_what_the_sheets_show(sheet, script, beginning, tmp_path):
    said = command(script, "--no-progress", cwd=tmp_path).stdout.split("\n")
    assert [line for line in pasted(read(sheet), beginning) if line not in said] == []


@pytest.mark.parametrize("sheet", SHEETS[1:])
def test_sessions_in_the_sheets_say_what_python_says(sheet):
    session = "\n".join(content for _, language, content in blocks(read(sheet)) if language == "python")
    test = doctest.DocTestParser().get_doctest(session, {}, sheet, sheet, 0)
    assert test.examples
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


# ---------------------------------------------------------------------------------- coverage and glossary

ASKED = {
    "TME 1": [f"Q{n} " for n in range(1, 8)],
    "TME 2": ["Q1 ", "Q2 "],
    "TME 3": ["Q1 ", "Q2 ", "Q3 ", "Q4 "],
    "R-d": ["Q1 ", *(f"Ex. 1 Q{n} " for n in range(1, 8)), *(f"Ex. 2 Q{n} " for n in range(1, 5))],
    "R-c": ["2 ", "3 ", "4 ", "5 ", "6.1 ", "6.2 ", "6.3 ", "6 ", "7 "],
    "R-e": [
        *("1.1 ", "1.2 ", "1.3.1 ", "1.3.2 ", "2.1 ", "2.2, ", "3.1, ", "3.3.2 ", "3.3.3 ", "4.1 ", "4.2 "),
        *("5.1, ", "5.2.2 ", "5.2.3 ", "6.1 ", "6.2.1 ", "6.2.2 "),
    ],
}
"""The questions and parts of each document, as the table calls them."""


def answers(text):
    """Return (document, question) -> the rest of its rows."""
    found, document = {}, ""
    for line in text.splitlines():
        document = line[3:6] if line.startswith("## R-") else document
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("TME "):
            document = cells[0]
        if line.startswith("|") and not line.startswith("|--"):
            question = cells[1] if document.startswith("TME") else cells[0]
            found.setdefault((document, question), []).append(line)
    return found


@pytest.mark.parametrize(
    ("document", "question"), [(of, asked) for of, questions in ASKED.items() for asked in questions]
)
def test_every_question_has_an_answer_that_can_be_read(document, question):
    rows = [
        row
        for (of, asked), lines in answers(read("docs/COVERAGE.md")).items()
        for row in lines
        if of == document and asked.startswith(question)
    ]
    assert rows, "no row"
    assert all("README.md#" in row or "](../amal/" in row for row in rows)


def test_a_question_without_a_row_is_seen():
    table = answers("## The sheets\n| TME 1 | Q1 chain | [a](b) |\n| | Q2 x | y |\n## R-d, a sheet\n| Ex. 1 Q2 y | z |")
    assert list(table) == [("TME 1", "Q1 chain"), ("TME 1", "Q2 x"), ("R-d", "Ex. 1 Q2 y")]


def test_every_experiment_is_in_the_table_of_answers():
    quoted = {program for program, _ in commands(read("docs/COVERAGE.md"))}
    assert quoted >= {script for script in SCRIPTS if not script.endswith(".bugs")}


def resolves(name):
    """Return whether a dotted name is a module of the package, or something in one."""
    module, _, last = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), last) or bool(importlib.util.find_spec(name))
    except ImportError:
        return False


def test_the_glossary_calls_things_by_their_names():
    names = set(re.findall(r"`((?:amal|tme\d)\.[\w.]+)`", read("docs/GLOSSARY.md")))
    assert len(names) > 30
    assert not [name for name in names if not resolves(name)]
    assert not resolves("amal.nn.NoSuchLayer")
    assert not resolves("amal.no_such_module")
