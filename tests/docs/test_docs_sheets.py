"""The lab sheets: their sections in order, their letters, and the questions that the doctor sends a student to."""

import importlib
import re

import pytest
from pages import headings_only, read

from amal.doctor.definitions import all_operations
from amal.doctor.questions import COMMANDS, QUESTIONS, advice
from amal.experiments import find_parts, place
from amal.proofs import matrix
from amal.show import operations as shown

SHEETS = ["tme1/README.md", "tme2/README.md", "tme3/README.md"]

# ---------------------------------------------------------------------------------- numbers in order


def questions_in(text):
    """Return the numbers of a sheet's questions, as they stand."""
    return [int(number) for number in re.findall(r"^### Question (\d+)\.", headings_only(text), re.MULTILINE)]


def order_faults(text):
    """Return what of a sheet is not in the order of its numbers; a section may carry later experiments."""
    prose = headings_only(text)
    heads, rows = (re.findall(form, prose, re.MULTILINE) for form in (r"^## (\d+\.\d+)\b", r"^\| (\d+\.\d+)\b.*\| \["))
    listed = {"sections": heads, "rows": rows}
    for section in re.split(r"^## ", prose, flags=re.MULTILINE):
        listed[f"experiments below {section.partition(chr(10))[0]}"] = re.findall(
            r"^\*\*(\d+\.\d+)\b", section, re.MULTILINE
        )
    faults = [f"{name} {found}" for name, found in listed.items() if found != sorted(found, key=place)]
    questions = questions_in(text)
    return faults if questions == sorted(questions) else [*faults, f"questions {questions}"]


@pytest.mark.parametrize("sheet", SHEETS)
def test_sections_experiments_and_questions_stand_in_the_order_of_their_numbers(sheet):
    assert order_faults(read(sheet)) == []
    questions = questions_in(read(sheet))
    assert questions == list(range(1, len(questions) + 1))


def test_what_is_out_of_order_is_seen():
    assert order_faults("## 3.3 A\n## 3.14 B\n## 3.5 C") == ["sections ['3.3', '3.14', '3.5']"]
    assert order_faults("## 3.15 A\n\n**3.17: a**\n\n**3.16: b**") == ["experiments below 3.15 A ['3.17', '3.16']"]
    assert order_faults("### Question 2. A\n### Question 1. B") == ["questions [2, 1]"]
    assert order_faults("| 3.3 | [a](b)\n| 3.2 | [a](b)") == ["rows ['3.3', '3.2']"]
    assert order_faults("## 3.5 A\n\n**3.9: a**\n\n## 3.7 B\n\n**3.10: x**") == []


def test_every_experiment_has_a_row_in_its_sheet():
    for part in find_parts():
        sheet = read(f"{part.script[:4]}/README.md")
        rows = re.findall(r"^\| (\d[\d., –]*) \| \[", sheet, re.MULTILINE)
        listed = [number for row in rows for number in spelled_out(row)]
        assert part.number in listed, f"{part.script}: no row names {part.number}"


def spelled_out(numbers):
    """Return the numbers that the first cell of a row means: `3.5, 3.9 – 3.11` is 3.5, 3.9, 3.10, 3.11."""
    found = []
    for piece in numbers.split(", "):
        (chapter, first), *rest = (place(number) for number in piece.split(" – "))
        found += [f"{chapter}.{number}" for number in range(first, (rest[0][1] if rest else first) + 1)]
    return found


def test_the_first_cell_of_a_row_is_spelled_out():
    assert spelled_out("3.5, 3.9 – 3.11") == ["3.5", "3.9", "3.10", "3.11"]


# ---------------------------------------------------------------------------------- letters


def letter_faults(derivation):
    """Return the letters that a derivation both defines and raises, as if to a power: T a gate, ᵀ a transpose."""
    small = {"ᵀ": "T", "ᴴ": "H"}
    return [
        letter for raised, letter in small.items() if raised in derivation and re.search(rf"\b{letter} = ", derivation)
    ]


@pytest.mark.parametrize("name", matrix.OPERATIONS)
def test_a_letter_of_a_derivation_means_one_thing(name):
    assert letter_faults(importlib.import_module(f"amal.ops.{name}").__doc__) == []


def test_a_letter_of_two_meanings_is_seen():
    assert letter_faults("S = x Wᵀᵀ + bᵀ\nT = σ(S)") == ["T"]
    assert letter_faults("S = x Vᵀ + c\nZ = σ(S)") == []


# ---------------------------------------------------------------------------------- questions

