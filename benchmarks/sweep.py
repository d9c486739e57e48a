"""The ten settings of experiment 2.5, all at once, beside one after another in plain eager torch.

    python -m benchmarks.sweep

One seed and five, the same looks at the data on both sides. One after another means what one would write without this
package: torch's layers, loss and SGD, batches by indexing, one run after the other, all ten. It takes a quarter of an
hour.

Writes benchmarks/results/sweep-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from amal.data import Splits
from amal.training.device import synchronize
from amal.training.logbook import NullLogbook
from benchmarks.report import write
from benchmarks.roofline import Work, roofline, work_of
from benchmarks.timing import compare_told, devices
from tme2._checkerboard import BoardConfig, Setting, board, train
from tme2.checkerboard import REPORTED

SETTINGS = list(REPORTED)
LOOKS = 10
"""Iterations from one look to the next."""
LONGEST = {batches: max(n for n, same in SETTINGS if same == batches) for _, batches in SETTINGS}
"""Batches in an epoch -> the most epochs of a setting with so many; a sweep sees the shorter ones on the way."""
WIDTH = BoardConfig().width


def sweeps(seeds: int, device: str) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return the sweep and the runs one after another, on so many seeds; each tells its seconds."""
    config = BoardConfig(evaluate_every=LOOKS, seeds=seeds, progress=False, device=device)
    looks = {batches: tuple(n for n, same in SETTINGS if same == batches) for batches in LONGEST}
    settings = [Setting(n, batches, 0.01, looks=looks[batches]) for batches, n in LONGEST.items()]
    boards = [board(seed).to(device) for seed in range(seeds)]

    def ours() -> float:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            train(settings, config, NullLogbook(Path(folder)), [])
        return time.perf_counter() - started

    def theirs() -> float:
        started = time.perf_counter()
        for iterations, batches in SETTINGS:
            for data in boards:
                plain(data, iterations, math.ceil(len(data.train) / batches))
        synchronize()
        return time.perf_counter() - started

    return ours, theirs


def plain(data: Splits, iterations: int, batch_size: int) -> None:
    """Train one network in plain eager torch."""
    model, step = stepper(data)
    for epoch in range(iterations):
        order = torch.randperm(len(data.train), device=data.train.input.device)
        for rows in order.split(batch_size):
            step(rows)
        if epoch % LOOKS == 0:
            for part in (data.train, data.validation, data.test):
                look(model, part.input, part.target)


def stepper(data: Splits) -> tuple[nn.Module, Callable[[Tensor], None]]:
    """Return a network, and what takes a step on some rows of the training data."""
    layers = [nn.Linear(2, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, 1)).to(data.train.input.device)
    loss, optimizer = nn.BCEWithLogitsLoss(reduction="sum"), torch.optim.SGD(model.parameters(), 0.01)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        loss(model(data.train.input[rows]), data.train.target[rows]).backward()
        optimizer.step()

    return model, step


def asked(seeds: int, device: str) -> Work:
    """Return what the steps of a sweep ask of the machine."""
    data = board(0).to(device)
    _, step = stepper(data)
    works = []
    for batches, iterations in LONGEST.items():
        rows = torch.arange(math.ceil(len(data.train) / batches), device=device)
        works.append(work_of(lambda rows=rows: step(rows)).times(seeds * batches * iterations))
    return Work(sum(work.flops for work in works), sum(work.bytes for work in works))


@torch.no_grad()
def look(model: nn.Module, input: Tensor, target: Tensor) -> tuple[float, float]:
    """Return loss and accuracy on a part."""
    logits = model(input)
    accuracy = ((logits > 0) == (target > 0.5)).double().mean()
    return nn.functional.binary_cross_entropy_with_logits(logits, target).item(), accuracy.item()


def main() -> None:
    """Measure one seed and five."""
    for device in devices():
        rows = []
        for seeds, rounds in ((1, 5), (5, 1)):
            measured = compare_told(*sweeps(seeds, device), rounds)
            about = {"name": f"{seeds} seed{'s' * (seeds > 1)}", "runs": seeds * len(SETTINGS), "rounds": rounds}
            rows.append(about | {"sweep": measured._asdict()} | roofline(asked(seeds, device), measured.ours, device))
        write("sweep", device, {"rows": rows})


if __name__ == "__main__":
    main()
