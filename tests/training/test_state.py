"""What is read of a checkpoint: what was saved, or a sentence that says why it cannot be gone on from."""

import random
from functools import partial

import pytest
import torch
from damage import decides_nothing, other_content
from killing import differing, flat
from torch import optim
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, SequentialLR, StepLR

import amal.optim
from amal.nn import Linear
from amal.training import Progress
from amal.training.checkpoint import random_states
from amal.training.fields import Unfit
from amal.training.state import kinds_of, read_sweep, read_training

TIMES = 30
"""Mutations of each kind, times a few."""


def content_of(model, optimizer, scheduler=None):
    """Return a checkpoint of a training of two epochs of three steps each, in the middle of the third."""
    for _ in range(7):
        optimizer.zero_grad()
        model(torch.randn(5, 2)).sum().backward()
        optimizer.step()
    return {
        "format": 1,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "updated": list(optimizer.state_dict()["state"]),
        "scheduler": scheduler and scheduler.state_dict(),
        "kinds": kinds_of(optimizer, scheduler),
        "progress": progress_of(model, epoch=3, batch=1, more=("learning rate",)),
        "random": random_states(),
        "config": {},
    }


def progress_of(model, epoch=1, batch=0, more=()):
    names = ("seconds", "loss/train", "loss/validation", "loss/test", *more)
    rows = [{"epoch": at, "step": 3 * at, **dict.fromkeys(names, 1.0 - at)} for at in range(3)]
    return vars(Progress(epoch, batch, 7, 0.5, rows, 2, {name: of.clone() for name, of in model.state_dict().items()}))


TRAININGS = {
    "SGD": lambda model: [optim.SGD(model.parameters(), 0.1)],
    "momentum": lambda model: [optim.SGD(model.parameters(), 0.1, momentum=0.9)],
    "hand-written": lambda model: [amal.optim.Adam(model.parameters(), 0.1)],
    "plateau": lambda model: with_schedule(model, ReduceLROnPlateau),
    "one cycle": lambda model: with_schedule(model, OneCycleLR, 0.1, 10),
    "two schedules": lambda model: with_schedule(
        model, lambda sgd: SequentialLR(sgd, [StepLR(sgd, 2), StepLR(sgd, 3)], [4])
    ),
}


def with_schedule(model, schedule, *args):
    optimizer = optim.AdamW(model.parameters(), 1)  # a whole number, which the schedule makes a fraction of
    return optimizer, schedule(optimizer, *args)


def understood(read, content):
    """Return what is read of a checkpoint, or the sentence that says why nothing is."""
    try:
        return read(content)
    except Unfit as unfit:
        return unfit


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", TRAININGS)
def test_what_is_read_of_a_checkpoint_is_what_was_saved(name):
    chance, refused = random.Random(6), 0
    model = Linear(2, 1)
    parts = TRAININGS[name](model)
    content = content_of(model, *parts)
    optimizer, scheduler = *TRAININGS[name](model), *[None] * (len(parts) < 2)
    read = partial(read_training, model=model, optimizer=optimizer, scheduler=scheduler, metrics=["loss"], steps=3)
    right = flat(vars(read(content)) | {"progress": vars(read(content).progress)})
    for _ in range(10 * TIMES):
        odd, place = other_content(content, chance)
        state = understood(read, odd)
        refused += isinstance(state, Unfit)
        if not isinstance(state, Unfit) and not decides_nothing(place):
            assert differing(flat(vars(state) | {"progress": vars(state.progress)}), right) == []
    assert refused > 5 * TIMES


def test_what_is_read_of_a_sweep_is_what_was_saved():
    chance, refused = random.Random(7), 0
    models = [Linear(2, 1), Linear(2, 2), Linear(3, 1)]
    content = {
        "format": 1,
        "models": [model.state_dict() for model in models],
        "progress": [progress_of(models[0]), progress_of(models[1]), vars(Progress())],
    }

    def parts(states):
        return flat({place: {"model": of.model, "progress": vars(of.progress)} for place, of in enumerate(states)})

    right = parts(read_sweep(content, models, ["loss"], [3, 3, 3]))
    for _ in range(5 * TIMES):
        odd, _ = other_content(content, chance)
        states = understood(partial(read_sweep, models=models, metrics=["loss"], steps=[3, 3, 3]), odd)
        refused += isinstance(states, Unfit)
        assert isinstance(states, Unfit) or differing(parts(states), right) == []
    assert refused > 4 * TIMES


@pytest.mark.parametrize("lost", ["updated", "optimizer.state.1"])
def test_a_parameter_without_a_state_is_one_that_never_had_a_gradient(lost):
    model = Linear(2, 1)
    model.register_parameter("unused", torch.nn.Parameter(torch.zeros(2)))
    content = content_of(model, optim.Adam(model.parameters()))
    assert content["updated"] == [0, 1]
    if lost == "updated":  # as in an early file
        del content["updated"]
    else:
        del content["optimizer"]["state"][1]
    optimizer = optim.Adam(model.parameters())
    found = understood(lambda content: read_training(content, model, optimizer, None, ["loss"], 3), content)
    if lost == "updated":
        assert list(found.optimizer["state"]) == [0, 1]
    else:
        assert str(found).startswith("is odd: its updated has 2 entries, and not 1")
