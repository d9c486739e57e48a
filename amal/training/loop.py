"""The training loop: batches in, steps taken, the whole data set looked at, nothing lost when it is interrupted."""

import itertools
import math
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import NoReturn, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.optimizer import Optimizer
from tqdm import tqdm

from amal.errors import UserError
from amal.files import plain

from . import distributed
from .batches import Data, epoch_batches, refuse_single_examples, steps_per_epoch
from .checkpoint import Checkpoints, random_states, restore_random_states
from .config import TrainingConfig
from .evaluation import PARTS, Metric, Model, Progress, Row, evaluate, gradient_norm, in_bfloat16, is_milestone, log_row
from .fields import Saved
from .logbook import Logbook
from .signals import Interrupted, finish_step_first
from .state import TrainingState, kinds_of, read_training

_T = TypeVar("_T")
LOG_EVERY = 10
"""Steps from one `loss/step` to the next."""
SETTLE_EVERY = 50
"""Steps after which the losses are fetched from the device at the latest, and processes ask each other to stop."""


def train_step(
    model: Model, loss: Metric, input: Tensor, target: Tensor, optimizer: Optimizer, share: Tensor | None = None
) -> Tensor:
    """Take one step of gradient descent and return the loss before it, a scalar on the model's device.

    Args:
        model: called with the input.
        loss: called with the model's answer and the target.
        input, target: one batch.
        optimizer: of the model's parameters.
        share: factor of the loss in what is minimised; None for 1.
    """
    optimizer.zero_grad()
    value = loss(model(input), target)
    value.backward(share)  # type: ignore[no-untyped-call]
    optimizer.step()
    return value.detach()


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
    """Train the model, and return how it went. The model ends as the last step left it; `best_model` is returned too.

    Before the first epoch, after every `config.evaluate_every` and at milestones, the whole of each part is looked at:
    the scalars `loss/train`, `loss/validation`, `loss/test`, those of the other metrics, `gradient/norm`, `epoch` and
    `learning rate` are written; between looks `loss/step`, the loss of single batches before their updates.

    With `config.resume` the training goes on from its newest good checkpoint, and ends bit for bit as if it had never
    been interrupted; one that was at its end is returned as it is.

    Args:
        model: changed in place. Its parameters are on the device of the data.
        loss: a mean over the examples, called as loss(model(input), target).
        data: train, validation and test parts; tensors on the model's device, or DataLoaders.
        optimizer: of the model's parameters.
        config: epochs, batch size, precision and the like.
        logbook: where scalars are written.
        checkpoint: where the training is saved; None to save nothing.
        metrics: name -> mean over the examples, beside the loss.
        scheduler: of the learning rate, stepped after every update (ReduceLROnPlateau: after every look).
        observe: called after each look with what it found, to draw pictures, say. `.grad` holds the last gradients.
        name: of the progress bar.

    Raises:
        UserError: the loss became infinite or NaN, no checkpoint can be used or written, or a batch of one example
            cannot be normalised.
        Interrupted: SIGINT or SIGTERM came; the step was finished, and the checkpoint written.
    """
    return _Training(
        model, loss, data, optimizer, config, logbook, checkpoint, metrics or {}, scheduler, observe, name
    ).run()


