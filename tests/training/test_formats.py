"""Checkpoints of every format there ever was can be resumed from; a new field needs a new format."""

import math
import random
import shutil
from dataclasses import fields, make_dataclass
from pathlib import Path

import pytest
import torch
from damage import decides_nothing, other_content
from killing import differing, flat
from stored import TRAINERS, network

from amal.training import Checkpoints, Progress, state
from amal.training.checkpoint import read
from amal.training.compatibility import read_state
from amal.training.fields import CheckpointError
from amal.training.state import FORMAT, UPGRADES, State, upgrade

FOLDER = Path(__file__).parent / "checkpoints"
NEWEST = f"format-{FORMAT}"
OLDER = sorted(path.name for path in FOLDER.iterdir() if path.name != NEWEST)
SCHEMAS = {
    2: {
        "State.models": "list[dict[str, torch.Tensor]]",
        "State.progress": "list[amal.training.state.Progress]",
        "State.kinds": "list[str]",
        "State.optimizer": "dict[str, typing.Any] | None",
        "State.updated": "list[int]",
        "State.scheduler": "dict[str, typing.Any] | None",
        "State.random": "list[dict[str, typing.Any]]",
        "State.config": "dict[str, typing.Any]",
        "Progress.step": "int",
        "Progress.seconds": "float",
        "Progress.history": "list[dict[str, float]]",
        "Progress.best": "int",
        "Progress.best_model": "dict[str, torch.Tensor]",
    }
}
"""Format -> its fields. One that is released is never changed: write the next one."""


def schema(*types):
    return {
        f"{each.__name__}.{field.name}": str(field.type).removeprefix("<class '").removesuffix("'>")
        for each in types
        for field in fields(each)
    }


def stored(folder, name):
    [path] = Checkpoints(FOLDER / folder / name).paths()
    return path


def content_of(folder, name):
    return torch.load(stored(folder, name), weights_only=True)


# ---------------------------------------------------------------------------------- one format, one schema


def test_a_format_has_the_fields_that_were_recorded_for_it():
    assert schema(State, Progress) == SCHEMAS[FORMAT], (
        "a field changed: raise FORMAT, write a function in UPGRADES, record the schema here, and "
        "store checkpoints (python tests/stored.py tests/training/checkpoints)"
    )


@pytest.mark.parametrize("field", [("new", int), ("step", float), ("steps", int)])
def test_a_field_that_changes_is_seen(field):
    kept = [(each.name, each.type) for each in fields(Progress) if each.name not in (field[0], "step")]
    changed = make_dataclass("Progress", [field, *kept])
    assert schema(State, changed) != SCHEMAS[FORMAT]


@pytest.mark.parametrize("name", TRAINERS)
def test_every_format_has_an_upgrade_and_a_stored_checkpoint_with_its_fields(name):
    assert sorted(UPGRADES) == list(range(1, FORMAT))
    assert {content_of(folder, name)["format"] for folder in (*OLDER, NEWEST)} == {*UPGRADES, FORMAT}
    content = content_of(NEWEST, name)
    names = {f"State.{key}" for key in content} | {f"Progress.{key}" for key in content["progress"][0]}
    assert names - {"State.format"} == SCHEMAS[FORMAT].keys()


# ---------------------------------------------------------------------------------- old files


def resume(tmp_path, folder, name):
    """Go on from a stored checkpoint to the end; return the weights and the rows, times apart."""
    run = shutil.copytree(FOLDER / folder / name, tmp_path / folder)
    models, progress = TRAINERS[name][0](run, resume=True)
    rows = [{**row, "seconds": 0} for each in progress for row in each.history]
    for row in rows:  # the first files of `fit` have none of these
        for column in ("learning rate", "gradient/norm"):
            row.pop(column, None)
    return flat([model.state_dict() for model in models]), rows


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", TRAINERS)
def test_from_a_checkpoint_of_any_format_a_training_ends_alike(tmp_path, capsys, name):
    expected, rows = resume(tmp_path, NEWEST, name)
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3] if name == "fit" else [0, 1, 2] * 3
    for folder in OLDER:
        weights, same = resume(tmp_path, folder, name)
        assert differing(weights, expected) == []
        assert same == rows
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("folder", OLDER)
def test_an_upgraded_checkpoint_is_one_of_today(folder, name):
    odd = differing(flat(read(stored(folder, name))), flat(read(stored(NEWEST, name))))
    unknown = ("learning rate", "gradient/norm") if folder == "format-1-early" else ()
    unequal = ("config.", "random.0.python.", "random.0.numpy.")  # of the process that wrote it
    assert [place for place in odd if not place.startswith(unequal) and not place.endswith(unknown)] == []


@pytest.mark.parametrize("loss", ["updated", "random", "best_model"])
def test_an_upgrade_that_loses_something_is_seen(monkeypatch, tmp_path, capsys, loss):
    def forgetful(content):
        content = UPGRADES_1(content)
        (content["progress"][0] if loss == "best_model" else content).pop(loss)
        return content

    UPGRADES_1 = UPGRADES[1]
    monkeypatch.setitem(state.UPGRADES, 1, forgetful)
    with pytest.raises(Exception, match="none of the 1 checkpoints"):
        resume(tmp_path, OLDER[0], "fit")
    assert f"lacks the field {loss!r}" in capsys.readouterr().err


@pytest.mark.parametrize("number", [0, FORMAT + 1, -1, True, 1.0, "1", None, [1]])
def test_a_format_that_nobody_knows_is_a_sentence(number):
    with pytest.raises(CheckpointError, match=r"^is of format .*, and this version of amal reads"):
        upgrade({"format": number})


@pytest.mark.parametrize("folder", OLDER)
def test_what_is_read_of_an_old_checkpoint_is_what_was_saved(folder):
    """Two hundred odd files of an old format: each is read right, or refused in a sentence."""
    chance, refused = random.Random(8), 0
    model = network(0, torch.nn.Dropout(0.1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    content = content_of(folder, "fit")

    def understood(content):
        return read_state(upgrade(content), [model], [3], ["loss"], optimizer, scheduler).content()

    right = flat(understood(content))
    for _ in range(200):
        odd, place = other_content(content, chance)
        try:
            values = flat(understood(odd))
        except CheckpointError:
            refused += 1
            continue
        unread = place in ("progress.epoch", "progress.batch") or place.endswith("learning rate")
        if folder == "format-1-early":  # which does not say which parameters the optimizer has updated
            unread = unread or place.startswith("optimizer.state.")
        assert unread or decides_nothing(place) or equal(values, right), place
    assert refused > 100


def equal(one, other):
    """Whether two checkpoints hold the same; a learning rate that is unknown is NaN."""
    unequal = [one.get(name) for name in differing(one, other)]
    return all(isinstance(value, float) and math.isnan(value) for value in unequal)
