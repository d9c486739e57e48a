"""The table: every operation has every property."""

import shutil

import pytest

from amal.checking import CASES, PROPERTIES
from amal.checking.properties import compiles

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
one_of_each = pytest.mark.parametrize(
    "case", [case for case in CASES if case.name in ("linear", "mse_loss", "mse_loss, weighted")], ids=lambda c: c.name
)


@every_case
@pytest.mark.parametrize("name", PROPERTIES)
def test_property_holds(case, name):
    PROPERTIES[name](case)


@one_of_each
def test_compiles_under_every_transform(case):
    compiles(case, transforms=("grad", "vmap", "vmap of grad", "grad of vmap", "jacrev", "jacfwd", "hessian"))


@one_of_each
@pytest.mark.skipif(shutil.which("g++") is None, reason="the inductor backend needs a C++ compiler")
def test_compiles_to_machine_code(case):
    compiles(case, backend="inductor")
