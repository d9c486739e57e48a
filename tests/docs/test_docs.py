"""The documentation keeps its word: formulas that GitHub shows, links that lead somewhere, commands that parse."""

import pytest
from pages import PAGES, ROOT, anchors, blocks, docs_module, inline_faults, link_faults, math_faults, pictures, read

from amal.experiments import find_experiments

SCRIPTS = list(find_experiments())
SHEETS = ["tme1/README.md", "tme2/README.md", "tme3/README.md"]


@pytest.mark.one_in(4)
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


def test_every_picture_is_shown_somewhere_and_made_by_the_package():
    shown = set().union(*(pictures(page) for page in PAGES))
    lying = {path.name for path in (ROOT / "docs" / "img").iterdir()}
    module = docs_module("images")
    made = {f"{name}.png" for name in (*module.PICTURES, *module.SCREENSHOTS)}
    assert lying - shown == set(), "stale: no page shows them"
    assert shown - made == set(), "docs/images.py does not make them"
    assert made - shown == set(), "docs/images.py makes them for nobody"


def test_pictures_are_taken_from_experiments_that_there_are():
    for script, _, _ in docs_module("images").PICTURES.values():
        assert script.replace("/", ".") in SCRIPTS
