"""`amal ops` and docs/OPERATIONS.md: computed, able to say no, and up to date."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from faults import BackwardSlightlyOff, KeepsOutputToo, RoundedTwice, planted
from running import answer

import amal.ops
from amal.checking import CASES
from amal.proofs import matrix

DOCUMENT = Path(__file__).parents[2] / "docs" / "OPERATIONS.md"


def test_a_right_operation_has_ticks_and_figures():
    row = matrix.examine("tanh")
    assert row.faults == []
    assert set(row.verdicts.values()) <= {True, None}
    text = matrix.as_text([row])
    assert re.search(r"tanh +✓ +✓ +✓ +✓ +✓ +✓ +✓ +[–✓] +\d\.\d\d +\d\.\d\d +1\.00", text)


@pytest.mark.parametrize(
    ("fault", "column", "message"),
    [
        (BackwardSlightlyOff, "gradient", "linear: gradcheck: Jacobian mismatch"),
        (RoundedTwice, None, r"linear: the largest error in torch.float32 is \S+ times torch's"),
        (KeepsOutputToo, None, r"linear: 1\.\d\d times the bytes of torch are kept"),
    ],
)
def test_a_wrong_operation_is_told(monkeypatch, fault, column, message):
    monkeypatch.setattr(matrix, "CASES", [replace(planted("linear", fault), name="linear")])
    monkeypatch.setattr(matrix, "COLUMNS", {"value": ("value",), "gradient": ("gradcheck",)})
    row = matrix.examine("linear")
    assert re.search(message, "\n".join(row.faults))
    assert column is None or row.verdicts[column] is False
    assert column is None or "✗" in row.cells()


@pytest.mark.slow
def test_the_command_prints_the_matrix():
    done = answer("ops", "mse_loss", "--no-progress")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^mse_loss +✓", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tahn"], "no operation tahn (did you mean tanh?); there are linear"),
        (["tanh", "--markdown", "x.md"], "there is no x.md to write tanh into"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, message):
    done = answer("ops", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_document_is_up_to_date():
    """If this fails: amal ops --markdown docs/OPERATIONS.md."""
    written = DOCUMENT.read_text(encoding="utf-8")
    assert matrix.derivations() in written
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", written, re.MULTILINE)
    assert [name for name, _ in rows] == list(matrix.OPERATIONS)
    assert f"| {' | '.join(('operation', *matrix.COLUMNS, *matrix.MEASURED))} |" in written
    assert all(len(cells.split("|")) == len(matrix.COLUMNS) + len(matrix.MEASURED) for _, cells in rows)
    assert "✗" not in written.split("\n- ")[0]


def test_of_a_page_only_the_named_operation_is_written_anew():
    """Its row and its derivation; all other rows stay as they were measured."""
    before = DOCUMENT.read_text(encoding="utf-8").replace("| `relu` | ✓", "| `relu` | ?")
    stale = re.sub(r"\| `tanh` \|.*\n", "", before).replace("Hyperbolic tangent", "Something else")
    verdicts, measured = dict.fromkeys(matrix.COLUMNS, True), dict.fromkeys(matrix.MEASURED, 0.25)
    after = matrix.as_markdown([matrix.Row("tanh", verdicts, measured)], stale).split("\n")
    changed = [line for line in after if line not in before.split("\n")]
    assert changed == [f"| `tanh` |{' ✓ |' * len(verdicts)} 0.25 | 0.25 | 0.25 |"]
    assert [line for line in before.split("\n") if line not in after] == [changed_row("tanh", before)]


def changed_row(op, page):
    return re.search(rf"^\| `{op}` \|.*$", page, re.MULTILINE)[0]


def test_a_change_makes_the_document_stale(monkeypatch):
    monkeypatch.setattr(matrix, "OPERATIONS", matrix.OPERATIONS[:-1])
    with pytest.raises(AssertionError):
        test_the_document_is_up_to_date()
    monkeypatch.undo()
    monkeypatch.setattr(sys.modules["amal.ops.tanh"], "__doc__", "Another derivation.")
    with pytest.raises(AssertionError):
        test_the_document_is_up_to_date()


def test_every_operation_is_in_the_table():
    assert {case.op for case in CASES} == set(amal.ops.OPERATIONS)
