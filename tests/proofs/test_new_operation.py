"""CONTRIBUTING's three steps, walked in a copy of the repository: an operation is one file, one row and one line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from amal.checking import PROPERTIES

ROOT = Path(__file__).parents[2]
RULE = '''r"""Softplus: relu with a round corner.

    y = log(1 + e^(βx)) / β, and x where βx > θ

Shapes: x and y equal; every entry is on its own; β and θ are numbers.

By the chain rule, with σ(u) = 1 / (1 + e⁻ᵘ) and g = ∂L/∂y:

    ∂L/∂x = g σ(βx), and g where βx > θ           ẏ = ẋ σ(βx)

Source: Dugas et al., Incorporating Second-Order Functional Knowledge for Better Option Pricing, 2001.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import at_least_float32, cast, check_tensors, public_op


class SoftplusFunction(Function):
    """y = log(1 + e^(βx)) / β."""

    kind, keeps = "symmetric", "input"

    @staticmethod
    def forward(input: Tensor, beta: float, threshold: float) -> Tensor:
        return torch.nn.functional.softplus(input, beta, threshold)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        (input,), (beta, threshold) = ctx.saved_tensors, ctx.options
        x = beta * at_least_float32(input)
        slope = torch.where(x > threshold, 1.0, x.sigmoid())
        return cast(grad_output * slope, input.dtype), None, None


@public_op
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Apply softplus to every entry, as torch.nn.functional.softplus does."""
    check_tensors("softplus", input=input)
    return SoftplusFunction.apply(input, beta, threshold)
'''
CHECKS = [
    *(f"tests/proofs/test_operations.py::test_property_holds[{name}-softplus]" for name in PROPERTIES),
    "tests/proofs/test_matrix.py::test_every_operation_is_in_the_table",
    "tests/ops/test_functional.py::test_signature_is_torchs[softplus]",
    "tests/nn/test_nn.py::test_layer_is_taken_for_torchs[Softplus]",
    "tests/nn/test_nn.py::test_layer_calls_the_operation_written_by_hand[Softplus]",
]
WHAT_ELSE = """
import runpy
from amal.show import page
from benchmarks.ops import WORKLOADS
assert "There is none yet" in page("softplus", 100)
assert [large.name for _, large in WORKLOADS].count("softplus") == 1
runpy.run_path("tests/exports.py", run_name="__main__")
"""


@pytest.fixture(name="house")
def fixture_house(tmp_path):
    """A copy of the repository."""

    def leave_out(folder, names):
        at_root = {"runs", "data", "build"} if Path(folder) == ROOT else set()
        return {name for name in names if name.startswith(".") or name == "__pycache__" or name in at_root}

    return Path(shutil.copytree(ROOT, tmp_path / "house", ignore=leave_out))


def contribute(house, rule):
    """Write the rule, a row of cases, and a line of the changelog."""
    (house / "amal/ops/softplus.py").write_text(rule, encoding="utf-8")
    row = '    *entrywise_cases("silu"),\n'
    insert(house / "amal/proofs/table.py", row, row.replace("silu", "softplus"))
    insert(house / "CHANGELOG.md", "### Added\n\n", "- `softplus`, by hand.\n")


def insert(path, place, text):
    before = path.read_text(encoding="utf-8")
    assert before.count(place) >= 1
    path.write_text(before.replace(place, place + text, 1), encoding="utf-8")


def changed(house):
    """The files that are new or other than in the repository."""
    files = [path for path in house.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    known = {path: ROOT / path.relative_to(house) for path in files}
    return {
        str(path.relative_to(house))
        for path, original in known.items()
        if not original.exists() or original.read_bytes() != path.read_bytes()
    }


def run(house, *arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, encoding="utf-8", check=False)


def test_an_operation_is_added_in_three_files(house):
    contribute(house, RULE)
    assert changed(house) == {"amal/ops/softplus.py", "amal/proofs/table.py", "CHANGELOG.md"}
    done = run(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHECKS)
    assert done.returncode == 0, done.stdout
    assert f"{len(CHECKS) - 1} passed, 1 skipped" in done.stdout or f"{len(CHECKS)} passed" in done.stdout


@pytest.mark.slow
def test_stubs_pages_and_benchmarks_know_the_new_operation(house):
    contribute(house, RULE)
    done = run(house, "-c", WHAT_ELSE)
    assert done.returncode == 0, done.stderr
    stubs = {"amal/functional.pyi", "amal/nn/layers.pyi", "amal/ops/__init__.pyi"}
    assert changed(house) - stubs == {"amal/ops/softplus.py", "amal/proofs/table.py", "CHANGELOG.md"}
    assert all("softplus" in (house / stub).read_text(encoding="utf-8").lower() for stub in stubs)


@pytest.mark.slow
def test_a_wrong_operation_is_not_added(house):
    contribute(house, RULE.replace("x.sigmoid())", "x.tanh())"))
    done = run(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHECKS)
    assert done.returncode == 1
    assert "FAILED tests/proofs/test_operations.py::test_property_holds[gradcheck-softplus]" in done.stdout


@pytest.mark.slow
def test_the_page_gets_its_row_by_one_command(house):
    contribute(house, RULE)
    done = run(house, "-m", "amal", "ops", "softplus", "--markdown", "docs/OPERATIONS.md", "--no-progress")
    assert done.returncode == 0, done.stderr
    page, before = ((root / "docs/OPERATIONS.md").read_text(encoding="utf-8") for root in (house, ROOT))
    rows = [line for line in page.split("\n") if line.startswith("| `") and line not in before.split("\n")]
    assert [row.split("|")[1].strip() for row in rows] == ["`softplus`"]
    assert "## softplus\n\nSoftplus: relu with a round corner." in page
