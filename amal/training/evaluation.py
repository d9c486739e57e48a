"""A look at a training: what is measured on the whole data, remembered of it, and written down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from . import distributed
from .batches import Part, in_order
from .logbook import Logbook

Model = Callable[[Tensor], Tensor]
Metric = Callable[[Tensor, Tensor], Tensor]
"""Of what a model answered and what it should have: a mean over the examples, as a scalar tensor."""
Row = dict[str, float]
"""What one look at the data found: epoch, step, seconds, and each metric of each part, such as `loss/test`."""

PARTS = ("train", "validation", "test")


@torch.no_grad()
def evaluate(
    model: nn.Module, metrics: Mapping[str, Metric], part: Part, batch_size: int = 200, amp: bool = False
) -> dict[str, float]:
    """Return the mean of each metric over every example of a part.

    Args:
        model: looked at in evaluation mode, and left in the mode it was in.
        metrics: name -> mean over the examples of a batch; batches count by their sizes.
        part: tensors, or a DataLoader (which must not drop the last batch).
        batch_size: examples that go through the model at once.
        amp: whether the model computes in bfloat16.
    """
    was_training = model.training
    model.eval()
    sums: list[Tensor] = []
    for batch in in_order(part, batch_size):
        input, target, share = distributed.share(*batch)
        output = in_bfloat16(model, input) if amp else model(input)
        found = torch.stack([metric(output, target) for metric in metrics.values()])
        rows = share * len(batch[0])
        sums.append(
            rows * torch.cat([found, found.new_ones(1)]).double() if rows else found.new_zeros(len(found) + 1).double()
        )
    model.train(was_training)
    *values, n = distributed.total(torch.stack(sums).sum(0)).tolist()
    return {name: value / n for name, value in zip(metrics, values, strict=True)}


@dataclass
class Progress:
    """How far a training has come: what a checkpoint keeps beside model, optimiser, schedule and random states."""

    epoch: int = 1
    """The one being trained, from 1."""
    batch: int = 0
    """Steps taken in this epoch."""
    step: int = 0
    """Steps taken in all."""
    seconds: float = 0.0
    """Spent in training until the last look, interruptions left out."""
    history: list[Row] = field(default_factory=list)
    """One row for each look at the data."""
    best: int = 0
    """The row with the least validation loss."""
    best_model: dict[str, Tensor] = field(default_factory=dict)
    """The model's state_dict at that row."""

    @property
    def last_row(self) -> Row:
        """What the last look found."""
        return self.history[-1]

    @property
    def best_row(self) -> Row:
        """What was found when the validation loss was least."""
        return self.history[self.best]

    def note(self, row: Row, model: nn.Module) -> None:
        """Add what a look found, and keep the model if its validation loss was never less."""
        self.history.append(row)
        if len(self.history) == 1 or row["loss/validation"] < self.best_row["loss/validation"]:
            self.best = len(self.history) - 1
            self.best_model = {name: value.detach().clone() for name, value in model.state_dict().items()}


def in_bfloat16(model: Model, input: Tensor) -> Tensor:
    """Return the model's answer, computed in automatic mixed precision, as float32."""
    with torch.autocast(input.device.type, torch.bfloat16):
        return model(input).float()


def gradient_norm(model: nn.Module) -> Row:
    """Return the Euclidean norm of all the last gradients together, as an entry of a row; nothing before the first."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return {"gradient/norm": float(nn.utils.get_total_norm(gradients))} if gradients else {}


def log_row(logbook: Logbook, row: Row) -> None:
    """Write what a look found, at its step, and ask for one chart of each metric that has train and test in it."""
    for metric in dict.fromkeys(tag.removesuffix("/train") for tag in row if tag.endswith("/train")):
        logbook.chart(metric, [f"{metric}/{part}" for part in PARTS])
    for tag, value in row.items():
        if tag not in ("step", "seconds"):
            logbook.scalar(tag, value, int(row["step"]))


def log_weights(logbook: Logbook, model: nn.Module, step: int) -> None:
    """Write a histogram of each parameter and of its last gradient, such as parameters/0.Linear.weight."""
    for path, parameter in model.named_parameters():
        name = readable(model, path)
        logbook.histogram(f"parameters/{name}", parameter, step)
        if parameter.grad is not None:
            logbook.histogram(f"gradients/{name}", parameter.grad, step)


def is_milestone(epoch: float, epochs: int) -> bool:
    """Whether an epoch is one to draw a picture of: 0, a power of four, or the last. Early on, more happens."""
    number = int(epoch)
    power_of_two = number & (number - 1) == 0
    return (power_of_two and number.bit_length() % 2 == 1) or number in (0, epochs)


def readable(model: nn.Module, path: str) -> str:
    """Return the path of a module or parameter with the kind of each numbered layer: 0.weight → 0.Linear.weight."""
    return ".".join(boxes(model, path))


def boxes(model: nn.Module, path: str) -> list[str]:
    """Return the parts of a path, those that are numbers with the kind of their layer."""
    boxes = []
    part: Any = model
    for name in filter(None, path.split(".")):
        part = getattr(part, name)
        boxes.append(f"{name}.{type(part).__name__}" if name.isdecimal() else name)
    return boxes
