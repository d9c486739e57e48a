"""Tables and paragraphs for a terminal."""

import pytest

from amal.text import columns, markdown, wrap

ROWS = [("name", "n"), ("a", "10"), ("longest", "5")]


def test_a_column_is_as_wide_as_its_widest_cell():
    assert columns(ROWS) == ["name     n", "a        10", "longest  5"]
    assert columns(ROWS, "<>") == ["name      n", "a        10", "longest   5"]
    assert columns(ROWS, "^", gap="|") == ["  name |n", "   a   |10", "longest|5"]
    assert columns([]) == []


def test_the_last_sign_of_an_alignment_serves_the_rest():
    assert columns([("a", "b", "c"), ("aa", "bb", "cc")], "<>") == ["a    b   c", "aa  bb  cc"]


def test_a_text_that_is_wider_than_its_column_is_wrapped_within_its_cell():
    lines = columns([("one two three", "x"), ("four", "")], widths=(7, 3), gap="|")
    assert lines == ["one two|x", "three  |", "four   |"]


def test_rows_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        columns([("a", "b"), ("c",)])


def test_a_markdown_table_has_aligned_columns():
    assert markdown(ROWS).splitlines() == [
        "| name    | n  |",
        "|---------|----|",
        "| a       | 10 |",
        "| longest | 5  |",
    ]


def test_a_paragraph_is_broken_at_blanks_and_not_at_hyphens():
    assert wrap("see not-summed here", 14, 4, "- ") == ["- see", "    not-summed", "    here"]
    assert wrap("123456 x", 4) == ["1234", "56 x"]
