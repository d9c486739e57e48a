"""Files of a run that were damaged, edited or made by something else: config.json, metrics.json, events, checkpoints.

Each mutation, of a hundred and fifty with fixed seeds, is answered by the right result or by a line in words; what is
left out is named. Not among them is one number in the place of another: whoever writes it means it.
"""

import copy
import hashlib
import io
import json
import random
import shutil
from functools import partial
from pathlib import Path

import killing
import pytest
import torch
from killing import DieAt, Run, differing, flat, newest_step, remains
from torch import optim
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, SequentialLR, StepLR

import amal.optim
from amal.experiments import find_parts
from amal.nn import Linear
from amal.report.events import read_run
from amal.report.page import as_html, as_markdown
from amal.report.runs import find_runs
from amal.training import Checkpoints, Progress, launch
from amal.training.checkpoint import random_states
from amal.training.files import release
from amal.training.state import Unfit, kinds_of, read_sweep, read_training

TIMES = 30
"""Mutations of each kind."""


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    folder = tmp_path_factory.mktemp("complete") / "run"
    launch(killing.run, ["--run-dir", str(folder)])
    return folder


@pytest.fixture(scope="module")
def expected(complete):
    return remains(complete)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that has come to step 16 of 36, with the checkpoints of steps 8 and 16."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    Run(folder, act=DieAt(3, "rename checkpoints")).end()
    assert newest_step(folder) == 16
    return folder


def resume(run_dir, capsys):
    """Resume a run in this process; return its status and the lines that it said."""
    capsys.readouterr()
    status = 0
    try:
        launch(killing.run, ["--resume", "--run-dir", str(run_dir)])
    except SystemExit as end:
        status = end.code
    finally:
        release(run_dir)
    return status, capsys.readouterr().err.splitlines()


def is_answered(run_dir, capsys, expected):
    """Whether a run ends as if nothing had happened, or says in a line why it does not begin; return what it said."""
    status, lines = resume(run_dir, capsys)
    *left_out, last = lines if status else [*lines, ""]
    assert all(line.startswith("checkpoint ") and line.endswith(": it is left out") for line in left_out), lines
    if status:
        assert status in (1, 2)
        assert last.startswith("killing: ")
    else:
        assert differing(remains(run_dir), expected) == []
    return lines


# ---------------------------------------------------------------------------------- text

ODD = [
    "NaN", "-Infinity", "1e999", "1" + "0" * 400, "1" + "0" * 5000, r'"\ud800"', r'"a\nb"', "null", "true", "[]", "{}",
    '"text"', '[{"a": 1}]', "[" * 50 + "]" * 50, "[" * 100_000 + "]" * 100_000,
]  # fmt: skip


