"""The ten settings of experiment 2.5, all at once, beside one after another in plain eager torch.

    python -m benchmarks.sweep

One seed and five, the same looks at the data on both sides. One after another means what one would write without this
package: torch's layers, loss and SGD, batches by indexing, one run after the other, all ten. It takes a quarter of an
hour.

Writes benchmarks/results/sweep-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from amal.data import Splits
from amal.training.device import synchronize
from amal.training.logbook import Silent
from benchmarks.ops import RESULTS, machine
from benchmarks.report import write_report
from benchmarks.timing import compare_told
from tme2._checkerboard import BoardConfig, Setting, board, train
from tme2.checkerboard import REPORTED

SETTINGS = list(REPORTED)
LOOKS = 10
"""Iterations from one look to the next."""


def sweeps(seeds: int, device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return the sweep and the runs one after another, on so many seeds; each tells its seconds."""
    config = BoardConfig(evaluate_every=LOOKS, seeds=seeds, progress=False, device=device)
    longest = {batches: max(n for n, same in SETTINGS if same == batches) for _, batches in SETTINGS}
    looks = {batches: tuple(n for n, same in SETTINGS if same == batches) for batches in longest}
    settings = [Setting(n, batches, 0.01, looks=looks[batches]) for batches, n in longest.items()]
    boards = [board(seed).to(device) for seed in range(seeds)]

    def ours() -> float:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            train(settings, config, Silent(Path(folder)), [])
        return time.perf_counter() - started

    def theirs() -> float:
        started = time.perf_counter()
        for iterations, batches in SETTINGS:
            for data in boards:
                plain(data, iterations, math.ceil(len(data.train) / batches), config.width)
        synchronize()
        return time.perf_counter() - started

    return ours, theirs


def plain(data: Splits, iterations: int, batch_size: int, width: int) -> None:
    """Train one network in plain eager torch."""
    layers = [nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(width, 1)).to(data.train.input.device)
    loss, optimizer = nn.BCEWithLogitsLoss(reduction="sum"), torch.optim.SGD(model.parameters(), 0.01)
    for epoch in range(iterations):
        order = torch.randperm(len(data.train), device=data.train.input.device)
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            loss(model(data.train.input[rows]), data.train.target[rows]).backward()
            optimizer.step()
        if epoch % LOOKS == 0:
            for part in (data.train, data.validation, data.test):
                look(model, part.input, part.target)


@torch.no_grad()
def look(model: nn.Module, input: Tensor, target: Tensor) -> tuple[float, float]:
    """Return loss and accuracy on a part."""
    logits = model(input)
    accuracy = ((logits > 0) == (target > 0.5)).double().mean()
    return nn.functional.binary_cross_entropy_with_logits(logits, target).item(), accuracy.item()


def main() -> None:
    """Measure one seed and five."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        rows = []
        for seeds, rounds in ((1, 2), (5, 1)):
            measured = compare_told(*sweeps(seeds, device), rounds)
            rows.append({"seeds": seeds, "runs": seeds * len(SETTINGS), "sweep": measured._asdict()})
        result = {**machine(device), "threads": torch.get_num_threads(), "rows": rows}
        (RESULTS / f"sweep-{device}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    write_report(RESULTS)


if __name__ == "__main__":
    main()
