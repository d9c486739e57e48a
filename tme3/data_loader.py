"""Experiment 3.1: a Dataset of flat images, and what the options of a DataLoader do.

Reported: no figures; a Dataset to be written and tried with several batch sizes and options (R-b 3.1).

One look at what the Dataset gives, then an epoch with each setting of the DataLoader: how many batches it makes, how
large the last one is, whether two epochs have the same order, and how long it takes. At the end the way that all other
experiments take, a choice of rows of one tensor.

In TensorBoard: Text, `settings`, the table; Images, `first images`, with their classes; HParams, the seconds of an
epoch.

Alone: it measures time.

    python -m tme3.data_loader
    python -m tme3.data_loader --dataset mnist --data-root data --workers 2
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from amal.data import ImageDataset, Images
from amal.plots import image_grid
from amal.runs import Outcome, launch
from amal.seeds import generator
from amal.training import Logbook, RunConfig, require_some
from amal.training.batches import epoch_batches
from tme3._images import ImageConfig

Epoch = Callable[[int], Iterable[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class Config(RunConfig, ImageConfig):
    """What to load, and how."""

    batch_size: int = 32
    """Images in a batch."""
    large_batch_size: int = 500
    """Images in a batch, to compare with."""
    workers: int = 2
    """Processes that prepare batches, in the setting that has some."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_some(self, "batch_size", "large_batch_size", "workers")


def run(config: Config, logbook: Logbook) -> Outcome:
    """Look at the Dataset, then at an epoch with each setting."""
    data = config.load(config.seed, "cpu")
    dataset = ImageDataset(data.train)
    pixels, label = dataset[0]
    lowest, highest = data.train.input.aminmax()
    about = (
        f"{data.name}: {len(dataset)} images; the first is {tuple(pixels.shape)}, {pixels.dtype}, class {label}; "
        f"pixels from {lowest:g} to {highest:g}"
    )
    captions = [data.classes[number] for number in data.train.target[:24]]
    logbook.figure("first images", image_grid(data.train.input[:24], captions, f"{data.name}: the first images"), 0)

    lines = [f"{about}\n", "| | batches | in the last | same order twice | ms an epoch |", "|---|--:|--:|---|--:|"]
    metrics = {}
    for name, epoch in settings(config, data, dataset).items():
        sizes, labels, seconds = zip(*(looked_at(epoch(number)) for number in (1, 2)), strict=True)
        same = "yes" if torch.equal(*labels) else "no"
        lines.append(f"| {name} | {len(sizes[0])} | {sizes[0][-1]} | {same} | {min(seconds) * 1e3:.1f} |")
        metrics |= {f"{name}, batches": len(sizes[0]), f"{name}, seconds": min(seconds)}
    print("\n".join(lines))
    logbook.text("settings", "\n".join(lines))
    loader, tensor = (metrics[f"{name}, seconds"] for name in ("shuffle", "rows of one tensor"))
    return Outcome(f"{about}; rows of one tensor {loader / tensor:.0f}x faster than a DataLoader", metrics)


def settings(config: Config, data: Images, dataset: ImageDataset) -> dict[str, Epoch]:
    """Return, for each setting, what makes the batches of an epoch."""
    size, shuffled = config.batch_size, {"shuffle": True, "generator": generator(config.seed, "loader")}

    def load(batch_size: int, **options: Any) -> Epoch:
        loader = DataLoader(dataset, batch_size, **options)
        return lambda _: loader

    return {
        "in order": load(size),
        "shuffle": load(size, **shuffled),
        "shuffle, drop_last": load(size, drop_last=True, **shuffled),
        f"shuffle, batches of {config.large_batch_size}": load(config.large_batch_size, **shuffled),
        f"shuffle, num_workers={config.workers}": load(size, num_workers=config.workers, **shuffled),
        "rows of one tensor": partial(epoch_batches, data.train, size, config.seed),
    }


def looked_at(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[list[int], Tensor, float]:
    """Go through an epoch; return the sizes of its batches, its labels in their order, and the seconds it took."""
    started = time.perf_counter()
    labels = [target for _, target in batches]
    seconds = time.perf_counter() - started
    sizes = [len(each) for each in labels]
    return sizes, torch.cat(labels), seconds


if __name__ == "__main__":
    launch(run)
