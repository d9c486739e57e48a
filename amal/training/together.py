"""Models of one shape, side by side: each call of an operation serves all of them.

Their parameters lie along a new dimension (`stack_module_state`), `vmap` lets every operation serve
all of them, and the step is written down once as a list of torch's operations (`make_fx`), so that
neither vmap nor autograd is at work when it is taken again. Batches smaller than those of others
are filled up with rows that weigh nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import BuiltinFunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vjp, vmap
from torch.utils.data import DataLoader

from amal import _torch
from amal.errors import UserError

from .batches import Data, Examples, order_of_epoch, steps_per_epoch
from .config import SweepConfig
from .evaluation import PARTS, Metric, in_bfloat16, is_milestone
from .state import Progress

PADDING = 2
"""How many times smaller than the largest batch of a stack the smallest may be."""


@dataclass(eq=False)
class Member:
    """One training of a sweep: gradient descent, θ ← θ − lr ∂L/∂θ.

    Args:
        model: changed in place. Without buffers, and without operations that draw at random.
        data: tensors, on the model's device.
        epochs: passes over the training set.
        lr: learning rate.
        batch_size: examples per step; None for the whole training set at once.
        seed: of the order of the examples, as in `epoch_batches`.
        shuffle: whether each epoch has an order of its own; otherwise the examples come as they
            lie.
        evaluation_epochs: epochs to evaluate after, besides those of the config and the milestones.
    """

    model: nn.Module
    data: Data
    epochs: int
    lr: float
    batch_size: int | None = None
    seed: int = 0
    shuffle: bool = True
    evaluation_epochs: Collection[int] = ()
    progress: Progress = field(default_factory=Progress)
    """How far it has come, and how it went: `history` has a row for each evaluation."""

    def __post_init__(self) -> None:
        train = self.data.train
        if isinstance(train, DataLoader):
            raise UserError("a sweep takes tensors, no DataLoader")
        self.examples = len(train.input)
        self.rows = min(self.batch_size or self.examples, self.examples)
        self.steps_per_epoch = steps_per_epoch(self.data.train, self.batch_size)
        self.steps = self.epochs * self.steps_per_epoch

    def is_due(self, step: int, evaluate_every: int) -> bool:
        """Whether to evaluate the model after a step, as `fit` does."""
        epoch, rest = divmod(step, self.steps_per_epoch)
        is_regular = epoch % evaluate_every == 0 or is_milestone(epoch, self.epochs)
        return rest == 0 and (is_regular or epoch in self.evaluation_epochs)

    def is_finished(self) -> bool:
        """Whether all steps were taken, and the model was evaluated."""
        return self.progress.step >= self.steps and bool(self.progress.history)

    def batches(self, first: int, last: int, width: int) -> Tensor:
        """Return the rows of the batches of steps first + 1 to last, (last - first, width).

        Batches of fewer rows than the width are filled up with -1.
        """
        tables = []
        shuffle = self.shuffle and self.batch_size is not None
        for epoch in range(first // self.steps_per_epoch, (last - 1) // self.steps_per_epoch + 1):
            order = torch.arange(self.examples)
            if shuffle:
                order = order_of_epoch(self.examples, self.seed, epoch + 1)
            table = torch.full((self.steps_per_epoch * self.rows,), -1)
            table[: self.examples] = order
            tables.append(table.view(-1, self.rows))
        batches = torch.cat(tables)[first % self.steps_per_epoch :][: last - first]
        return nn.functional.pad(batches, (0, width - self.rows), value=-1)


def group_members(members: Sequence[Member]) -> list[list[Member]]:
    """Group members by the shapes of model and data, and by batch sizes of the same order."""
    groups: dict[Any, list[Member]] = {}
    for member in sorted(members, key=lambda member: -member.rows):
        parts = [getattr(member.data, part) for part in PARTS]
        shapes = [tensor.shape for part in parts for tensor in (part.input, part.target)]
        shapes += [parameter.shape for parameter in member.model.parameters()]
        groups.setdefault((str(member.model), *shapes), []).append(member)
    stacks: list[list[Member]] = []
    for group in groups.values():
        for member in group:
            if member is group[0] or member.rows * PADDING < stacks[-1][0].rows:
                stacks.append([])
            stacks[-1].append(member)
    return stacks


class Stack:
    """Members of one shape, side by side."""

    def __init__(
        self,
        members: list[Member],
        objective: Callable[[Tensor, Tensor, Tensor], Tensor],
        metrics: Mapping[str, Metric],
        config: SweepConfig,
    ) -> None:
        self.members = members
        stacked, _ = stack_module_state([member.model for member in members])
        self.parameters = [parameter.detach() for parameter in stacked.values()]
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.device = self.parameters[0].device
        self.width = max(member.rows for member in members)
        data = {id(member.data): member.data for member in members}
        numbers = [list(data).index(id(member.data)) for member in members]
        which = torch.tensor(numbers, device=self.device)
        column = which[:, None]
        parts = {name: _stack([getattr(each, name) for each in data.values()]) for name in PARTS}
        dtype = self.parameters[0].dtype
        lr = torch.tensor([member.lr for member in members], dtype=dtype, device=self.device)
        rates = [lr.view(-1, *[1] * (parameter.dim() - 1)) for parameter in self.parameters]

        def model(parameters: Sequence[Tensor], input: Tensor) -> Tensor:
            state = dict(zip(stacked, parameters, strict=True))
            return functional_call(members[0].model, state, (input,))  # type: ignore[no-any-return]

        def output(parameters: Sequence[Tensor], input: Tensor) -> Tensor:
            forward = partial(model, parameters)
            return in_bfloat16(forward, input) if config.amp == "bf16" else forward(input)

        def gradient(parameters: Sequence[Tensor], input: Tensor, target: Tensor, weight: Tensor) -> list[Tensor]:
            def loss(*parameters: Tensor) -> Tensor:
                return objective(output(parameters, input), target, weight)

            value, backward, *_ = vjp(loss, *parameters)
            return list(backward(torch.ones((), dtype=value.dtype, device=value.device)))

        def step(rows: Tensor, *parameters: Tensor) -> list[Tensor]:
            weight, rows = (rows >= 0).to(parameters[0].dtype), rows.clamp(min=0)
            input, target = (tensor[column, rows] for tensor in parts["train"])
            gradients = vmap(gradient)(parameters, input, target, weight)
            descent = map(partial(torch.addcmul, value=-1), parameters, rates, gradients)
            return [*descent, *gradients]

        def measure(parameters: Sequence[Tensor], input: Tensor, target: Tensor) -> Tensor:
            values = output(parameters, input)
            return torch.stack([metric(values, target).double() for metric in metrics.values()])

        def evaluation(*parameters: Tensor) -> list[Tensor]:
            batches = ([tensor[which] for tensor in part] for part in parts.values())
            return [vmap(measure)(parameters, *batch) for batch in batches]

        compiled: Callable[[Any], Any] = torch.compile if config.compile else lambda traced: traced
        rows = torch.zeros(len(members), self.width, dtype=torch.long, device=self.device)
        self.step = compiled(_trace(step, rows, *self.parameters))
        self.measure = compiled(_trace(evaluation, *self.parameters))

    @torch.no_grad()
    def take_steps(self, first: int, last: int) -> None:
        """Take steps first + 1 to last."""
        batches = [member.batches(first, last, self.width) for member in self.members]
        n = len(self.parameters)
        for rows in torch.stack(batches, 1).to(self.device):
            tensors = self.step(rows, *self.parameters)
            self.parameters, self.gradients = tensors[:n], tensors[n:]

    @torch.no_grad()
    def evaluate(self) -> list[list[float]]:
        """Return the metrics of each member, on one part after the other."""
        return torch.cat(self.measure(*self.parameters), 1).tolist()

    @torch.no_grad()
    def unload(self, members: list[Member]) -> None:
        """Copy parameters and gradients of some of the members into their models."""
        for member in members:
            number = self.members.index(member)
            rows = zip(member.model.parameters(), self.parameters, self.gradients, strict=True)
            for parameter, stacked, gradient in rows:
                parameter.copy_(stacked[number])
                parameter.grad = gradient[number].clone()


def _stack(parts: list[Examples]) -> tuple[Tensor, Tensor]:
    return torch.stack([part.input for part in parts]), torch.stack([part.target for part in parts])


def _trace(function: Callable[..., list[Tensor]], *inputs: Tensor) -> Callable[..., list[Tensor]]:
    """Write a function down as a list of torch's operations, without those that change nothing or that nobody needs.

    In a step, these are the views of the shape that a tensor has, the products with 1, and the
    loss: its gradient is wanted, not its value. The function must change none of its inputs.
    """
    from torch.fx.passes.shape_prop import ShapeProp  # a second to import: not for --help

    traced = _torch.operations(function, inputs)
    ShapeProp(traced).propagate(*inputs)
    aten = torch.ops.aten
    views = {getattr(aten, name).default for name in ("view", "_unsafe_view", "expand", "detach")}
    for node in traced.graph.nodes:
        same = node.target in views and node.meta["tensor_meta"].shape == node.args[0].meta["tensor_meta"].shape
        if same or (node.target is aten.mul.Scalar and node.args[1] == 1):
            node.replace_all_uses_with(node.args[0])
        packet = getattr(node.target, "overloadpacket", None)
        public = packet and getattr(torch, packet.__name__, None)
        if isinstance(public, BuiltinFunctionType):  # the same as users call it takes half the time
            node.target = public
    traced.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
    traced.recompile()
    return traced
