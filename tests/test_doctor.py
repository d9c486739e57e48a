"""The doctor on the bank: every wrong Function is found and named, no right one is suspected."""

from functools import cache

import pytest
from doctor_bank.table import ALL_RIGHT, ALL_WRONG

from amal.checking import examine

LEAST_NAMED = 0.95


@cache
def diagnosis_of(entry):
    return examine(entry.function, entry.operation)


def errors(entry):
    return [finding for finding in diagnosis_of(entry).findings if finding.severity == "error"]


@pytest.mark.parametrize("entry", ALL_RIGHT, ids=lambda entry: entry.name)
def test_no_false_alarm(entry):
    assert errors(entry) == []
    assert diagnosis_of(entry).verdict == "correct"


@pytest.mark.parametrize("entry", ALL_WRONG, ids=lambda entry: entry.name)
def test_wrong_ones_are_found(entry):
    assert diagnosis_of(entry).verdict == "wrong"


def test_wrong_ones_are_named():
    """By the right code at least; of two faults, by the code of one of them."""
    misnamed = {of.name: errors(of) for of in ALL_WRONG if not {found.code for found in errors(of)} & set(of.codes)}
    assert len(misnamed) <= (1 - LEAST_NAMED) * len(ALL_WRONG), misnamed


def test_every_code_is_asked_for():
    asked = {code for of in ALL_WRONG for code in of.codes}
    assert asked == {
        *("forward-value", "forward-unstable", "grad-count", "grad-shape", "grad-dtype", "grad-missing", "not-summed"),
        *("grad-factor", "grad-sign", "grad-transposed", "grad-order", "grad-value", "ignores-grad-output"),
        *("nonlinear-in-grad-output", "mutates-input", "mutates-grad-output", "second-order", "keeps-tensors", "kink"),
    }
