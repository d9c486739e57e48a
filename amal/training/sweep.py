"""Many small trainings at once.

A small model spends its time in calling operations, not in computing. Here models of one shape
share each call: see together.py. Every one has its own data, order of the examples, learning rate
and number of epochs, and ends where it would have ended alone, to rounding.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from torch import Tensor

from amal.errors import UserError
from amal.files import plain

from .checkpoint import Checkpoints
from .compatibility import read_state
from .config import SweepConfig
from .evaluation import PARTS, Metric, Row, gradient_norm
from .fields import Saved
from .logbook import Logbook
from .progress_bars import step_bar
from .signals import finish_step_first
from .state import State, class_names
from .together import Member, Stack, group_members

STEPS_AHEAD = 50
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
    """Train the members of a sweep, those of one shape together; see `progress` of each one.

    A member that diverges does not stop the others: its rows hold what it came to.

    Args:
        members: of any shapes. Their own epochs, batch sizes and learning rates count, not the
            config's.
        entries: the loss of each example, (n, *), called as entries(model(input), target).
        config: how often to evaluate and to save, the precision, whether to resume.
        checkpoint: where the sweep is saved; None to save nothing.
        logbook: where `observe` writes, here or to children, to be on the disk before a checkpoint
            is.
        reduction: what of the entries of a batch is minimised, their mean or their sum. Rows hold
            means.
        metrics: name -> mean over the examples, beside the loss.
        observe: called after each evaluation with the member, whose model holds its parameters and
            last gradients, and the row.
        name: of the progress bar.

    Raises:
        UserError: a model has buffers, or no checkpoint can be used or written.
        Interrupted: SIGINT or SIGTERM came; the checkpoint was written.
    """
    for member in members:
        if next(member.model.buffers(), None) is not None:
            kind = type(member.model).__name__
            raise UserError(f"{name}: {kind} has buffers, which a sweep does not keep apart")
    metrics = {"loss": lambda output, target: entries(output, target).mean(), **(metrics or {})}
    objective = partial(_weigh, entries, reduction)
    _Sweep(list(members), objective, metrics, config, checkpoint, logbook, observe, name).run()


@dataclass
class _Sweep:
    """The arguments of `fit_together`, and what it does with them."""

    members: list[Member]
    objective: Callable[[Tensor, Tensor, Tensor], Tensor]
    metrics: Mapping[str, Metric]
    config: SweepConfig
    checkpoint: Checkpoints | None
    logbook: Logbook | None
    observe: Callable[[Member, Row], None] | None
    name: str

    def run(self) -> None:
        """Train all groups to their ends, or until something stops it."""
        self.checkpoint_step = -1
        self.resume()
        groups = group_members(self.members)
        total = sum(max(member.steps for member in group) for group in groups)
        initial = sum(max(member.progress.step for member in group) for group in groups)
        self.bar = step_bar(self.name, total, initial, self.config.progress)
        with finish_step_first() as self.stop, self.bar:
            for group in groups:
                while unfinished := [member for member in group if not member.is_finished()]:
                    self.train(unfinished)
            self.save()

    def train(self, members: list[Member]) -> None:
        """Step members of one shape together until the first of them ends."""
        stack = Stack(members, self.objective, self.metrics, self.config)
        config, step, end = self.config, members[0].progress.step, min(m.steps for m in members)
        if step == 0:
            self.evaluate(stack, members)
        while step < end:
            clock, previous = time.perf_counter(), step
            step = self.last_step(members, step, end)
            stack.take_steps(previous, step)
            self.bar.update(step - previous)
            for member in members:
                member.progress.step = step
                member.progress.seconds += time.perf_counter() - clock
            if due := [member for member in members if member.is_due(step, config.evaluate_every)]:
                self.evaluate(stack, due)
            stopping = self.stop.in_any_process(stack.device)
            saving = step // config.checkpoint_every > previous // config.checkpoint_every
            if saving or stopping or step == end:
                stack.unload(members)
            if saving or stopping:
                self.save()
            if stopping:
                raise self.stop.interruption(saved=self.checkpoint is not None)

    def last_step(self, members: list[Member], step: int, end: int) -> int:
        """Return the next step after which one of the members is to be evaluated, or a later one."""
        steps = range(step + 1, min(step + STEPS_AHEAD, end) + 1)
        every = self.config.evaluate_every
        due = (step for step in steps if any(member.is_due(step, every) for member in members))
        return next(due, steps[-1])

    def evaluate(self, stack: Stack, members: list[Member]) -> None:
        """Measure members on the whole of each part, and write their rows."""
        stack.unload(members)
        values = stack.evaluate()
        names = [f"{name}/{part}" for part in PARTS for name in self.metrics]
        for member in members:
            progress = member.progress
            epoch = progress.step // member.steps_per_epoch
            row: Row = {"epoch": epoch, "step": progress.step, "seconds": progress.seconds}
            row |= dict(zip(names, values[stack.members.index(member)], strict=True))
            row |= gradient_norm(member.model)
            progress.note(row, member.model)
            if self.observe:
                self.observe(member, row)

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this moment."""
        step = self.steps_in_all()
        if self.checkpoint is None or self.checkpoint_step == step:
            return
        if self.logbook:
            self.logbook.flush(step)
        state = State(
            models=[member.model.state_dict() for member in self.members],
            progress=[member.progress for member in self.members],
            kinds=class_names(None, None),
            config=plain(asdict(self.config)),
        )
        self.checkpoint.save(step, state)
        self.checkpoint_step = step

    def steps_in_all(self) -> int:
        """Return the steps that all members have taken together."""
        return sum(member.progress.step for member in self.members)

    def resume(self) -> None:
        """Take up the newest good checkpoint, if there is one to resume from."""
        if self.checkpoint is None or not self.config.resume:
            return
        state = self.checkpoint.load(self.read)
        if state is None:
            return
        for member, progress in zip(self.members, state.progress, strict=True):
            if progress.step > member.steps:
                steps = f"{member.steps} steps has taken {progress.step} already"
                raise UserError(f"{self.name}: a training of {steps}")
        for member, model, progress in zip(self.members, state.models, state.progress, strict=True):
            member.model.load_state_dict(model)
            member.progress = progress
        self.checkpoint_step = self.steps_in_all()

    def read(self, content: Saved) -> State:
        """Return the state that a checkpoint holds, if it is one of this sweep."""
        models = [member.model for member in self.members]
        steps = [member.steps_per_epoch for member in self.members]
        return read_state(content, models, steps, self.metrics)


def _weigh(entries: Metric, reduction: str, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean or the sum of the entries of a batch, of the rows that weigh something."""
    each = entries(output, target).flatten(1)
    if reduction == "mean":
        return each.mean(1) @ weight / weight.sum()
    return each.sum(1) @ weight
