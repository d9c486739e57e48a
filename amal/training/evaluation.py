"""The evaluation of a model on the whole data, and how its row is written down."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from . import distributed
from .batches import Part, in_order
from .logbook import Logbook

Model = Callable[[Tensor], Tensor]
Metric = Callable[[Tensor, Tensor], Tensor]
"""Called with output and target: a mean over the examples, as a scalar tensor."""
Row = dict[str, float]
"""One evaluation: epoch, step, seconds, and each metric of each part, such as `loss/test`."""

PARTS = ("train", "validation", "test")


@torch.no_grad()
def evaluate(
    model: nn.Module,
    metrics: Mapping[str, Metric],
    part: Part,
    batch_size: int = 200,
    amp: bool = False,
) -> dict[str, float]:
    """Return the mean of each metric over every example of a part.

    Args:
        model: called in evaluation mode, and left in the mode it was in.
        metrics: name -> mean over the examples of a batch; batches count by their sizes.
        part: tensors, or a DataLoader (which must not drop the last batch).
        batch_size: examples that go through the model at once.
        amp: whether the model computes in bfloat16.
    """
    was_training = model.training
    model.eval()
    sums: list[Tensor] = []
    for batch in in_order(part, batch_size):
        input, target, fraction = distributed.local_rows(*batch)
        output = in_bfloat16(model, input) if amp else model(input)
        means = torch.stack([metric(output, target) for metric in metrics.values()])
        rows = fraction * len(batch[0])
        means = torch.cat([means, means.new_ones(1)]).double()
        sums.append(rows * means if rows else torch.zeros_like(means))
    model.train(was_training)
    *values, n = distributed.total(torch.stack(sums).sum(0)).tolist()
    return {name: value / n for name, value in zip(metrics, values, strict=True)}


def in_bfloat16(model: Model, input: Tensor) -> Tensor:
    """Return the model's answer, computed in automatic mixed precision, as float32."""
    with torch.autocast(input.device.type, torch.bfloat16):
        return model(input).float()


def gradient_norm(model: nn.Module) -> Row:
    """Return the Euclidean norm of the last gradients, as an entry of a row; {} before the first."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return {"gradient/norm": float(nn.utils.get_total_norm(gradients))} if gradients else {}


def log_row(logbook: Logbook, row: Row) -> None:
    """Write a row at its step, and ask for one chart of each metric that shows its three parts."""
    metrics = [tag.removesuffix("/train") for tag in row if tag.endswith("/train")]
    for metric in metrics:
        logbook.chart(metric, [f"{metric}/{part}" for part in PARTS])
    for tag, value in row.items():
        if tag not in ("step", "seconds"):
            logbook.scalar(tag, value, int(row["step"]))


def log_weights(logbook: Logbook, model: nn.Module, step: int) -> None:
    """Write a histogram of each parameter, as parameters/0.Linear.weight, and of its last gradient."""
    for path, parameter in model.named_parameters():
        name = readable(model, path)
        logbook.histogram(f"parameters/{name}", parameter, step)
        if parameter.grad is not None:
            logbook.histogram(f"gradients/{name}", parameter.grad, step)


def is_milestone(epoch: float, epochs: int) -> bool:
    """Whether to draw a picture of an epoch: 0, a power of four, or the last."""
    number = int(epoch)
    power_of_two = number & (number - 1) == 0
    return (power_of_two and number.bit_length() % 2 == 1) or number in (0, epochs)


def readable(model: nn.Module, path: str) -> str:
    """Return a path with the kind of each numbered layer: 0.weight → 0.Linear.weight."""
    return ".".join(boxes(model, path))


def boxes(model: nn.Module, path: str) -> list[str]:
    """Return the parts of a path, those that are numbers with the kind of their layer."""
    boxes = []
    part: Any = model
    for name in filter(None, path.split(".")):
        part = getattr(part, name)
        boxes.append(f"{name}.{type(part).__name__}" if name.isdecimal() else name)
    return boxes
