"""The batches of an epoch: from tensors that stay on their device, or from torch's DataLoader."""

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
    """Examples and what to predict of them: input (n, *) and target (n, *) on one device."""

    @property
    def input(self) -> Tensor:
        """The input of the model."""

    @property
    def target(self) -> Tensor:
        """The output that it should have."""


Part: TypeAlias = "Examples | DataLoader[Any]"
"""One part of a data set. A DataLoader makes its own batches (input, target), of its own size."""


class Data(Protocol):
    """The data to learn from, to choose with, and to measure on at the end."""

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
    """Raise, before anything is trained, if the model cannot be trained on a batch of one example.

    A batch normalisation of one number has no variance; of one image it has. So a copy of the model
    is tried.

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
    """Return the number of examples, and of those in a batch; 0 where a DataLoader does not say."""
    if not isinstance(part, DataLoader):
        return len(part.input), min(batch_size or len(part.input), len(part.input))
    if part.batch_size is None or part.drop_last:
        return 0, 0
    examples = len(part.dataset)  # type: ignore[arg-type]
    return examples, min(part.batch_size, examples)


def epoch_batches(part: Part, batch_size: int | None, seed: int, epoch: int, skip: int = 0) -> Iterator[Batch]:
    """Return an iterator over (input, target) with every example once, without the first `skip` batches.

    The order is a function of (seed, epoch): there is no state to save or to lose. Of a DataLoader
    the same holds for its sampler and its workers, which draw from a generator seeded here; its own
    `shuffle` rules.

    Args:
        part: tensors, or a DataLoader.
        batch_size: examples per batch, the last one may hold fewer; None for all at once. Ignored
            by a DataLoader.
        seed, epoch: what the order depends on.
        skip: batches to leave out, as those that were trained on before an interruption; they are
            drawn at once.
    """
    if isinstance(part, DataLoader):
        batches = _loader_batches(part, seed, epoch)
    else:
        batches = _tensor_batches(part, batch_size, seed, epoch)
    for _ in islice(batches, skip):
        pass
    return batches


def in_order(part: Part, batch_size: int) -> Iterator[Batch]:
    """Yield batches with every example once, in the order of the data: for evaluation."""
    if isinstance(part, DataLoader):
        yield from _loader_batches(part, 0, 0)
    else:
        yield from zip(part.input.split(batch_size), part.target.split(batch_size), strict=True)  # type: ignore[no-untyped-call]


def order_of_epoch(examples: int, seed: int, epoch: int) -> Tensor:
    """Return the numbers of the examples in the order in which an epoch meets them."""
    return torch.randperm(examples, generator=generator(seed, "epoch", epoch))


def _tensor_batches(part: Examples, batch_size: int | None, seed: int, epoch: int) -> Iterator[Batch]:
    if batch_size is None:
        yield part.input, part.target
        return
    order = order_of_epoch(len(part.input), seed, epoch).to(part.input.device)
    for rows in order.split(min(batch_size, len(order))):  # type: ignore[no-untyped-call]
        yield part.input[rows], part.target[rows]


def _loader_batches(loader: "DataLoader[Any]", seed: int, epoch: int) -> Iterator[Batch]:
    """Start the loader from a random state of its own, and leave the global one as it was."""
    if loader.persistent_workers:
        raise UserError(
            "the DataLoader keeps its workers from epoch to epoch (persistent_workers=True), so that what they draw "
            "depends on all that went before, and cannot be gone on with: leave that out"
        )
    random = generator(seed, "epoch", epoch)
    sources = (loader, loader.sampler, getattr(loader.batch_sampler, "sampler", None))
    for own in {getattr(source, "generator", None) for source in sources}:
        if isinstance(own, torch.Generator):
            own.set_state(random.get_state())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random.initial_seed())
        batches = iter(loader)
        first = next(batches, None)  # here the sampler draws its order
    if first is not None:
        yield first
        yield from batches
