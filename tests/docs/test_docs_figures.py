"""The figures in the pages: counts are those of the code, and what was measured is what the results say."""

import re

import pytest
from doctor_bank.table import ALL_RIGHT, ALL_WRONG
from pages import docs_module, headings_only, read

import amal.functional
import amal.nn
import tme1.bugs
import tme2.bugs
import tme3.bugs
from amal.checking import PROPERTIES
from amal.course.mutants import MUTANTS
from amal.experiments import LABS, find_experiments

NUMERALS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
BUGS = len(tme1.bugs.BUGS) + len(tme2.bugs.BUGS) + len(tme3.bugs.BUGS)
GRADCHECK = list(PROPERTIES).index("gradcheck")
ORDINALS = ("first", "second", "third", "fourth", "fifth")


def numeral(number):
    """Return a number as the pages write it."""
    return NUMERALS[number] if number < len(NUMERALS) else str(number)


# ---------------------------------------------------------------------------------- counts

COUNTS = [
    ("README.md", r"Each is checked against (\w+)\s+properties", numeral(len(PROPERTIES))),
    ("tme1/README.md", r"against (\w+) properties\. `gradcheck` is one", numeral(len(PROPERTIES))),
    ("tme1/README.md", r"`gradcheck` is one of them, the (\w+)", ORDINALS[GRADCHECK]),
    ("tme1/exercise/__init__.py", r"torch's names and (\w+) properties", numeral(len(PROPERTIES))),
    ("README.md", r"lists (\d+) wrong ways to write Linear", str(len(MUTANTS["linear"]))),
    ("README.md", r"\((\d+) over \w+ operations\)", str(sum(map(len, MUTANTS.values())))),
    ("README.md", r"\(\d+ over (\w+) operations\)", numeral(len(MUTANTS))),
    ("README.md", r"train (\w+) plausible bugs", numeral(BUGS)),
    ("CHANGELOG.md", r"`amal.checking`: (\w+) properties", numeral(len(PROPERTIES))),
    ("CHANGELOG.md", r"wrong variants of (\w+) operations", numeral(len(MUTANTS))),
    ("docs/DOCTOR.md", r"On a bank of (\d+) wrong Functions", str(len(ALL_WRONG))),
    ("docs/DOCTOR.md", r"wrong Functions over (\w+) operations", numeral(len(MUTANTS))),
    ("docs/DOCTOR.md", r"On (\d+) right and", str(len(ALL_RIGHT))),
    *(
        (f"{lab}/README.md", rf"`amal labs {lab}` runs all (\w+)", numeral(len(find_experiments((lab,)))))
        for lab in LABS
        if f"`amal labs {lab}` runs all" in read(f"{lab}/README.md")
    ),
    *(
        (f"{lab}/README.md", r"\*(\w+) (?:programs|networks) (?:that stop|put)", numeral(number).capitalize())
        for lab, number in (("tme1", len(tme1.bugs.BUGS)), ("tme3", len(tme3.bugs.BUGS) - 1))
    ),
]


@pytest.mark.parametrize(("page", "words", "number"), COUNTS)
def test_what_is_counted_is_as_many(page, words, number):
    assert re.findall(words, read(page)) == [number]


def test_the_catalogue_lists_every_operation_and_every_layer():
    page = read("README.md").split("## A drop-in catalogue")[1].split("`amal ops`")[0]
    rows = docs_module("tables").rows(page)[1:]
    operations = [name for _, names, _ in rows for name in names.split(", ")]
    layers = [name for *_, names in rows for name in names.split(", ")]
    assert sorted(operations) == sorted(
        name for name in vars(amal.functional) if name.isidentifier() and not name.startswith("_")
    )
    known = {name for name in vars(amal.nn) if name[0].isupper()}
    models = {"Autoencoder", "Denoising", "RandomShift"}  # networks, and what changes images: not drop-ins for torch's
    assert sorted(layers) == sorted(known - models)


# ---------------------------------------------------------------------------------- the tables of the README


