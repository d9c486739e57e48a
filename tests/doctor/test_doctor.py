"""The doctor on the bank: every wrong Function is found and named, no right one is suspected."""

from functools import cache

import pytest
from doctor_bank.table import ALL_RIGHT, ALL_WRONG, params

from amal.checking import check, examine

LEAST_NAMED = 0.99
MISNAMED = {"highway weight-not-transposed", "TorchHighway transposed"}
"""The doctor finds them and calls them `grad-value`: a transposed weight inside a layer."""


@cache
def diagnosis_of(entry):
    if entry.operation is not None:
        return examine(entry.function, entry.operation, entry.definition)
    call = entry.call
    return check(entry.function, call.draw(5), reference=call.reference, requires=call.variables)


def errors(entry):
    return [finding for finding in diagnosis_of(entry).findings if finding.severity == "error"]


@pytest.mark.one_in(4)
@pytest.mark.parametrize("entry", params(ALL_RIGHT))
def test_no_false_alarm(entry):
    assert errors(entry) == []
    assert diagnosis_of(entry).verdict == "correct"


@pytest.mark.one_in(3)
@pytest.mark.parametrize("entry", params(ALL_WRONG))
def test_wrong_ones_are_found_and_named(entry):
    """By the right code; of two faults, by the code of one of them."""
    assert diagnosis_of(entry).verdict == "wrong"
    assert {finding.code for finding in errors(entry)} & set(entry.codes) or entry.name in MISNAMED


def test_few_are_misnamed():
    assert len(MISNAMED) <= (1 - LEAST_NAMED) * len(ALL_WRONG)
    assert {entry.name for entry in ALL_WRONG} > MISNAMED


def test_every_code_is_asked_for():
    codes = {code for entry in ALL_WRONG for code in entry.codes}
    assert codes == {
        *("forward-value", "forward-unstable", "grad-count", "grad-shape", "grad-dtype", "grad-missing", "not-summed"),
        *("grad-factor", "grad-sign", "grad-transposed", "grad-order", "grad-value", "ignores-grad-output"),
        *("nonlinear-in-grad-output", "mutates-input", "mutates-grad-output", "second-order", "keeps-tensors", "kink"),
        *("engine", "shared-gradient", "undefined-gradient", "low-precision"),
    }
