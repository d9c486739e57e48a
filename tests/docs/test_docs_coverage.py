"""Every question of the course has its answer in docs/COVERAGE.md; the glossary calls things by their names."""

import importlib
import importlib.util
import re

import pytest
from pages import commands, read

from amal.experiments import find_experiments

SCRIPTS = list(find_experiments())

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