IN_TORCH = {
    "mse": "mse_loss",
    "nll": "nll_loss",
    "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy_with_logits",
    "max_pool": "max_pool2d",
    "avg_pool": "avg_pool2d",
}
"""The doctor's name -> that of the file that derives it, where they differ."""
WORDS = {
    "TME 1, question 2": {"add": "x w + b", "mul": "x w + b", "square": r"(\hat y - y)^2"},
    "TME 1, question 3": {"mean": "`mean`", "sum": "`sum`"},
    "TME 1, question 4": {"matmul": r"G W^\top"},
    "TME 2, question 4": {"softplus": "*softplus*"},
}
"""What a question says where it teaches an operation that has no file to link to."""
GENERAL = "TME 1, question 1"
"""The rule for any function: what the sheets ask for nowhere else."""


def question_texts():
    """Return "TME 1, question 3" -> what stands there."""
    found = {}
    for sheet in SHEETS:
        for number, text in re.findall(r"^### Question (\d+)\.(.*?)(?=^##|\Z)", read(sheet), re.DOTALL | re.MULTILINE):
            found[f"TME {sheet[3]}, question {number}"] = text
    return found


def questions_of(where):
    """Return the questions that a place means: "TME 1, questions 3 and 4" is two."""
    sheet, numbers = where.split(", ")
    return [f"{sheet}, question {number}" for number in re.findall(r"\d+", numbers)]


def teaches(where, operation, texts):
    """Return whether a question is of an operation: it links to the file that derives it, or says the word."""
    text = "\n".join(texts[question] for question in questions_of(where))
    word = WORDS.get(where, {}).get(operation, f"/amal/ops/{IN_TORCH.get(operation, operation)}.py)")
    return word in text


TAUGHT = [(where, operation) for where, operations in QUESTIONS.items() for operation in operations]


@pytest.mark.parametrize(("where", "operation"), TAUGHT)
def test_the_question_that_the_doctor_names_teaches_the_operation(where, operation):
    if where == GENERAL:
        assert "a function inside a graph" in question_texts()[where].lower()
    elif where == "TME 1, questions 3 and 4" and operation == "mse":
        assert r"\mathrm{mse}" in question_texts()["TME 1, question 4"]
        assert "mse_loss" in question_texts()["TME 1, question 3"]
    else:
        assert teaches(where, operation, question_texts())


def test_the_first_question_that_links_to_a_derivation_is_the_one_that_the_doctor_names():
    named = {IN_TORCH.get(operation, operation): where for where, operation in TAUGHT}
    first = {}
    for question, text in question_texts().items():
        for name in re.findall(r"/amal/ops/([a-z]\w+)\.py\)", text):
            first.setdefault(name, question)
    assert len(first) > 12
    for name, question in first.items():
        if name in named:
            assert question in questions_of(named[name]), (
                f"{name}: {question} teaches it, the doctor says {named[name]}"
            )


def test_a_wrong_question_is_seen():
    texts = question_texts()
    assert not teaches("TME 3, question 4", "relu", texts)
    assert not teaches("TME 3, question 1", "embedding", texts)
    assert not teaches("TME 2, question 4", "sigmoid", texts)


def test_the_doctor_has_one_advice_for_every_operation_that_it_knows():
    known = [*(operation for _, operation in TAUGHT), *COMMANDS]
    assert sorted(known) == sorted(all_operations())
    assert set(COMMANDS.values()) <= set(shown())
    taught = {IN_TORCH.get(operation, operation) for where, operation in TAUGHT if where != GENERAL}
    assert not taught & set(COMMANDS.values())
    assert advice("relu") == "See TME 2, question 3."
    assert advice("embedding") == "`amal show embedding` derives it."
    assert advice("any function") == ""


def test_a_derivation_names_the_question_that_the_doctor_names():
    named = {IN_TORCH.get(operation, operation): where for where, operation in TAUGHT}
    sourced = {}
    for name in matrix.OPERATIONS:
        source = importlib.import_module(f"amal.ops.{name}").__doc__.partition("Source: ")[2]
        found = re.search(r"TME (\d)(?:, questions? (\d)(?: (and|to) (\d))?)?", source)
        if found:
            sheet, first, _, last = found.groups()
            asked = range(int(first or 0), int(last or first or 0) + 1)
            sourced[name] = [f"TME {sheet}, question {number}" for number in asked]
    assert len(sourced) > 5
    assert {name: set(questions_of(named[name])) - set(said) for name, said in sourced.items()} == {
        name: set() for name in sourced
    }