@dataclass
class _Training:
    """What `fit` does, in the order of the day."""

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
        self.steps = steps_per_epoch(self.data.train, self.config.batch_size)
        self.pending: list[
            tuple[float, Tensor]
        ] = []  # learning rate and loss of steps, not fetched from the device yet
        self.progress = Progress()
        self.saved_at = -1
        self.alone = distributed.size() == 1
        self.asked_at, self.ask_again_at, self.asked = 0, 0, 0.0

    def run(self) -> Progress:
        refuse_single_examples(self.model, self.data.train, self.config.batch_size, distributed.size())
        random_states = self.restore()
        at, config = self.progress, self.config
        self.logbook.rewind(at.step)
        self.forward, self.criterion = self.as_configured()
        bar = tqdm(
            desc=self.name,
            total=config.epochs * self.steps,
            initial=at.step,
            disable=None if config.progress and distributed.rank() == 0 else True,
            leave=False,
        )
        with finish_step_first() as self.stop, bar as self.bar:
            self.resumed_at = time.perf_counter()
            if not at.history:
                self.look()
            while at.epoch <= config.epochs and not self.out_of_patience():
                self.run_epoch(random_states)
                random_states = None
            self.save()
            if distributed.anywhere(self.stop.number is not None, self.device):  # after they last asked each other
                self.interrupt()
        return at

    def run_epoch(self, random_states: list[Saved] | None) -> None:
        at, config = self.progress, self.config
        batches = epoch_batches(self.data.train, config.batch_size, config.seed, at.epoch, skip=at.batch)
        if random_states:  # put back after the skipped batches, which may have drawn
            restore_random_states(random_states, config.seed, at.step)
        self.model.train()
        while at.batch < self.steps:
            self.step(*next(batches))
            if at.batch < self.steps:
                self.pause_if_due()
        if at.epoch % config.evaluate_every == 0 or is_milestone(at.epoch, config.epochs):
            self.look()
        at.epoch, at.batch = at.epoch + 1, 0
        self.pause_if_due()

    def step(self, input: Tensor, target: Tensor) -> None:
        lr = self.optimizer.param_groups[0]["lr"]
        if self.alone:
            loss = train_step(self.forward, self.criterion, input, target, self.optimizer)
        else:  # the processes' gradients are averaged, and each counts by the rows it had
            input, target, share = distributed.share(input, target)
            factor = torch.tensor(share * distributed.size(), device=self.device)
            loss = share * train_step(self.forward, self.criterion, input, target, self.optimizer, factor)
        if self.scheduler and not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()
        self.pending.append((lr, loss))
        self.progress.step += 1
        self.progress.batch += 1
        self.bar.update()

    def pause_if_due(self) -> None:
        """Between two steps: fetch the losses, save, or stop, whatever it is time for."""
        step = self.progress.step
        if step % SETTLE_EVERY == 0:
            self.settle()
        if step % self.config.checkpoint_every == 0:
            self.save()
        if self.told_to_stop():
            self.save()
            self.interrupt()

    def interrupt(self) -> NoReturn:
        raise Interrupted(self.stop.number or signal.SIGTERM, saved=self.checkpoint is not None, agreed=True)

    def told_to_stop(self) -> bool:
        """Whether this process was, or one of several: they ask each other each second or SETTLE_EVERY steps."""
        if self.alone:
            return self.stop.number is not None
        step, now = self.progress.step, time.perf_counter()
        if step < self.ask_again_at:
            return False
        here = float(self.stop.number is not None)
        answer = torch.tensor([here, now - self.asked], dtype=torch.float64, device=self.device)
        told, seconds = distributed.total(answer).tolist()  # the same in every process, as the step to ask at must be
        rate = (step - self.asked_at) * distributed.size() / seconds
        self.ask_again_at = step + max(1, min(SETTLE_EVERY, int(rate)))
        self.asked_at, self.asked = step, now
        return bool(told)

    def settle(self) -> None:
        """Fetch the losses of the last steps from the device, write them down, and see that they are numbers."""
        if not self.pending:
            return
        rates, losses = zip(*self.pending, strict=True)
        self.pending.clear()
        values = distributed.total(torch.stack(losses)).tolist()
        for step, lr, value in zip(itertools.count(self.progress.step - len(values) + 1), rates, values):
            if step % LOG_EVERY == 0 or not math.isfinite(value):
                self.logbook.scalar("loss/step", value, step)
            if not math.isfinite(value):
                self.give_up(f"the loss is {value} at step {step}", lr)
        self.bar.set_postfix(loss=f"{values[-1]:.4g}", refresh=False)

    def give_up(self, what: str, lr: float) -> NoReturn:
        at = f"epoch {self.progress.epoch}, learning rate {float(lr):g}"
        last = f"; {self.checkpoint.last_good()}" if self.checkpoint else ""
        raise UserError(f"{what} ({at}): try a --lr below {float(lr):g}{last}")

    def look(self) -> None:
        """Measure the model on the whole of each part, and write down what is found."""
        self.settle()
        at = self.progress
        at.seconds += time.perf_counter() - self.resumed_at
        row: Row = {"epoch": at.epoch if at.step else 0, "step": at.step, "seconds": at.seconds}
        metrics = {"loss": self.loss, **self.metrics}
        for part in PARTS:
            found = evaluate(self.model, metrics, getattr(self.data, part), amp=self.config.amp == "bf16")
            row |= {f"{name}/{part}": value for name, value in found.items()}
        row |= gradient_norm(self.model)
        row["learning rate"] = float(self.optimizer.param_groups[0]["lr"])
        log_row(self.logbook, row)
        at.note(row, self.model)
        if isinstance(self.scheduler, ReduceLROnPlateau) and at.step:
            self.scheduler.step(row["loss/validation"])
        if self.observe:
            self.observe(row)
        self.model.train()
        self.resumed_at = time.perf_counter()

    def out_of_patience(self) -> bool:
        at = self.progress
        return self.config.patience is not None and len(at.history) - 1 - at.best >= self.config.patience

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this step."""
        at = self.progress
        if self.checkpoint is None or self.saved_at == at.step:
            return
        self.settle()
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            self.give_up(f"a weight is infinite or NaN after step {at.step}", self.optimizer.param_groups[0]["lr"])
        at.seconds += time.perf_counter() - self.resumed_at
        distributed.agreed(partial(self.logbook.flush, at.step))
        optimizer = self.optimizer.state_dict()
        content = {
            "model": self.model.state_dict(),
            "optimizer": optimizer,
            "updated": list(optimizer["state"]),
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "kinds": kinds_of(self.optimizer, self.scheduler),
            "progress": vars(at),
            "random": random_states(),
            "config": plain(asdict(self.config)),
        }
        self.checkpoint.save(at.step, content)
        self.saved_at = at.step
        self.resumed_at = time.perf_counter()

    def restore(self) -> list[Saved] | None:
        """Take up the newest good checkpoint, if the run is resumed and there is one; return its random states."""
        saved = self.checkpoint.load(self.read) if self.checkpoint and self.config.resume else None
        if saved is None:
            return None
        at = saved.progress
        done = at.epoch - (at.batch == 0)
        if done > self.config.epochs:
            raise UserError(f"--epochs {self.config.epochs}: this training has come to epoch {done} already")
        self.model.load_state_dict(saved.model)
        self.optimizer.load_state_dict(saved.optimizer)
        if self.scheduler:
            self.scheduler.load_state_dict(saved.scheduler or {})
        at.best_model = {name: value.to(self.device) for name, value in at.best_model.items()}
        self.progress, self.saved_at = at, at.step
        return saved.random

    def read(self, saved: Saved) -> TrainingState:
        """Take the content of a checkpoint apart, if it is one of this training."""
        return read_training(
            saved, self.model, self.optimizer, self.scheduler, {"loss": self.loss, **self.metrics}, self.steps
        )

    def as_configured(self) -> tuple[Model, Metric]:
        """Return model and loss as the steps call them: over all processes, in bfloat16, compiled."""
        forward: Model = distributed.parallel(self.model)
        if self.config.amp == "bf16":
            forward = partial(in_bfloat16, forward)
        if not self.config.compile:
            return forward, self.loss
        # As one function, for the loss to be fused with the last layer: the model's part is to hand the input on.
        return nn.Identity(), torch.compile(lambda input, target: self.loss(forward(input), target))


def progress_bar(steps: Iterable[_T], show: bool, name: str) -> Iterable[_T]:
    """Return the steps behind a progress bar, silent when `show` is false or standard error is not a terminal."""
    bar: Iterable[_T] = tqdm(steps, desc=name, disable=None if show else True, leave=False)
    return bar
