"""What the benchmarks count and how they set it; what they time is theirs alone, no test looks at a clock."""

import json
import sys

import pytest
import torch
from torch import nn

from amal import functional
from benchmarks import report, startup
from benchmarks.networks import MNIST, NETWORKS, step_of
from benchmarks.roofline import Rates, Work, memory_peak, roofline, work_of
from benchmarks.timing import Ratio, compare_told

FLOAT = 4


def test_a_product_is_counted_by_hand():
    a, b = torch.randn(20, 30), torch.randn(30, 50)
    assert work_of(lambda: a @ b) == Work(2 * 20 * 30 * 50, FLOAT * (20 * 30 + 30 * 50 + 20 * 50))


def test_a_view_moves_nothing_and_a_copy_twice_its_size():
    x = torch.randn(100)
    assert work_of(lambda: x.view(10, 10).t()) == Work(0, 0)
    assert work_of(lambda: x.clone()) == Work(0, FLOAT * 200)


def test_of_a_choice_of_rows_only_these_are_read():
    x, rows = torch.randn(1000, 50), torch.arange(10)
    chosen = 2 * FLOAT * 10 * 50 + 8 * 10  # read, written, and the numbers of the rows
    assert work_of(lambda: x[rows]) == work_of(lambda: x.index_select(0, rows)) == Work(0, chosen)


def test_backward_is_counted_too():
    x, w = torch.randn(20, 30, requires_grad=True), torch.randn(50, 30, requires_grad=True)
    forward = work_of(lambda: functional.linear(x, w)).flops
    assert work_of(lambda: functional.linear(x, w).sum().backward()).flops == 3 * forward


def test_the_peak_is_what_is_held_at_once():
    x = torch.randn(1000)
    one, two = (memory_peak(call, "cpu") for call in (lambda: x + 1, lambda: (x + 1) + (x + 2)))
    assert FLOAT * 1000 <= one < FLOAT * 1100
    assert FLOAT * 3000 <= two < FLOAT * 3100  # both summands and their sum
    assert FLOAT * 2000 <= memory_peak(lambda: (x + 1) + 2, "cpu") < FLOAT * 2100
    for _ in range(3):
        assert memory_peak(lambda: [x + 1 for _ in range(5)].clear(), "cpu") == pytest.approx(5 * one, rel=0.1)


@pytest.mark.parametrize(("work", "share"), [(Work(50, 1), 0.25), (Work(1, 10), 0.5)])
def test_the_share_is_of_the_rate_that_binds(monkeypatch, work, share):
    monkeypatch.setattr("benchmarks.roofline.rates", lambda device: Rates(flops=100, bytes=10))
    assert roofline(work, 2.0, "cpu")["roofline"]["share of bound"] == share


def test_a_first_round_is_not_counted_and_quartiles_lie_about_the_median():
    ours, theirs = iter([100.0, 1, 2, 3, 4, 5]), iter([1.0] * 6)
    assert compare_told(lambda: next(ours), lambda: next(theirs), 5) == Ratio(3, 2, 4, 3, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_both_of_a_pair_are_one_network(name):
    network = NETWORKS[name]
    torch.manual_seed(0)
    ours, theirs = network.ours(), network.theirs()
    sizes = [sorted(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert sizes[0] == sizes[1]
    input = torch.rand(4, *MNIST)
    target = network.target(input, torch.arange(4))
    flops = [
        work_of(step_of(model, on, network.loss, input, target)).flops
        for model, on in ((ours, functional), (theirs, nn.functional))
    ]
    again = 10 * 2 * 4 * 100 * 100 if "highway" in name else 0  # one product a layer is made again, to keep less
    assert flops[0] == flops[1] + again


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody waits for what a command leaves behind")
def test_the_memory_of_what_a_command_does_not_wait_for_is_seen():
    """As of the process that a sandbox kills at its end."""
    leaves = "import os\nif not os.fork():\n    held = b'1' * 300_000_000"
    _, mbyte = startup.measured([sys.executable, "-c", leaves])
    assert mbyte > 250


def test_results_are_written_with_where_and_when(tmp_path, monkeypatch):
    results = tmp_path / "results"
    monkeypatch.setattr(report, "RESULTS", results)
    monkeypatch.setattr(report, "rates", lambda device: Rates(flops=100e9, bytes=10e9))
    ratio = Ratio(0.9, 0.8, 1.1, 0.002, 0.003)._asdict()
    shares = {f"share of {what}": 0.5 for what in ("product", "copy", "bound")}
    roof = {"seconds": 0.002, "gflop": 0.1, "gbyte": 0.01, **shares}
    row = {"name": "MLP", "step": ratio, "peaks": [2**20, 2**21], "roofline": roof}
    report.write("steps", "cpu", {"rows": [row]})
    written = json.loads((results / "steps-cpu.json").read_text())
    assert {"machine", "torch", "date", "rates", "rows"} <= written.keys()
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| MLP | **0.90** (0.80 – 1.10) | 2.00 | 3.00 | 1.0 | 2.0 |" in page
    assert "reach 100 GFLOP/s, copies 10 GB/s" in page
    assert "| MLP | 0.1 | 0.01 | 2 ms | 50 % | 50 % | 50 % |" in page
