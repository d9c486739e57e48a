"""The training loop: take steps, evaluate the model, lose nothing when interrupted."""

import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.optimizer import Optimizer

from amal.errors import UserError
from amal.files import plain

from . import distributed
from .batches import Data, epoch_batches, refuse_single_examples, steps_per_epoch
from .checkpoint import Checkpoints
from .compatibility import read_state
from .config import TrainingConfig
from .evaluation import PARTS, Metric, Row, evaluate, gradient_norm, is_milestone, log_row
from .fields import Saved
from .logbook import Logbook
from .progress_bars import step_bar
from .random_states import random_states, restore_random_states
from .signals import finish_step_first
from .state import Progress, State, class_names
from .step import Step

LOG_EVERY = 10
"""Steps from one `loss/step` to the next."""
SYNC_EVERY = 50
"""Steps after which losses leave the device at the latest, and processes ask each other to stop."""


def fit(
    model: nn.Module,
    loss: Metric,
    data: Data,
    optimizer: Optimizer,
    config: TrainingConfig,
    logbook: Logbook,
    checkpoint: Checkpoints | None = None,
    *,
    metrics: Mapping[str, Metric] | None = None,
    scheduler: LRScheduler | None = None,
    observe: Callable[[Row], None] | None = None,
    name: str = "training",
) -> Progress:
    """Train the model, and return how it went. The model ends as the last step left it.

    Before the first epoch, after every `config.evaluate_every` and at milestones, the model is
    evaluated on the whole of each part: the scalars `loss/train`, `loss/validation`, `loss/test`,
    those of the other metrics, `gradient/norm`, `epoch` and `learning rate` are written. In between
    it is `loss/step`, the loss of single batches before their updates.

    With `config.resume` the training goes on from its newest good checkpoint, and ends bit for bit
    as if it had never been interrupted; one that was at its end is returned as it is.

    Args:
        model: changed in place. Its parameters are on the device of the data.
        loss: a mean over the examples, called as loss(model(input), target).
        data: train, validation and test parts; tensors on the model's device, or DataLoaders.
        optimizer: of the model's parameters.
        config: epochs, batch size, precision and the like.
        logbook: where scalars are written.
        checkpoint: where the training is saved; None to save nothing.
        metrics: name -> mean over the examples, beside the loss.
        scheduler: of the learning rate, stepped after every update (ReduceLROnPlateau: after every
            evaluation).
        observe: called with the row of each evaluation, to draw pictures, say. `.grad` holds the
            last gradients.
        name: of the progress bar.

    Raises:
        UserError: the loss became infinite or NaN, no checkpoint can be used or written, or a batch
            of one example cannot be normalised.
        Interrupted: SIGINT or SIGTERM came; the step was finished, and the checkpoint written.
    """
    metrics = {"loss": loss, **(metrics or {})}
    return _Training(model, loss, data, optimizer, config, logbook, checkpoint, metrics, scheduler, observe, name).run()


