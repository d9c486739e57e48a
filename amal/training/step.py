"""One step of gradient descent: alone or over several processes, in bfloat16, compiled."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer

from . import distributed
from .config import TrainingConfig
from .evaluation import Metric, Model, in_bfloat16


def train_step(
    model: Model,
    loss: Metric,
    input: Tensor,
    target: Tensor,
    optimizer: Optimizer,
    factor: Tensor | None = None,
) -> Tensor:
    """Take one step of gradient descent and return the loss before it, a scalar tensor.

    Args:
        model: called with the input.
        loss: called with the model's output and the target.
        input, target: one batch.
        optimizer: of the model's parameters.
        factor: of the loss in what is minimised; None for 1.
    """
    optimizer.zero_grad()
    value = loss(model(input), target)
    value.backward(factor)  # type: ignore[no-untyped-call]
    optimizer.step()
    return value.detach()


class Step:
    """`train_step` as a config asks for it."""

    def __init__(self, model: nn.Module, loss: Metric, optimizer: Optimizer, config: TrainingConfig) -> None:
        self._model: Model = distributed.data_parallel(model)
        self._loss, self._optimizer = loss, optimizer
        self._processes = distributed.size()
        if config.amp == "bf16":
            self._model = partial(in_bfloat16, self._model)
        if config.compile:
            # As one function, for the loss to be fused with the last layer.
            forward = self._model
            self._model = nn.Identity()
            self._loss = torch.compile(lambda input, target: loss(forward(input), target))

    def __call__(self, input: Tensor, target: Tensor) -> Tensor:
        """Take a step with a batch; return this process's part of the loss before it."""
        if self._processes == 1:
            return train_step(self._model, self._loss, input, target, self._optimizer)
        # The processes' gradients are averaged, and each counts by its rows.
        input, target, fraction = distributed.local_rows(input, target)
        factor = torch.tensor(fraction * self._processes, device=input.device)
        loss = train_step(self._model, self._loss, input, target, self._optimizer, factor)
        return fraction * loss
