"""Files of a run that were damaged, edited or made by something else: config.json, metrics.json, events, checkpoints.

Each mutation, of a hundred and fifty with fixed seeds, is answered by the right result or by a line in words; what is
left out is named. Not among them is one number in the place of another: whoever writes it means it.
"""

import hashlib
import io
import json
import random
import shutil
from pathlib import Path

import killing
import pytest
import torch
from damage import decides_nothing, other_content, places
from killing import DieAt, Run, differing, newest_step, remains

from amal.experiments import find_parts
from amal.locks import release
from amal.report.events import read_run
from amal.report.page import as_html, as_markdown
from amal.report.runs import find_runs
from amal.runs import launch
from amal.training import Checkpoints

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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_goes_on_with_damaged_events(tmp_path, killed, expected, capsys):
    chance = random.Random(3)
    for number in range(TIMES // 6):
        run_dir = Path(shutil.copytree(killed, tmp_path / f"{number}"))
        [path] = run_dir.glob("events.*")
        path.write_bytes(damaged(path.read_bytes(), chance))
        status, said = resume(run_dir, capsys)
        assert status == 0
        wrong = differing(remains(run_dir), expected)
        assert all(name.startswith("tensorboard.") for name in wrong)
        assert not wrong or any("lacks events of the first" in line for line in said)


# ---------------------------------------------------------------------------------- checkpoints


def put(path, content):
    """Put another content in the place of a checkpoint, under its own checksum."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.unlink()
    path.with_name(f"{path.name[:14]}{hashlib.sha256(buffer.getvalue()).hexdigest()[:16]}.pt").write_bytes(
        buffer.getvalue()
    )


@pytest.mark.slow
@pytest.mark.parametrize("times", [TIMES // 6, TIMES])
def test_a_checkpoint_with_odd_content_is_left_out_and_the_one_before_is_taken(
    tmp_path, killed, expected, capsys, times
):
    chance, left_out = random.Random(4), 0
    content = torch.load(Checkpoints(killed / "checkpoints").paths()[0], weights_only=True)
    for number in range(times):
        odd, place = other_content(content, chance)
        run_dir = Path(shutil.copytree(killed, tmp_path / f"{number}"))
        put(Checkpoints(run_dir / "checkpoints").paths()[0], odd)
        lines = is_answered(run_dir, capsys, expected)
        assert lines or decides_nothing(place), place
        left_out += len(lines)
    assert left_out > times / 2


@pytest.mark.slow
def test_a_damaged_checkpoint_is_left_out_and_the_one_before_is_taken(tmp_path, killed, expected, capsys):
    chance = random.Random(5)
    for number in range(TIMES // 6):
        run_dir = Path(shutil.copytree(killed, tmp_path / f"{number}"))
        path = Checkpoints(run_dir / "checkpoints").paths()[0]
        path.write_bytes(damaged(path.read_bytes(), chance))
        [line] = is_answered(run_dir, capsys, expected)
        assert "is damaged" in line
