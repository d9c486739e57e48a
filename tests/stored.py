"""A training and a sweep whose checkpoints are stored beside the tests, one for each format that there ever was.

When a field of `State` changes, raise FORMAT and write the files of the new format, which stay:

    python tests/stored.py tests/training/checkpoints

Those of format 1 were written so by the first and by the last code that wrote it.
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn.functional import mse_loss

from amal.training import Checkpoints, TrainingConfig, fit

MIDDLE, SWEEP_MIDDLE = 5, 9
"""Steps of the stored files: in the second epoch of three; where one member has ended, and one has not begun."""


class Nowhere:
    """A logbook that writes nothing."""

    def __getattr__(self, name):
        return lambda *_: None


def data():
    input = torch.linspace(-1, 1, 24).view(12, 2)
    part = SimpleNamespace(input=input, target=input.prod(1, keepdim=True))
    return SimpleNamespace(train=part, validation=part, test=part)


def network(seed, *between):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 2), nn.Tanh(), *between, nn.Linear(2, 1))


def train(folder, resume=False):
    """Train three epochs of three steps, with a checkpoint after step 5; return the model and how it went."""
    config = TrainingConfig(Path("run"), epochs=3, batch_size=4, checkpoint_every=MIDDLE, progress=False, resume=resume)
    model = network(0, nn.Dropout(0.1))
    if resume:
        torch.manual_seed(1)  # what is drawn must not depend on how the new process begins
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    checkpoints = Checkpoints(Path(folder))
    return [model], [fit(model, mse_loss, data(), optimizer, config, Nowhere(), checkpoints, scheduler=scheduler)]


def sweep(folder, resume=False):
    """Train models of three shapes, with a checkpoint after each 3 steps; return models and how they went."""
    from amal.training import Member, SweepConfig, fit_together

    config = SweepConfig(Path("run"), checkpoint_every=3, progress=False, resume=resume)
    models = [network(1), network(2, nn.Linear(2, 2)), network(3, nn.Linear(2, 2), nn.Tanh())]
    members = [Member(model, data(), epochs=2, lr=0.1, batch_size=4) for model in models]
    entries = lambda output, target: (output - target) ** 2  # noqa: E731
    fit_together(members, entries, config, Checkpoints(Path(folder), keep=100))
    return models, [member.progress for member in members]


TRAINERS = {"fit": (train, MIDDLE), "fit_together": (sweep, SWEEP_MIDDLE)}


def store(folder):
    """Write the checkpoints of today's format."""
    for name, (trainer, step) in TRAINERS.items():
        with tempfile.TemporaryDirectory() as work:
            trainer(Path(work))
            [path] = Path(work).glob(f"step-{step:08d}-*.pt")
            number = torch.load(path, weights_only=True)["format"]
            place = Path(folder) / f"format-{number}" / name / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


if __name__ == "__main__":
    store(sys.argv[1])