@dataclass
class _Training:
    """The arguments of `fit`, and what it does with them, in the order in which it happens."""

    model: nn.Module
    loss: Metric
    data: Data
    optimizer: Optimizer
    config: TrainingConfig
    logbook: Logbook
    checkpoint: Checkpoints | None
    metrics: Mapping[str, Metric]
    scheduler: LRScheduler | None
    observe: Callable[[Row], None] | None
    name: str

    def __post_init__(self) -> None:
        self.device = next(self.model.parameters()).device
        self.steps_per_epoch = steps_per_epoch(self.data.train, self.config.batch_size)
        self.progress = Progress()
        self.checkpoint_step = -1
        self.step_losses: list[tuple[float, Tensor]] = []
        """Learning rate and loss of the steps whose losses are still on the device."""

    def run(self) -> Progress:
        """Train to the end, or until something stops it."""
        config = self.config
        refuse_single_examples(self.model, self.data.train, config.batch_size, distributed.size())
        random_states = self.resume()
        progress = self.progress
        self.logbook.rewind(progress.step)
        self.step = Step(self.model, self.loss, self.optimizer, config)
        total = config.epochs * self.steps_per_epoch
        self.bar = step_bar(self.name, total, progress.step, config.progress)
        with finish_step_first() as self.stop, self.bar:
            self.clock = time.perf_counter()
            if not progress.history:
                self.evaluate()
            for epoch in range(progress.step // self.steps_per_epoch + 1, config.epochs + 1):
                if self.is_patience_spent():
                    break
                self.train_epoch(epoch, random_states)
                random_states = None
            self.save()
            if self.stop.in_any_process(self.device):  # after they last asked each other
                raise self.stop.interruption(saved=self.checkpoint is not None)
        return progress

    def train_epoch(self, epoch: int, random_states: list[Saved] | None) -> None:
        """Take the steps of an epoch that are left, and evaluate the model if it is time."""
        config, progress = self.config, self.progress
        skip = progress.step % self.steps_per_epoch
        batches = epoch_batches(self.data.train, config.batch_size, config.seed, epoch, skip=skip)
        if random_states:  # put back after the skipped batches, which may have drawn
            restore_random_states(random_states, config.seed, progress.step)
        self.model.train()
        end = epoch * self.steps_per_epoch
        while progress.step < end:
            self.take_step(*next(batches))
            if progress.step < end:
                self.save_or_stop()
        if epoch % config.evaluate_every == 0 or is_milestone(epoch, config.epochs):
            self.evaluate()
        self.save_or_stop()

    def take_step(self, input: Tensor, target: Tensor) -> None:
        """Update the model with one batch."""
        lr = self.learning_rate()
        loss = self.step(input, target)
        if self.scheduler and not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()
        self.step_losses.append((lr, loss))
        self.progress.step += 1
        self.bar.update()

    def save_or_stop(self) -> None:
        """Between two steps: log the losses, save, or stop, if it is time."""
        step = self.progress.step
        if step % SYNC_EVERY == 0:
            self.log_losses()
        if step % self.config.checkpoint_every == 0:
            self.save()
        if self.stop.is_due(step, self.device, SYNC_EVERY):
            self.save()
            raise self.stop.interruption(saved=self.checkpoint is not None)

    def log_losses(self) -> None:
        """Fetch the losses of the last steps from the device, write them, and refuse NaN."""
        if not self.step_losses:
            return
        rates, losses = zip(*self.step_losses, strict=True)
        self.step_losses.clear()
        values = distributed.total(torch.stack(losses)).tolist()
        first = self.progress.step - len(values) + 1
        for step, lr, value in zip(itertools.count(first), rates, values):
            if step % LOG_EVERY == 0 or not math.isfinite(value):
                self.logbook.scalar("loss/step", value, step)
            if not math.isfinite(value):
                raise self.divergence(f"the loss is {value} at step {step}", step, lr)
        self.bar.set_postfix(loss=f"{values[-1]:.4g}", refresh=False)

    def evaluate(self) -> None:
        """Measure the model on the whole of each part, and write the row."""
        self.log_losses()
        progress = self.progress
        progress.seconds += time.perf_counter() - self.clock
        epoch = progress.step // self.steps_per_epoch
        row: Row = {"epoch": epoch, "step": progress.step, "seconds": progress.seconds}
        for part in PARTS:
            amp = self.config.amp == "bf16"
            values = evaluate(self.model, self.metrics, getattr(self.data, part), amp=amp)
            row |= {f"{name}/{part}": value for name, value in values.items()}
        row |= gradient_norm(self.model)
        row["learning rate"] = float(self.learning_rate())
        log_row(self.logbook, row)
        progress.note(row, self.model)
        if isinstance(self.scheduler, ReduceLROnPlateau) and progress.step:
            self.scheduler.step(row["loss/validation"])
        if self.observe:
            self.observe(row)
        self.model.train()
        self.clock = time.perf_counter()

    def is_patience_spent(self) -> bool:
        """Whether the validation loss was no better for too many evaluations."""
        evaluations = len(self.progress.history) - 1 - self.progress.best
        return self.config.patience is not None and evaluations >= self.config.patience

    def learning_rate(self) -> float:
        """Return the learning rate of the first group of parameters."""
        return self.optimizer.param_groups[0]["lr"]  # type: ignore[no-any-return]

    def divergence(self, what: str, step: int, lr: float) -> UserError:
        """Return the error that ends a training whose loss or weights are infinite or NaN."""
        epoch = -(-step // self.steps_per_epoch)
        last = f"; {self.checkpoint.last_good()}" if self.checkpoint else ""
        place = f"epoch {epoch}, learning rate {float(lr):g}"
        return UserError(f"{what} ({place}): try a --lr below {float(lr):g}{last}")

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this step."""
        step = self.progress.step
        if self.checkpoint is None or self.checkpoint_step == step:
            return
        self.log_losses()
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            what = f"a weight is infinite or NaN after step {step}"
            raise self.divergence(what, step, self.learning_rate())
        self.progress.seconds += time.perf_counter() - self.clock
        distributed.run_on_first(partial(self.logbook.flush, step))
        self.checkpoint.save(step, self.state())
        self.checkpoint_step = step
        self.clock = time.perf_counter()

    def state(self) -> State:
        """Return all that decides how the training goes on."""
        optimizer = self.optimizer.state_dict()
        return State(
            models=[self.model.state_dict()],
            progress=[self.progress],
            kinds=class_names(self.optimizer, self.scheduler),
            optimizer=optimizer,
            updated=list(optimizer["state"]),
            scheduler=self.scheduler.state_dict() if self.scheduler else None,
            random=random_states(),
            config=plain(asdict(self.config)),
        )

    def resume(self) -> list[Saved] | None:
        """Take up the newest good checkpoint, if there is one; return its random states."""
        if self.checkpoint is None or not self.config.resume:
            return None
        state = self.checkpoint.load(self.read)
        if state is None:
            return None
        [progress] = state.progress
        epoch = -(-progress.step // self.steps_per_epoch)
        if epoch > self.config.epochs:
            epochs = f"--epochs {self.config.epochs}"
            raise UserError(f"{epochs}: this training has come to epoch {epoch} already")
        self.model.load_state_dict(state.models[0])
        self.optimizer.load_state_dict(state.optimizer or {})
        if self.scheduler:
            self.scheduler.load_state_dict(state.scheduler or {})
        for name, value in progress.best_model.items():
            progress.best_model[name] = value.to(self.device)
        self.progress, self.checkpoint_step = progress, progress.step
        return state.random

    def read(self, content: Saved) -> State:
        """Return the state that a checkpoint holds, if it is one of this training."""
        models, steps = [self.model], [self.steps_per_epoch]
        return read_state(content, models, steps, self.metrics, self.optimizer, self.scheduler)