@pytest.fixture
def tables():
    return docs_module("tables")


def test_the_tables_of_the_readme_are_made_from_the_results(tables):
    """If this fails: python docs/tables.py."""
    page = read("README.md")
    for lines in (tables.what_is_reached(), tables.how_fast()):
        assert "\n".join(lines) in page


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        ("RESULTS", "0.006149 (0.006104", "0.006249 (0.006104"),
        ("RESULTS", "| highway, MSE, test | 0.0173", "| highway, MSE, test | 0.0183"),
        ("RESULTS", "--models 500-100-30 --code linear --hidden silu", "--models 500-100-30 --code relu"),
        ("RESULTS", "| noise | 0.7183", "| noise | 0.6183"),
        ("BENCHMARKS", "| tme3.fast | **3.07**", "| tme3.fast | **3.57**"),
        ("BENCHMARKS", "| **0.97** (0.79", "| **1.07** (0.79"),
    ],
)
def test_a_figure_that_has_changed_is_seen(tables, monkeypatch, source, old, new):
    text = getattr(tables, source)
    assert old in text
    monkeypatch.setattr(tables, source, text.replace(old, new))
    with pytest.raises((AssertionError, LookupError)):
        test_the_tables_of_the_readme_are_made_from_the_results(tables)


def test_the_script_writes_over_a_table_and_nothing_else(tables):
    lines = tables.table(("", "a"), [("x", "2")])
    assert tables.replaced("before\n\n| | a |\n|---|---|\n| x | 1 |\n\nafter", lines) == (
        "before\n\n| | a |\n|---|---|\n| x | 2 |\n\nafter"
    )
    with pytest.raises(LookupError):
        tables.replaced("no table", lines)


# ---------------------------------------------------------------------------------- speed, in prose


def test_what_the_readme_says_of_speed_is_what_was_measured():
    tables = docs_module("tables")
    page = " ".join(read("README.md").split())
    means = {name: mean for name, mean, *_ in tables.rows(tables.chapter(tables.BENCHMARKS, "Operations"))}
    shown = re.search(
        r"take ([\d.]+) times torch's fused kernels for what runs over every entry, ([\d.]+) times for matrix products "
        r"and convolutions, and ([\d.]+) times inside `torch.compile` \(geometric means on two CPU cores; small calls, "
        r"bound by Python, take ([\d.]+) times as long\)",
        page,
    )
    assert shown
    assert shown.groups() == (
        tables.rounded(means["operations on every entry, losses, pooling, normalisation"], 1),
        tables.rounded(means["matrix products and convolutions"], 1),
        means["all, compiled"],
        tables.rounded(means["small shapes"], 1),
    )
    ours, recipe, example = (
        tables.benchmark("99 % of MNIST", name)
        for name in ("tme3.fast", "the recipe of one epoch", "the PyTorch example")
    )
    assert (
        f"{tables.rounded(ours[0], 1)} s and {ours[2]} (ten seeds), where the recipe takes "
        f"{tables.rounded(recipe[0], 1)} s for {recipe[2]}, and the example {tables.rounded(example[0], 0)} s "
        f"(five seeds; {tables.rounded(example[1], 0)} times as long in the same round)"
    ) in read("tme3/README.md")
    bugs = tables.run_of("1.6").values
    assert (
        f"{float(bugs['bias not summed, loss on train wrong'].replace('−', '-')):.1e}".replace("e-0", "e-") == "1.7e-5"
    )
    assert "pure noise to 1.7e-5, where least squares stops at 2.1" in page
    assert tables.rounded(bugs["bias not summed, loss on train right"], 1) == "2.1"
    assert page.count("take a seventh of the time") == 1
    assert int(float(tables.benchmark("Sweep", "5 seeds")[2])) == 7


# ---------------------------------------------------------------------------------- what the sheets say was measured

