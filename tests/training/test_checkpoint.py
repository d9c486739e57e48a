"""What a training saves, and what becomes of it on a bad day: damaged files, full disks, a second run in its folder."""

import contextlib
import errno
import hashlib
import io
import os
import pickle
import random
import shutil
import signal
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import killing
import numpy as np
import pytest
import torch
from killing import HangAt, Run, complete, differing, flat, remains, saved
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from amal.data import four_gaussians
from amal.errors import UserError
from amal.functional import mse_loss
from amal.locks import release
from amal.nn import Dropout, Linear, Sequential, Tanh
from amal.runs import launch
from amal.runs.folder import open_run_dir
from amal.training import Checkpoints, TrainingConfig, fit
from amal.training.checkpoint import read
from amal.training.fields import CheckpointError
from amal.training.logbook import NullLogbook
from amal.training.state import FORMAT


def net(units=5, seed=0):
    torch.manual_seed(seed)
    return Sequential(Linear(2, units), Tanh(), Dropout(0.1), Linear(units, 1))


def train(
    folder,
    model=None,
    optimizer=torch.optim.Adam,
    schedule=None,
    data=None,
    loss=mse_loss,
    observe=None,
    keep=2,
    **settings,
):
    """Train a small net, three epochs of three steps, saved after every second step; return how it went."""
    config = TrainingConfig(
        run_dir=folder, **{"epochs": 3, "batch_size": 20, "checkpoint_every": 2, "progress": False, **settings}
    )
    model = model or net(seed=config.resume)  # a resumed one must not depend on how the new process begins
    random.seed(config.resume)
    np.random.seed(config.resume)  # noqa: NPY002
    optimizer = optimizer(model.parameters(), lr=0.05)
    scheduler = schedule and schedule(optimizer)
    data = data or four_gaussians(100)
    places = NullLogbook(folder), Checkpoints(folder, keep)
    return fit(model, loss, data, optimizer, config, *places, scheduler=scheduler, observe=observe)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the checkpoints of steps 8 and 9."""
    folder = tmp_path_factory.mktemp("trained")
    train(folder)
    assert steps_in(folder) == [9, 8]
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "checkpoints"))


def steps_in(folder):
    return [int(path.name[5:13]) for path in Checkpoints(folder).paths()]


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put(folder, step, data):
    """Put a file in place as a checkpoint, under its correct checksum."""
    path = folder / f"step-{step:08d}-{hashlib.sha256(data).hexdigest()[:16]}.pt"
    path.write_bytes(data)
    return path


def is_whole(path):
    with contextlib.suppress(CheckpointError):
        return bool(read(path))
    return False


def as_bytes(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


# ---------------------------------------------------------------------------------- what is saved


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_few_are_kept_and_a_new_one_is_there_before_an_old_one_goes(tmp_path, monkeypatch, keep):
    def unlink(path, missing_ok=False):
        assert len(Checkpoints(tmp_path).paths()) == keep + 1
        plain_unlink(path, missing_ok)

    plain_unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", unlink)
    train(tmp_path, keep=keep)
    assert steps_in(tmp_path) == [9, 8, 6][:keep]


def test_a_checkpoint_is_plain_data_and_holds_the_best_model(folder):
    model = net()
    content = torch.load(Checkpoints(folder).paths()[0], weights_only=True)
    [progress] = content["progress"]
    losses = [row["loss/validation"] for row in progress["history"]]
    assert losses[progress["best"]] == min(losses)
    model.load_state_dict(progress["best_model"])
    validation = four_gaussians(100).validation
    assert mse_loss(model.eval()(validation.input), validation.target).item() == pytest.approx(min(losses))


# ---------------------------------------------------------------------------------- damaged files


def cut_short(data, chance):
    return [data[: chance.randrange(len(data))] for _ in range(50)]


def one_bit_flipped(data, chance):
    number = int.from_bytes(data, "big")
    return [(number ^ (1 << chance.randrange(8 * len(data)))).to_bytes(len(data), "big") for _ in range(200)]


def empty(data, chance):
    return [b""]


def zeros_at_its_end(data, chance):
    return [data[:-size] + bytes(size) for size in (1000, len(data) // 2, len(data))]


@pytest.mark.parametrize("damage", [cut_short, one_bit_flipped, empty, zeros_at_its_end])
def test_damage_is_named_and_the_one_before_is_taken(folder, capsys, damage):
    newest, _ = Checkpoints(folder).paths()
    for data in damage(newest.read_bytes(), random.Random(0)):
        newest.write_bytes(data)
        content = Checkpoints(folder).load(dict)
        assert content["progress"][0]["step"] == 8
        assert capsys.readouterr().err == (
            f"checkpoint {newest} is damaged ({len(data)} bytes, and the checksum differs from the one in its name): "
            "it is left out\n"
        )


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_named_and_the_one_before_is_taken(folder, capsys, make):
    newest, _ = Checkpoints(folder).paths()
    newest.unlink()
    make(newest)
    assert Checkpoints(folder).load(dict)["progress"][0]["step"] == 8
    assert capsys.readouterr().err == f"checkpoint {newest} is not a file: it is left out\n"


@dataclass
class Trap:
    """An object that calls a function when it is unpickled."""

    recipe: tuple

    def __reduce__(self):
        return self.recipe


TRAPS = {
    "os.system": lambda marker: Trap((os.system, (f"touch {marker}",))),
    "eval": lambda marker: Trap((eval, (f"open({str(marker)!r}, 'w').close()",))),
    "exec": lambda marker: Trap((exec, (f"open({str(marker)!r}, 'w').close()",))),
    "open": lambda marker: Trap((os.open, (str(marker), os.O_CREAT))),
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("packed", [as_bytes, pickle.dumps])
def test_code_in_a_checkpoint_is_never_run(folder, tmp_path, capsys, trap, packed):
    marker = tmp_path / "sprung"
    path = put(folder, 10, packed({"format": FORMAT, "model": TRAPS[trap](marker)}))
    assert Checkpoints(folder).load(dict)["progress"][0]["step"] == 9
    assert f"checkpoint {path} holds what is no plain data and was not opened" in capsys.readouterr().err
    assert not marker.exists()
    with contextlib.suppress(RuntimeError):  # a bare pickle is no checkpoint, but by then it has been opened
        torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"models": [net(units=6).state_dict()]}, "of another model (0.weight is (6, 2) there, (5, 2) here)"),
        ({"kinds": ["SGD", "NoneType"]}, "of another training (SGD, NoneType there, Adam, NoneType here)"),
        ({"format": FORMAT + 1}, f"of format {FORMAT + 1}, and this version of amal reads formats 1 to {FORMAT}"),
    ],
    ids=["model", "optimizer", "format"],
)
def test_a_stranger_is_named_and_the_one_before_is_taken(folder, capsys, change, complaint):
    content = torch.load(Checkpoints(folder).paths()[0], weights_only=True)
    stranger = put(folder, 10, as_bytes(content | change))
    assert train(folder, resume=True).last_row["step"] == 9
    assert capsys.readouterr().err == f"checkpoint {stranger} is {complaint}: it is left out\n"


def adam_in_two_groups(parameters, lr):
    first, *others = parameters
    return torch.optim.Adam([{"params": [first]}, {"params": others}], lr)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"model": net(units=6)}, id="model"),
        pytest.param({"optimizer": torch.optim.SGD}, id="optimizer"),
        pytest.param({"schedule": lambda optimizer: StepLR(optimizer, 2)}, id="scheduler"),
        pytest.param(
            {"model": net().double(), "data": four_gaussians(100).to("cpu", torch.float64)},
            id="dtype",
        ),
        pytest.param(
            {"optimizer": adam_in_two_groups},
            id="groups",
        ),
    ],
)
def test_a_folder_of_another_training_is_refused_and_left_alone(folder, capsys, other):
    before = files_in(folder)
    with pytest.raises(UserError, match=rf"none of the 2 checkpoints in {folder} can be used; start again in another"):
        train(folder, resume=True, **other)
    complaints = capsys.readouterr().err.splitlines()
    assert [complaint.split()[1] for complaint in complaints] == [str(path) for path in Checkpoints(folder).paths()]
    assert all("is of another" in complaint for complaint in complaints)
    assert files_in(folder) == before


def test_when_all_are_damaged_nothing_is_touched(folder, capsys):
    for path in Checkpoints(folder).paths():
        path.write_bytes(path.read_bytes()[:-1])
    before = files_in(folder)
    with pytest.raises(UserError, match=rf"none of the 2 checkpoints in {folder} can be used"):
        train(folder, resume=True)
    complaints = capsys.readouterr().err
    assert all(f"checkpoint {path} is damaged" in complaints for path in before)
    assert files_in(folder) == before


def test_training_goes_on_from_the_one_before_a_damaged_one(folder, trained):
    Checkpoints(folder).paths()[0].write_bytes(b"")
    resumed = train(folder, resume=True)
    assert flat({"progress": [vars(resumed)]}).items() <= saved(trained).items()


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_checkpoint_costs_no_good_one(folder, keep):
    put(folder, 100, b"").write_bytes(b"damaged")
    train(folder, resume=True, epochs=4, keep=keep)
    assert sum(map(is_whole, Checkpoints(folder).paths())) == keep


# ---------------------------------------------------------------------------------- interrupted, and resumed


class Stopped(Exception):
    """What ends a training in the middle."""


class StopAt:
    """The loss, or an observer, that ends the training when it is called for the n-th time."""

    def __init__(self, n, otherwise=lambda *_: None):
        self.left, self.otherwise = n, otherwise

    def __call__(self, *args):
        self.left -= 1
        if self.left == 0:
            raise Stopped
        return self.otherwise(*args)


class Noisy(Dataset):
    """Examples that look different each time, as augmented pictures do: a little by each generator there is."""

    def __init__(self, split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        noise = torch.randn(2) + random.gauss(0, 1) + np.random.randn()  # noqa: NPY002
        return self.split.input[row] + 0.1 * noise, self.split.target[row]


def loaded(train, validation=None):
    """Return the data of `train`, the training part behind a DataLoader, and perhaps the validation part."""
    parts = four_gaussians(100)
    return replace(
        parts,
        train=train(parts.train),
        validation=validation(parts.validation) if validation else parts.validation,
    )


def shuffled(part):
    return DataLoader(Noisy(part), batch_size=20, shuffle=True)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("data", [lambda: None, lambda: loaded(shuffled, shuffled)], ids=["tensors", "loaders"])
@pytest.mark.parametrize(
    "schedule",
    [
        None,
        lambda optimizer: StepLR(optimizer, 2, 0.9),
        lambda optimizer: ReduceLROnPlateau(optimizer, patience=0),
        lambda optimizer: OneCycleLR(optimizer, 0.1, 9),
    ],
    ids=["constant", "StepLR", "ReduceLROnPlateau", "OneCycleLR"],
)
def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path, data, schedule):
    def begin(folder, **options):
        return train(tmp_path / folder, schedule=schedule, data=data(), **options)

    whole = begin("whole")
    for stop in {"loss": StopAt(12, mse_loss)}, {"loss": StopAt(15, mse_loss)}, {"observe": StopAt(3)}:
        folder = str(stop)
        with pytest.raises(Stopped):
            begin(folder, **stop)
        assert 0 < steps_in(tmp_path / folder)[0] < 9
        resumed = begin(folder, resume=True)
        assert differing(saved(tmp_path / folder), saved(tmp_path / "whole")) == []
        assert differing(flat(vars(resumed)), flat(vars(whole))) == []


def with_generator(part):
    return DataLoader(part_as_list(part), batch_size=20, shuffle=True, generator=torch.Generator())


def with_sampler(part):
    return DataLoader(part_as_list(part), batch_size=20, sampler=RandomSampler(part, generator=torch.Generator()))


def with_batch_sampler(part):
    sampler = RandomSampler(part, generator=torch.Generator())
    return DataLoader(part_as_list(part), batch_sampler=BatchSampler(sampler, 20, drop_last=False))


def with_workers(part):
    return DataLoader(Noisy(part), batch_size=20, shuffle=True, num_workers=1)


def part_as_list(part):
    return list(zip(part.input, part.target, strict=True))


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "parts",
    [
        [with_generator],
        [with_sampler],
        [with_workers],
        [with_batch_sampler],
        [with_generator] * 2,
    ],
    ids=lambda parts: " ".join(part.__name__ for part in parts),
)
def test_what_a_loader_draws_is_not_lost(tmp_path, parts):
    train(tmp_path / "whole", data=loaded(*parts))
    with pytest.raises(Stopped):
        train(tmp_path / "run", data=loaded(*parts), loss=StopAt(14, mse_loss))
    assert 0 < steps_in(tmp_path / "run")[0] < 9
    train(tmp_path / "run", data=loaded(*parts), resume=True)
    assert differing(saved(tmp_path / "run"), saved(tmp_path / "whole")) == []


def test_workers_that_outlive_an_epoch_are_refused(tmp_path):
    def lasting(part):
        return DataLoader(Noisy(part), batch_size=20, shuffle=True, num_workers=1, persistent_workers=True)

    with pytest.raises(UserError, match="keeps its workers from epoch to epoch"):
        train(tmp_path, data=loaded(lasting))


def test_patience_outlives_an_interruption(tmp_path):
    settings = {"epochs": 50, "patience": 2}
    whole = train(tmp_path / "whole", **settings)
    assert whole.last_row["epoch"] < 50
    assert len(whole.history) - 1 - whole.best == 2
    with pytest.raises(Stopped):
        train(tmp_path / "run", observe=StopAt(len(whole.history) - 1), **settings)
    assert differing(flat(vars(train(tmp_path / "run", resume=True, **settings))), flat(vars(whole))) == []


# ---------------------------------------------------------------------------------- a full disk


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fills_up_costs_no_checkpoint(tmp_path, trained, monkeypatch, failing):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill_at_epoch_2(row):
        if row["epoch"] == 2:
            monkeypatch.setattr(os, failing, full)

    refusal = (
        r"the checkpoint of step 6 cannot be written \(No space left on device\); the last .* is .*/step-00000004-"
    )
    with pytest.raises(UserError, match=refusal):
        train(tmp_path, observe=fill_at_epoch_2)
    assert sorted(tmp_path.iterdir()) == sorted(Checkpoints(tmp_path).paths())
    assert steps_in(tmp_path) == [4, 2]
    monkeypatch.undo()
    train(tmp_path, resume=True)
    assert differing(saved(tmp_path), saved(trained)) == []


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MB: enough for two checkpoints of the larger net, not for a third."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        f"mount -t tmpfs -o size=3m tmpfs {disk}", shell=True, capture_output=True, check=False
    ).returncode:
        pytest.skip("no disk can be mounted here: it takes the rights of root")
    yield disk
    subprocess.run(["umount", disk], check=True)


LARGE = ["--problem", "digits", "--batch-size", "500", "--checkpoint-every", "5", "--epochs", "2"]


@pytest.mark.slow
def test_on_a_full_disk_a_run_stops_and_goes_on_when_there_is_room(small_disk, tmp_path):
    run_dir = small_disk / "run"
    status, said = Run(run_dir, *LARGE).end()
    [last, before] = Checkpoints(run_dir / "checkpoints").paths()
    assert status == 1
    assert said == (
        "killing: the checkpoint of step 15 cannot be written (No space left on device); "
        f"the last good checkpoint is {last}\n"
    )
    assert is_whole(last)
    assert is_whole(before)
    assert list(run_dir.rglob("*.tmp")) == []
    subprocess.run(["mount", "-o", "remount,size=30m", small_disk], check=True)
    assert differing(complete(run_dir, *LARGE, "--resume"), complete(tmp_path / "whole", *LARGE)) == []


@pytest.mark.slow
def test_a_run_that_finds_no_room_at_all_begins_when_there_is_some(small_disk):
    run_dir, ballast = small_disk / "run", small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            ...
    status, said = Run(run_dir).end()
    assert status == 1
    assert (
        said == f"killing: the disk is full, and nothing more can be written to {run_dir}: make room, then --resume\n"
    )
    ballast.unlink()
    complete(run_dir, "--resume")


# ---------------------------------------------------------------------------------- one folder, two runs


@pytest.mark.slow
def test_a_second_run_in_the_folder_is_refused_until_the_first_has_died(tmp_path, capsys):
    first = Run(tmp_path / "run", act=HangAt(1, "fsync checkpoints$"))
    assert "still waiting\n" in iter(first.stderr.readline, "")
    with pytest.raises(SystemExit, match="1"):
        resume(tmp_path / "run")
    assert capsys.readouterr().err.endswith("run belongs to a run that is going on: choose another folder\n")
    first.signal(signal.SIGKILL)
    first.end()
    complete(tmp_path / "run", "--resume")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # torch has threads, and a fork copies but one
def test_a_worker_that_outlives_its_run_does_not_hold_the_folder(tmp_path):
    begun, begin = os.pipe()
    open_run_dir(tmp_path)
    worker = os.fork()
    if worker == 0:
        os.write(begin, b"!")
        signal.pause()
    try:
        os.read(begun, 1)
        release(tmp_path)  # as the kernel does for a process that ends
        open_run_dir(tmp_path)
    finally:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        release(tmp_path)


@pytest.mark.slow
def test_a_clock_that_was_set_back_does_not_hold_a_run_up(tmp_path):
    complete(tmp_path / "run", later=3600)
    assert Run(tmp_path / "run", "--epochs", "4", "--resume").is_killed_after(3) is False


# ---------------------------------------------------------------------------------- resumed otherwise


def resume(run_dir, *args):
    launch(killing.run, ["--resume", "--run-dir", str(run_dir), *args])


def test_a_run_is_not_resumed_with_other_settings(run_dir, capsys):
    before = files_in(run_dir)
    with pytest.raises(SystemExit, match="1"):
        resume(run_dir, "--lr", "0.5", "--batch-size", "7")
    assert capsys.readouterr().err == (
        f"killing: --resume: {run_dir} was set otherwise: lr was 0.01 and is now 0.5; batch_size was 50 and is now 7; "
        "nothing was changed\n"
    )
    assert files_in(run_dir) == before


def test_settings_that_do_no_harm_may_change(run_dir, tmp_path):
    """What an extended run leaves is what a longer one does; the Text page says how it was begun."""
    resume(run_dir, "--epochs", "4", "--checkpoint-every", "5", "--device", "cpu")
    launch(killing.run, ["--run-dir", str(tmp_path / "longer"), "--epochs", "4"])
    texts = [f"tensorboard.{tag}/text_summary" for tag in ("0 where to look/killing", "settings/killing")]
    assert differing(remains(run_dir), remains(tmp_path / "longer")) == texts


def test_a_complete_run_is_left_as_it_is(run_dir):
    files, left = files_in(run_dir), remains(run_dir)
    resume(run_dir)
    assert {path.name for path, data in files_in(run_dir).items() if files.get(path) != data} == {
        "config.json",
        "metrics.json",
    }
    assert differing(remains(run_dir), left) == []


def test_resume_must_know_which_run(capsys):
    with pytest.raises(SystemExit, match="1"):
        launch(killing.run, ["--resume"])
    assert capsys.readouterr().err == "killing: --resume: say which run, with --run-dir\n"


def test_resume_begins_what_has_not_begun(a_run, tmp_path):
    (tmp_path / "run").mkdir()
    resume(tmp_path / "run")
    assert differing(remains(tmp_path / "run"), remains(a_run)) == []
