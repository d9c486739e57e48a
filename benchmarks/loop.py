"""What the training loop costs beside a bare one: an epoch of the MNIST MLP, the same steps, in turn in one process.

    python -m benchmarks.loop

Both loops take the same batches of 100 from tensors on the device and make the same updates with torch.optim.SGD; ours
writes TensorBoard scalars, watches the loss, keeps what a checkpoint needs and stops on a signal, besides. The looks at
the whole data are left out of both. The second model is so small that the loop is nearly all there is.

Writes benchmarks/results/loop-<device>.json, and benchmarks/RESULTS.md from all that lies there.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from amal.data import Split, Splits
from amal.runs import RunLogbook
from amal.training import TrainingConfig, epoch_batches, fit
from amal.training.device import synchronize
from benchmarks.report import write
from benchmarks.roofline import roofline
from benchmarks.timing import compare_told, devices

MODELS = {"MNIST MLP, 784-100-10": (784, 100, 10), "tiny, 2-10-2": (2, 10, 2)}
BATCH_SIZE, BATCHES = 100, 200


def loops(widths: tuple[int, int, int], device: str, folder: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return an epoch by `fit` and an epoch by a bare loop, on a model of these widths; each tells its seconds."""
    features, hidden, classes = widths
    rows = BATCH_SIZE * BATCHES
    train = Split(torch.randn(rows, features, device=device), torch.randint(classes, (rows,), device=device))
    one = Split(train.input[:1], train.target[:1])
    data = Splits(train, one, one)
    config = TrainingConfig(epochs=1, batch_size=BATCH_SIZE, progress=False, device=device)
    loss = nn.functional.cross_entropy

    def start() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, classes)).to(device)
        return model, torch.optim.SGD(model.parameters(), 0.1)

    def ours() -> float:
        model, optimizer = start()
        logbook = RunLogbook(Path(tempfile.mkdtemp(dir=folder)))
        seconds = fit(model, loss, data, optimizer, config, logbook).seconds
        logbook.close()
        return seconds

    def theirs() -> float:
        model, optimizer = start()
        started = time.perf_counter()
        for input, target in epoch_batches(train, BATCH_SIZE, 0, 1):
            optimizer.zero_grad()
            loss(model(input), target).backward()
            optimizer.step()
        synchronize()
        return time.perf_counter() - started

    return ours, theirs


def main() -> None:
    """Measure every model."""
    for device in devices():
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for name, widths in MODELS.items():
                ours, theirs = loops(widths, device, Path(folder))
                measured = compare_told(ours, theirs, rounds=25)
                asked = roofline(theirs, measured.ours, device)
                rows.append({"name": name, "epoch": measured._asdict()} | asked)
        write("loop", device, {"steps": BATCHES, "rows": rows})


if __name__ == "__main__":
    main()
