"""The pages quote command lines that parse, and show what the programs say."""

import ast
import functools
import importlib
import importlib.util
import io
import re
from contextlib import redirect_stderr, redirect_stdout
from typing import get_type_hints

import pytest
import tyro
from pages import PAGES, commands, pasted, read
from running import command

from amal import cli
from amal.errors import UserError
from amal.experiments import find_experiments

SCRIPTS = list(find_experiments())
SHEETS = ["tme1/README.md", "tme2/README.md", "tme3/README.md"]

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


BEYOND_PYTHON = {"--svg": "Graphviz", "make": "apt install git make"}
"""What a command needs that the installation does not bring -> what the page that quotes it must say of it."""


def unsaid(text):
    """Return what of a page's commands needs a program that the page does not name."""
    table = text.split("## The map")[0]
    return [word for word, said in BEYOND_PYTHON.items() if re.search(rf"(?<!\w){word}\b", text) and said not in table]


def test_the_readme_says_what_its_commands_need():
    assert unsaid(read("README.md")) == []
    assert unsaid("`amal graph lenet --svg lenet.svg`") == ["--svg"]


# ---------------------------------------------------------------------------------- what is pasted

PASTED = [
    ("tme1/README.md", "tme1.gradcheck", "a mistake  "),
    ("tme1/README.md", "tme1.chain_rule", "squared errors, averaged by"),
    ("tme1/README.md", "tme1.bugs", "| bug "),
    ("tme2/README.md", "tme2.bugs", "| bug "),
    ("tme3/README.md", "tme3.bugs", "| bug "),
    ("tme3/README.md", "tme3.perceptron_to_mlp", "| model | train | validation"),
    ("tme3/README.md", "tme3.reference_example", "| | train | validation"),
]
"""Sheet, script, and how the first line begins of what it shows of the script's output."""


def not_printed(shown, said):
    """Return the lines that were not printed; of a table a sheet may leave out columns."""
    rows = [[cell.strip() for cell in line.split("|")] for line in said if line.startswith("|")]

    def is_printed(line):
        cells = [cell.strip() for cell in line.split("|")]
        return line in said or (line.startswith("|") and any(is_part(cells, row) for row in rows))

    return [line for line in shown if not is_printed(line)]


def is_part(cells, row):
    """Return whether cells stand in a row, in their order."""
    left = iter(row)
    return all(cell in left for cell in cells)


def test_a_line_that_was_not_printed_is_seen():
    said = ["a mistake  True", "| perceptron | 85.85 % | 0.920 | 0.914 | 0.922 |"]
    assert not_printed(["a mistake  True", "| perceptron | 0.920 | 0.914 | 0.922 |"], said) == []
    assert not_printed(["a mistake  False"], said) == ["a mistake  False"]
    assert not_printed(["| perceptron | 0.914 | 0.920 | 0.922 |"], said) == ["| perceptron | 0.914 | 0.920 | 0.922 |"]


@pytest.mark.parametrize(("sheet", "_", "beginning"), PASTED)
def test_what_is_pasted_is_found(sheet, _, beginning):
    assert len(pasted(read(sheet), beginning)) >= 4


@pytest.mark.slow
@pytest.mark.parametrize(("sheet", "script", "beginning"), PASTED)
def test_the_scripts_print_what_the_sheets_show(sheet, script, beginning, tmp_path):
    """With one thread, as the sheets say: sums in another order end in other digits."""
    said = command(script, "--no-progress", cwd=tmp_path, env={"OMP_NUM_THREADS": "1"}).stdout.split("\n")
    assert not_printed(pasted(read(sheet), beginning), said) == []


@pytest.mark.parametrize("sheet", SHEETS)
def test_the_sheets_say_with_how_many_threads_their_output_was_printed(sheet):
    assert "OMP_NUM_THREADS=1" in read(sheet).split("## The mathematics")[0]