def places(content, path=()):
    """Yield the way to each value in nested mappings and lists, the outermost apart."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in inside:
        yield (*path, name)
        yield from places(value, (*path, name))


def other_json(text, chance, skip=()):
    """Put an odd value in the place of one, take one away, add one."""
    content = json.loads(text)
    *way, name = chance.choice([place for place in places(content) if place[0] not in skip])
    inside = content
    for step in way:
        inside = inside[step]
    odd = chance.choice(ODD)
    act = chance.choice(["replace", "replace", "remove", "add"])
    if act == "replace" or isinstance(inside, list):
        inside[name] = "HERE"
    elif act == "remove" and "metrics" not in way:
        del inside[name]
    else:
        inside["unknown"] = "HERE"
    return json.dumps(content).replace('"HERE"', odd).encode()


def damaged(data, chance):
    """Cut bytes off, flip one, put zeros or something else in the place of some."""
    at, size = chance.randrange(len(data)), chance.randrange(1, 50)
    return chance.choice(
        [
            data[:at],
            data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
            data[:at] + bytes(len(data) - at),
            data[:at] + chance.randbytes(size) + data[at + size :],
            data[:at] + data[at + size :],
        ]
    )


@pytest.mark.parametrize("change", [other_json, damaged])
def test_a_run_with_another_config_is_the_same_run_or_refused(tmp_path, killed, expected, capsys, change):
    chance, refused = random.Random(0), 0
    for number in range(TIMES // 2):
        run_dir = Path(shutil.copytree(killed, tmp_path / f"{number}"))
        path = run_dir / "config.json"
        path.write_bytes(change(path.read_bytes(), chance))
        refused += bool(is_answered(run_dir, capsys, expected))
    assert refused > 5


def test_other_metrics_change_nothing_of_a_resumed_run(tmp_path, complete, expected, capsys):
    run_dir = Path(shutil.copytree(complete, tmp_path / "run"))
    (run_dir / "metrics.json").write_bytes(b"[" * 100_000)
    assert is_answered(run_dir, capsys, expected) == []


@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
def test_a_report_names_damaged_runs_and_shows_the_others(tmp_path, complete, name):
    chance = random.Random(1)
    [right] = find_runs([complete])
    shutil.copytree(complete, tmp_path / "right")
    for number in range(TIMES):
        path = shutil.copytree(complete, tmp_path / f"damaged{number:02d}") / name
        changes = [lambda data, chance: data[: chance.randrange(len(data))], other_json]
        path.write_bytes(changes[number % 2](path.read_bytes(), chance))
    runs = find_runs([tmp_path])
    assert 5 < sum(run.status.startswith("damaged") for run in runs) < TIMES
    for run in runs:
        assert all(value == right.metrics[name] for name, value in run.metrics.items() if name in right.metrics)
    for page in (as_html(runs, find_parts()), as_markdown(runs, find_parts())):
        assert all(run.name in page for run in runs if run.status != "completed")
        assert "killing" in page


# ---------------------------------------------------------------------------------- events


def test_a_report_tells_of_damaged_events(tmp_path, complete):
    chance = random.Random(2)
    [right] = read_run(complete).values()
    for number in range(TIMES):
        [path] = shutil.copytree(complete, tmp_path / f"{number}").glob("events.*")
        path.write_bytes(damaged(path.read_bytes(), chance))
        [found] = read_run(path.parent).values()
        assert found.damage == [path.name] or (found.scalars, found.images) == (right.scalars, right.images)
    runs = find_runs([tmp_path])
    assert "events.out" in as_html(runs, find_parts())


def test_a_run_goes_on_with_damaged_events(tmp_path, killed, expected, capsys):
    chance = random.Random(3)
    for number in range(TIMES // 3):
        run_dir = Path(shutil.copytree(killed, tmp_path / f"{number}"))
        [path] = run_dir.glob("events.*")
        path.write_bytes(damaged(path.read_bytes(), chance))
        assert resume(run_dir, capsys)[0] == 0
        wrong = differing(remains(run_dir), expected)
        assert all(name.startswith("tensorboard.") for name in wrong)


# ---------------------------------------------------------------------------------- checkpoints


def put(path, content):
    """Put another content in the place of a checkpoint, under its own checksum."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.unlink()
    path.with_name(f"{path.name[:14]}{hashlib.sha256(buffer.getvalue()).hexdigest()[:16]}.pt").write_bytes(
        buffer.getvalue()
    )


WRONG = [
    None,
    "text",
    7,
    0.5,
    True,
    [],
    {},
    [1, 2],
    {"a": 1},
    torch.zeros(3),
    torch.zeros(2, 10, dtype=torch.int64),
    -1,
]


def other_content(content, chance):
    """Put a value of another kind in the place of one, take one away, add one."""
    content = copy.deepcopy(content)
    *way, name = chance.choice(list(places(content)))
    inside = content
    for step in way:
        inside = inside[step]
    act = chance.choice(["replace", "remove", "add"])
    if act == "replace":
        is_number = isinstance(inside[name], float) or "lr" in f"{way[-1:]}{name}"
        alike = (int, float) if is_number else (type(inside[name]),)
        wrong = [odd for odd in WRONG if type(odd) not in (*alike, type(inside[name]))]
        inside[name] = chance.choice(wrong)
    elif act == "remove":
        del inside[name]
    elif isinstance(inside, list):
        inside.append(chance.choice(WRONG))
    else:
        inside[chance.choice(["unknown", 99])] = chance.choice(WRONG)
    return content, ".".join(map(str, (*way, name)))


def decides_nothing(place):
    """Whether a part of a checkpoint may be odd: it is not used, or torch itself fills in what is missing."""
    return place.startswith(("config.", "updated", "optimizer.param_groups.0."))


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


def test_a_checkpoint_with_odd_content_is_left_out_and_the_one_before_is_taken(tmp_path, killed, expected, capsys):
    chance, left_out = random.Random(4), 0
    content = torch.load(Checkpoints(killed / "checkpoints").paths()[0], weights_only=True)
    for number in range(TIMES):
        odd, place = other_content(content, chance)
        run_dir = Path(shutil.copytree(killed, tmp_path / f"{number}"))
        put(Checkpoints(run_dir / "checkpoints").paths()[0], odd)
        lines = is_answered(run_dir, capsys, expected)
        assert lines or decides_nothing(place), place
        left_out += len(lines)
    assert left_out > TIMES / 2


def test_a_damaged_checkpoint_is_left_out_and_the_one_before_is_taken(tmp_path, killed, expected, capsys):
    chance = random.Random(5)
    for number in range(TIMES // 3):
        run_dir = Path(shutil.copytree(killed, tmp_path / f"{number}"))
        path = Checkpoints(run_dir / "checkpoints").paths()[0]
        path.write_bytes(damaged(path.read_bytes(), chance))
        [line] = is_answered(run_dir, capsys, expected)
        assert "is damaged" in line
