"""Several processes that train one model, as torchrun starts them; or a single one.

Every process computes the gradient of its rows of each batch, DistributedDataParallel averages the
gradients, and all take the same step. The first process alone writes.
"""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from amal.errors import UserError

_T = TypeVar("_T")


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes that torchrun started, if it did, and leave them at the end."""
    if not is_torchrun():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # While it waits for the others no handler in Python would run: a signal ends it.
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    signal.signal(signal.SIGTERM, handler)
    try:
        yield
    except BaseException as error:
        # The parallel model must go before the group does, or torch's threads may wait for ever.
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        dist.destroy_process_group()


def is_torchrun() -> bool:
    """Whether this process is one of those that torchrun started."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


def rank() -> int:
    """Return the number of this process among those that train together, from 0."""
    return dist.get_rank() if dist.is_initialized() else int(os.environ.get("RANK", 0))


def size() -> int:
    """Return how many processes train together."""
    if dist.is_initialized():
        return dist.get_world_size()
    return int(os.environ["WORLD_SIZE"]) if is_torchrun() else 1


def data_parallel(model: nn.Module) -> nn.Module:
    """Return the model with gradients averaged over the processes; in one process, the model.

    The copies start as the first process's. Statistics of a batch (batch_norm) are of its own rows.
    """
    if size() == 1:
        return model
    return nn.parallel.DistributedDataParallel(model)


def local_rows(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return this process's rows of a batch, and which fraction of the batch they are.

    A batch with fewer rows than there are processes leaves some without any: these take the first
    row, as the fraction 0, so that every process takes part in every step.
    """
    if size() == 1:
        return input, target, 1.0
    part = slice(rank(), None, size())
    rows = len(range(*part.indices(len(input))))
    if rows == 0:
        return input[:1], target[:1], 0.0
    return input[part], target[part], rows / len(input)


def total(values: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes."""
    if size() > 1:
        dist.all_reduce(values)
    return values


def run_on_first(function: Callable[[], _T]) -> _T:
    """Let the first process call a function; return its result, or raise its UserError, in all."""
    if size() == 1:
        return function()
    box: list[Any] = [None]
    if rank() == 0:
        try:
            box = [function()]
        except UserError as error:
            box = [error]
    dist.broadcast_object_list(box)
    if isinstance(box[0], UserError):
        raise box[0]
    return box[0]  # type: ignore[no-any-return]


def gather(value: _T) -> list[_T]:
    """Return what every process has, in their order."""
    if size() == 1:
        return [value]
    box: list[Any] = [None] * size()
    dist.all_gather_object(box, value)
    return box
