"""Many small trainings at once.

A small model spends its time in calling operations, not in computing. Here models of one shape share each call: see
stack.py. Every one has its own data, order of the examples, learning rate and number of epochs, and ends where it would
have ended alone, to rounding.
"""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from tqdm import tqdm

from amal.errors import UserError

from . import distributed
from .checkpoint import Checkpoints
from .config import SweepConfig
from .evaluation import PARTS, Metric, Row, gradient_norm
from .fields import Saved
from .logbook import Logbook
from .signals import Interrupted, finish_step_first
from .state import State, read_sweep
from .together import Member, Stack, stackable

AT_ONCE = 50
"""Steps whose batches are laid out together; between these the sweep can save and stop."""


def fit_together(
    members: Sequence[Member],
    entries: Metric,
    config: SweepConfig,
    checkpoint: Checkpoints | None = None,
    logbook: Logbook | None = None,
    *,
    reduction: str = "mean",
    metrics: Mapping[str, Metric] | None = None,
    observe: Callable[[Member, Row], None] | None = None,
    name: str = "sweep",
) -> None:
    """Train the members of a sweep, as many at once as are of one shape; each one's `progress` tells how it went.

    A member that diverges does not stop the others: its rows hold what it came to.

    Args:
        members: of any shapes. Their own epochs, batch sizes and learning rates count, not the config's.
        entries: the loss of each example, (n, *), called as entries(model(input), target).
        config: how often to look and to save, the precision, whether to resume.
        checkpoint: where the sweep is saved; None to save nothing.
        logbook: where `observe` writes, here or to children, to be on the disk before a checkpoint is.
        reduction: what of the entries of a batch is minimised, their mean or their sum. Looks always show means.
        metrics: name -> mean over the examples, beside the loss.
        observe: called after each look with the member, whose model holds its parameters and last gradients.
        name: of the progress bar.

    Raises:
        UserError: a model has buffers, or no checkpoint can be used or written.
        Interrupted: SIGINT or SIGTERM came; the checkpoint was written.
    """
    for member in members:
        if next(member.model.buffers(), None) is not None:
            raise UserError(f"{name}: {type(member.model).__name__} has buffers, which a sweep does not keep apart")
    found = {"loss": lambda output, target: entries(output, target).mean(), **(metrics or {})}
    objective = partial(_weighted, entries, reduction)
    _Sweep(list(members), objective, found, config, checkpoint, logbook, observe, name).run()


@dataclass
class _Sweep:
    members: list[Member]
    objective: Callable[[Tensor, Tensor, Tensor], Tensor]
    metrics: Mapping[str, Metric]
    config: SweepConfig
    checkpoint: Checkpoints | None
    logbook: Logbook | None
    observe: Callable[[Member, Row], None] | None
    name: str

    def run(self) -> None:
        self.saved_at = -1
        self.restore()
        groups = stackable(self.members)
        bar = tqdm(
            desc=self.name,
            total=sum(max(member.steps for member in group) for group in groups),
            initial=sum(max(member.progress.step for member in group) for group in groups),
            disable=None if self.config.progress and distributed.rank() == 0 else True,
            leave=False,
        )
        with finish_step_first() as self.stop, bar as self.bar:
            for group in groups:
                while unfinished := [m for m in group if m.progress.step < m.steps or not m.progress.history]:
                    self.train(unfinished)
            self.save()

    def train(self, members: list[Member]) -> None:
        """Step members of one shape together until the first of them ends."""
        stack = Stack(members, self.objective, self.metrics, self.config)
        step, end, every = members[0].progress.step, min(member.steps for member in members), self.config.evaluate_every
        if step == 0:
            self.look(stack, members)
        while step < end:
            started = time.perf_counter()
            ahead = range(step + 1, min(step + AT_ONCE, end) + 1)
            until = next((at for at in ahead if any(m.is_due(at, every) for m in members)), ahead[-1])
            stack.take_steps(step, until)
            saving = until // self.config.checkpoint_every > step // self.config.checkpoint_every
            self.bar.update(until - step)
            step = until
            for member in members:
                member.progress.step = step
                member.progress.seconds += time.perf_counter() - started
            if due := [member for member in members if member.is_due(step, every)]:
                self.look(stack, due)
            stopping = distributed.anywhere(bool(self.stop.number), stack.device)
            if saving or stopping or step == end:
                stack.unload(members)
            if saving or stopping:
                self.save()
            if stopping:
                raise Interrupted(self.stop.number or signal.SIGTERM, saved=self.checkpoint is not None, agreed=True)

    def look(self, stack: "Stack", members: list[Member]) -> None:
        """Measure members on the whole of each part."""
        stack.unload(members)
        found = stack.look()
        for member in members:
            at = member.progress
            values = found[stack.members.index(member)]
            row: Row = {"epoch": at.step // member.steps_per_epoch, "step": at.step, "seconds": at.seconds}
            row |= dict(zip((f"{name}/{part}" for part in PARTS for name in self.metrics), values, strict=True))
            row |= gradient_norm(member.model)
            at.note(row, member.model)
            if self.observe:
                self.observe(member, row)

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this moment."""
        step = sum(member.progress.step for member in self.members)
        if self.checkpoint is None or self.saved_at == step:
            return
        if self.logbook:
            self.logbook.flush(step)
        models = [member.model.state_dict() for member in self.members]
        self.checkpoint.save(step, {"models": models, "progress": [vars(member.progress) for member in self.members]})
        self.saved_at = step

    def restore(self) -> None:
        """Take up the newest good checkpoint, if the run is resumed and there is one."""
        saved = self.checkpoint.load(self.read) if self.checkpoint and self.config.resume else None
        if saved is None:
            return
        for member, state in zip(self.members, saved, strict=True):
            if state.progress.step > member.steps:
                raise UserError(
                    f"{self.name}: a training of {member.steps} steps has taken {state.progress.step} already"
                )
        for member, state in zip(self.members, saved, strict=True):
            member.model.load_state_dict(state.model)
            member.progress = state.progress
        self.saved_at = sum(member.progress.step for member in self.members)

    def read(self, saved: Saved) -> list[State]:
        """Take the content of a checkpoint apart, if it is one of this sweep."""
        models = [member.model for member in self.members]
        return read_sweep(saved, models, self.metrics, [member.steps_per_epoch for member in self.members])


def _weighted(entries: Metric, reduction: str, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean or the sum of the entries of the rows that weigh something."""
    each = entries(output, target).flatten(1)
    return each.mean(1) @ weight / weight.sum() if reduction == "mean" else each.sum(1) @ weight
