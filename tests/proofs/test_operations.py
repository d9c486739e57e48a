"""The table: every operation has every property."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from amal.checking import CASES, PROPERTIES
from amal.proofs.budget import error_ratio
from amal.proofs.properties import compiles

OF_EACH = {case.name: case for case in CASES if case.name in ("linear", "mse_loss", "mse_loss, weighted")}
some_of_each = pytest.mark.parametrize(
    "case",
    [pytest.param(of, id=name, marks=[pytest.mark.slow] if name != "linear" else []) for name, of in OF_EACH.items()],
)

LONG = ("forward mode", "batched", "gradgradcheck", "torch.func")
FIRST = {case.op: case for case in reversed(CASES)}
first_of_each = pytest.mark.parametrize("case", list(FIRST.values()), ids=lambda c: c.op)


def rows():
    """Yield every property with every case; what takes long with the first of an operation, and with some more."""
    for name in PROPERTIES:
        for number, case in enumerate(CASES):
            share = 6 if name in LONG else 3
            slow = case is not FIRST[case.op] and (name == "compile" or number % share)
            yield pytest.param(case, name, id=f"{name}-{case.name}", marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("case", "name"), list(rows()))
def test_property_holds(case, name):
    PROPERTIES[name](case)


@pytest.mark.one_in(3)
@some_of_each
@pytest.mark.parametrize(
    "transform",
    [
        *("grad", "vmap of grad", "hessian"),
        *(pytest.param(of, marks=pytest.mark.slow) for of in ("vmap", "grad of vmap", "jacrev", "jacfwd")),
    ],
)
def test_compiles_under_every_transform(case, transform):
    try:
        compiles(case, transforms=[transform])
    except Exception:
        try:
            compiles(replace(case, operation=case.reference), transforms=[transform])
        except Exception:  # torch 2.11 cannot compile jacfwd of anything
            pytest.skip(f"torch {torch.__version__} does not compile torch.func {transform} of its own {case.name}")
        raise


@pytest.mark.slow
@first_of_each
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_rounds_within_budget_when_compiled(case, dtype):
    assert error_ratio(case, dtype, compiled=True) <= 2


@some_of_each
@pytest.mark.skipif(shutil.which("g++") is None, reason="the inductor backend needs a C++ compiler")
def test_compiles_to_machine_code(case):
    compiles(case, backend="inductor")


@pytest.mark.slow
@pytest.mark.parametrize(
    "before",
    ["", "import torch._dynamo"],
    ids=["compiler imported after", "compiler imported before"],
)
def test_the_compiler_knows_the_operations_whenever_it_is_imported(before):
    """In a fresh process, whose first use of an operation is inside a compiled function."""
    code = f"""
import importlib.util, sys, torch
{before}
from amal.functional import linear
assert ("torch._dynamo" in sys.modules) == bool({before!r})
importlib.util.find_spec("torch._dynamo")  # somebody else may look whether it is there
x, w = torch.ones(1, 3, requires_grad=True), torch.ones(2, 3)
torch.compile(lambda x: linear(x, w), fullgraph=True, backend="aot_eager")(x).sum().backward()
assert x.grad.tolist() == [[2.0] * 3], x.grad
"""
    subprocess.run([sys.executable, "-c", code], check=True)
