"""What is read of a checkpoint: what was saved, or a sentence that says why it cannot be gone on from."""

import random

import pytest
import torch
from damage import decides_nothing, other_content
from killing import differing, flat
from torch import optim
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, SequentialLR, StepLR

import amal.optim
from amal.nn import Linear
from amal.training import Progress
from amal.training.compatibility import read_state
from amal.training.fields import CheckpointError
from amal.training.random_states import random_states
from amal.training.state import State, class_names

TIMES = 30
"""Mutations of each kind, times a few."""


def content_of(model, optimizer, scheduler=None):
    """Return a checkpoint of a training of two epochs of three steps each, in the middle of the third."""
    for _ in range(7):
        optimizer.zero_grad()
        model(torch.randn(5, 2)).sum().backward()
        optimizer.step()
    return State(
        models=[model.state_dict()],
        progress=[progress_of(model, more=("learning rate",))],
        kinds=class_names(optimizer, scheduler),
        optimizer=optimizer.state_dict(),
        updated=list(optimizer.state_dict()["state"]),
        scheduler=scheduler and scheduler.state_dict(),
        random=random_states(),
    ).content()


def progress_of(model, more=()):
    names = ("seconds", "loss/train", "loss/validation", "loss/test", *more)
    rows = [{"epoch": epoch, "step": 3 * epoch, **dict.fromkeys(names, 1.0 - epoch)} for epoch in range(3)]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return Progress(7, 0.5, rows, 2, state)


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
    except CheckpointError as error:
        return error


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", TRAININGS)
def test_what_is_read_of_a_checkpoint_is_what_was_saved(name):
    chance, refused = random.Random(6), 0
    model = Linear(2, 1)
    parts = TRAININGS[name](model)
    content = content_of(model, *parts)
    optimizer, scheduler = *TRAININGS[name](model), *[None] * (len(parts) < 2)

    def read(content):
        return read_state(content, [model], [3], ["loss"], optimizer, scheduler)

    right = flat(read(content).content())
    for _ in range(10 * TIMES):
        odd, place = other_content(content, chance)
        state = understood(read, odd)
        refused += isinstance(state, CheckpointError)
        if not isinstance(state, CheckpointError) and not decides_nothing(place):
            assert differing(flat(state.content()), right) == []
    assert refused > 5 * TIMES


def test_what_is_read_of_a_sweep_is_what_was_saved():
    chance, refused = random.Random(7), 0
    models = [Linear(2, 1), Linear(2, 2), Linear(3, 1)]
    content = State(
        models=[model.state_dict() for model in models],
        progress=[progress_of(models[0]), progress_of(models[1]), Progress()],
        kinds=class_names(None, None),
    ).content()

    def read(content):
        return read_state(content, models, [3, 3, 3], ["loss"])

    right = flat(read(content).content())
    for _ in range(5 * TIMES):
        odd, place = other_content(content, chance)
        state = understood(read, odd)
        refused += isinstance(state, CheckpointError)
        if not isinstance(state, CheckpointError) and not place.startswith("config."):
            assert differing(flat(state.content()), right) == []
    assert refused > 4 * TIMES


@pytest.mark.parametrize("lost", ["updated", "state"])
def test_a_parameter_without_a_state_is_one_that_never_had_a_gradient(lost):
    model = Linear(2, 1)
    model.register_parameter("unused", torch.nn.Parameter(torch.zeros(2)))
    content = content_of(model, optim.Adam(model.parameters()))
    assert content["updated"] == [0, 1]
    del (content["updated"] if lost == "updated" else content["optimizer"]["state"])[1]
    optimizer = optim.Adam(model.parameters())
    error = understood(lambda content: read_state(content, [model], [3], ["loss"], optimizer), content)
    entries = (1, 2) if lost == "updated" else (2, 1)
    assert str(error) == "is odd: its updated has {} entries, and not {}".format(*entries)


def test_min_finds_the_best_row_that_training_notes():
    nan = float("nan")
    for losses in ([1.0, 0.5, 0.5], [nan, 1.0], [2.0, nan, 1.0], [1.0]):
        progress = Progress()
        for loss in losses:
            progress.note({"loss/validation": loss}, Linear(2, 1))
        assert min(range(len(losses)), key=losses.__getitem__) == progress.best