NUMBER = r"[-−]?\d+\.\d+(?:e[-−]?\d+)?"
ALSO = {
    "3.2": ("3.4",),
    "3.5": ("3.6", "3.9", "3.10", "3.11"),
    "3.12": ("3.13",),
    "3.15": ("3.16", "3.17", "3.18"),
}
"""The experiments that share a section of a sheet."""
OF_DOCUMENTS = ("reported", "documents")
"""How the header of a column begins whose figures are those of the course documents."""
ELSEWHERE = {
    "2.2": {"Boston housing"},  # its file is no part of the package
    "3.2": {"train", "validation"},  # held against what the script prints: test_docs_commands.py
    "3.8": {"50"},  # by another command
    "3.19": {"train", "validation"},  # as 3.2
}
"""Experiment -> rows and columns whose figures docs/RESULTS.md has not."""


def number_of(text):
    return float(text.replace("−", "-"))


def was_measured(shown, measured):
    """Return whether a figure is one of those measured, rounded to its digits; a share may be in percent."""
    mantissa, _, exponent = shown.replace("−", "-").partition("e")
    places = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - places)
    value = number_of(shown)
    return any(abs(scale * known - value) <= 0.501 * unit for known in measured for scale in (1, 100))


def figures_of(experiment):
    """Return every number in the chapter of docs/RESULTS.md about an experiment and those that share its section."""
    tables = docs_module("tables")
    numbers = (experiment, *ALSO.get(experiment, ()))
    text = "\n".join(tables.chapter(tables.RESULTS, number) for number in numbers)
    return [number_of(found) for found in re.findall(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-−]?\d+)?(?![\w])", text)]


def columns_of_documents(header):
    """Return which columns the course documents filled: in `reported train | test | measured train | test` two."""
    theirs = [name.startswith(OF_DOCUMENTS) or name == "faster" for name in header]
    first = header.index("test") if header.count("test") == 2 else None
    return [reported or place == first for place, reported in enumerate(theirs)]


def unmeasured(section, measured, elsewhere=frozenset()):
    """Return the rows of a section's tables with a figure, alone in its cell, that was not measured."""
    faults = []
    for found in re.findall(r"(?:^\|.*(?:\n|\Z))+", headings_only(section), re.MULTILINE):
        header, *body = docs_module("tables").rows(found)
        skipped = [
            theirs or name in elsewhere for theirs, name in zip(columns_of_documents(header), header, strict=True)
        ]
        for row, *cells in body:
            shown = [cell for cell, skip in zip(cells, skipped[1:], strict=True) if not skip and row not in elsewhere]
            figures = [part for cell in shown for part in cell.split(" / ") if re.fullmatch(NUMBER, part)]
            faults += [f"{row}: {figure}" for figure in figures if not was_measured(figure, measured)]
    return faults


def sections(sheet):
    """Return experiment -> what its section of a sheet says."""
    return dict(re.findall(r"^## (\d+\.\d+) .*?\n(.*?)(?=^## |\Z)", read(sheet), re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(
    ("experiment", "section"),
    [pair for lab in LABS for pair in sections(f"{lab}/README.md").items()],
    ids=lambda value: value if len(value) < 6 else "",
)
def test_the_tables_of_the_sheets_hold_what_was_measured(experiment, section):
    assert unmeasured(section, figures_of(experiment), ELSEWHERE.get(experiment, ())) == []


def test_a_figure_that_was_not_measured_is_seen():
    head = "| | reported train | test | measured train | test |\n|---|---|---|---|---|\n"
    section = f"{head}| a | 9.9 | 9.8 | 0.941 | **0.825** |\n"
    assert unmeasured(section, [0.9412, 0.8246]) == []
    assert unmeasured(section, [0.9412, 0.8236]) == ["a: 0.825"]
    assert unmeasured(section, [0.9312, 0.8246]) == ["a: 0.941"]
    assert was_measured("94.7", [0.9467])
    assert not was_measured("94.8", [0.9467])
    assert was_measured("-1.28e-05", [-1.279e-05])
    assert not was_measured("-1.28e-05", [-1.379e-05])
