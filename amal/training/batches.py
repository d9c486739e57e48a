"""Where the batches of an epoch come from: tensors that stay on their device, or torch's DataLoader."""

import copy
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from amal import _torch
from amal.errors import UserError
from amal.seeds import generator

Batch: TypeAlias = tuple[Tensor, Tensor]


class Examples(Protocol):
    """Examples and what should be predicted of them: input (n, *) and target (n, *) on one device."""

    @property
    def input(self) -> Tensor:
        """What the model is given."""

    @property
    def target(self) -> Tensor:
        """What it should answer."""


Part: TypeAlias = "Examples | DataLoader[Any]"
"""One part of a data set. A DataLoader makes its own batches of (input, target) and ignores --batch-size."""


class Data(Protocol):
    """What a model learns from, what is looked at to choose, and what it is measured on at the end."""

    @property
    def train(self) -> Part:
        """To learn from."""

    @property
    def validation(self) -> Part:
        """To choose with: the best model, when to stop."""

    @property
    def test(self) -> Part:
        """To measure on."""


def steps_per_epoch(part: Part, batch_size: int | None) -> int:
    """Return the number of batches that hold every example once."""
    if not isinstance(part, DataLoader):
        return math.ceil(len(part.input) / (batch_size or len(part.input)))
    try:
        return len(part)
    except TypeError:
        raise UserError("the DataLoader has no length: its data set must know how many examples it holds") from None


def refuse_single_examples(model: nn.Module, part: Part, batch_size: int | None, processes: int = 1) -> None:
    """Raise, before anything is trained, if a batch holds a single example that the model cannot be trained on.

    A batch normalisation of one number has no variance; of one image it has. So the model is asked: a copy of it.

    Raises:
        UserError: the model refuses a batch of one, which is what some process gets.
    """
    if not any(_torch.normalises_batches(module) for module in model.modules()):
        return
    examples, rows = _sizes(part, batch_size)
    left_over = examples % rows if rows else 0
    if min(rows, left_over or rows) // processes > 1 or not rows:
        return
    input, _ = next(in_order(part, 1))
    try:
        with torch.random.fork_rng(), torch.no_grad():
            copy.deepcopy(model).train()(input[:1])
    except ValueError as error:
        each = f", shared by {processes} processes" if processes > 1 else ""
        batch = f"{left_over or rows} of {examples} examples are in the last batch of {rows}{each}"
        raise UserError(
            f"a batch of one example cannot be normalised ({error}): {batch}; try another --batch-size"
        ) from None


def _sizes(part: Part, batch_size: int | None) -> tuple[int, int]:
    """Return how many examples there are, and how many go into a batch; 0 where a DataLoader does not say."""
    if not isinstance(part, DataLoader):
        return len(part.input), min(batch_size or len(part.input), len(part.input))
    known = part.batch_size is not None and not part.drop_last
    return (len(part.dataset), min(part.batch_size or 0, len(part.dataset))) if known else (0, 0)  # type: ignore[arg-type]


def epoch_batches(part: Part, batch_size: int | None, seed: int, epoch: int, skip: int = 0) -> Iterator[Batch]:
    """Return an iterator over (input, target) that meets every example once, but for the first `skip` batches.

    The order is a function of (seed, epoch): there is no state to save or to lose. Of a DataLoader the same holds for
    its sampler and its workers, which draw from a generator seeded here; its own `shuffle` rules.

    Args:
        part: tensors, or a DataLoader.
        batch_size: examples per batch, the last one may hold fewer; None for all at once. Ignored by a DataLoader.
        seed, epoch: what the order depends on.
        skip: batches to leave out, as those that were trained on before an interruption; they are drawn at once.
    """
    batches = _loaded(part, seed, epoch) if isinstance(part, DataLoader) else _cut(part, batch_size, seed, epoch)
    for _ in islice(batches, skip):
        pass
    return batches


def in_order(part: Part, batch_size: int) -> Iterator[Batch]:
    """Yield every example once, as they lie: what evaluation goes through."""
    if isinstance(part, DataLoader):
        yield from _loaded(part, 0, 0)
    else:
        yield from zip(part.input.split(batch_size), part.target.split(batch_size), strict=True)  # type: ignore[no-untyped-call]


def order_of_epoch(examples: int, seed: int, epoch: int) -> Tensor:
    """Return the numbers of the examples in the order in which an epoch meets them."""
    return torch.randperm(examples, generator=generator(seed, "epoch", epoch))


def _cut(part: Examples, batch_size: int | None, seed: int, epoch: int) -> Iterator[Batch]:
    if batch_size is None:
        yield part.input, part.target
        return
    order = order_of_epoch(len(part.input), seed, epoch).to(part.input.device)
    for rows in order.split(min(batch_size, len(order))):  # type: ignore[no-untyped-call]
        yield part.input[rows], part.target[rows]


def _loaded(loader: "DataLoader[Any]", seed: int, epoch: int) -> Iterator[Batch]:
    """Start the loader from a random state of its own; the state of everybody else is left as it was."""
    if loader.persistent_workers:
        raise UserError(
            "the DataLoader keeps its workers from epoch to epoch (persistent_workers=True), so that what they draw "
            "depends on all that went before, and cannot be gone on with: leave that out"
        )
    drawn = generator(seed, "epoch", epoch)
    sources = (loader, loader.sampler, getattr(loader.batch_sampler, "sampler", None))
    for own in {getattr(source, "generator", None) for source in sources}:
        if isinstance(own, torch.Generator):
            own.set_state(drawn.get_state())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(drawn.initial_seed())
        batches = iter(loader)
        first = next(batches, None)  # here the sampler draws its order
    if first is not None:
        yield first
        yield from batches
