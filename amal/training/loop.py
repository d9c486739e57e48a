"""Gradient descent, with the update written out."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from amal.errors import UserError

from .config import TrainingConfig
from .logbook import Logbook

_T = TypeVar("_T")
Loss = Callable[[Tensor, Tensor], Tensor]


class Epochs(Protocol):
    """Data to train on: `epoch(number)` yields the (input, target) batches of that epoch."""

    def epoch(self, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
        """Return the batches of one epoch."""


def descend(
    model: nn.Module, loss: Loss, data: Epochs, config: TrainingConfig, logbook: Logbook, name: str = "descent"
) -> Iterator[int]:
    """Train the model by (mini-batch) gradient descent; yield the number of each epoch done, for the caller to look.

    Writes the scalar `loss/step`, the loss of each step's batch before its update.

    Args:
        model: changed in place.
        loss: called as loss(model(input), target).
        data: where the batches come from.
        config: epochs, learning rate and progress.
        logbook: where the loss of each step is written.
        name: of the progress bar.

    Raises:
        UserError: the loss became infinite or NaN; what was logged until then stays.
    """
    step = 0
    for epoch in progress_bar(range(1, config.epochs + 1), config.progress, name):
        losses = [train_step(model, loss, input, target, config.lr) for input, target in data.epoch(epoch)]
        for value in torch.stack(losses).tolist():  # one transfer an epoch, not one a step
            logbook.scalar("loss/step", value, step)
            if not abs(value) < float("inf"):
                raise UserError(f"the loss is {value} at step {step} (epoch {epoch}): try a --lr below {config.lr:g}")
            step += 1
        yield epoch


def train_step(model: nn.Module, loss: Loss, input: Tensor, target: Tensor, lr: float) -> Tensor:
    """Take one step of gradient descent and return the loss before it, a scalar on the model's device."""
    value = loss(model(input), target)
    value.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():  # the update is not part of the function that is differentiated
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= lr * parameter.grad  # type: ignore[misc]
                parameter.grad = None  # backward adds to .grad: forget this step's
    return value.detach()


@torch.no_grad()
def evaluate(model: nn.Module, loss: Loss, input: Tensor, target: Tensor) -> float:
    """Return the loss of the model over all the examples given."""
    return loss(model(input), target).item()


def is_milestone(epoch: int, epochs: int) -> bool:
    """Whether an epoch is one to draw a picture of: 0, a power of four, or the last. Early on, more happens."""
    power_of_two = epoch & (epoch - 1) == 0
    return (power_of_two and epoch.bit_length() % 2 == 1) or epoch in (0, epochs)


def progress_bar(steps: Iterable[_T], show: bool, name: str) -> Iterable[_T]:
    """Return the steps behind a progress bar, silent when `show` is false or standard error is not a terminal."""
    bar: Iterable[_T] = tqdm(steps, desc=name, disable=None if show else True, leave=False)
    return bar
