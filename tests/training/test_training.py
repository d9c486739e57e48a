import json
import os
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from amal.data import Split, Splits
from amal.errors import UserError
from amal.files import write_json
from amal.functional import mse_loss
from amal.nn import Dropout, Linear, Sequential, Tanh
from amal.optim import SGD
from amal.runs import Outcome, RunLogbook, launch
from amal.runs.folder import open_run_dir
from amal.training import (
    Logbook,
    RunConfig,
    TrainingConfig,
    choose_device,
    epoch_batches,
    evaluate,
    fit,
    is_milestone,
    train_step,
)
from amal.training.batches import steps_per_epoch

QUIET = {"progress": False}


class Notes:
    """A logbook that remembers the scalars."""

    def __init__(self):
        self.scalars = []

    def scalar(self, tag, value, step):
        self.scalars.append((tag, float(value), step))

    def rewind(self, step):
        pass

    def chart(self, title, tags):
        pass

    def of(self, tag):
        return {step: value for name, value, step in self.scalars if name == tag}


def a_line(n=20):
    input = torch.linspace(-1, 1, n).unsqueeze(1)
    return Split(input, 3 * input + 1)


def lines():
    return Splits(a_line(20), a_line(5), a_line(6))


# ---------------------------------------------------------------------------------- config


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lr": -0.1}, r"--lr -0.1: expected a positive number"),
        ({"lr": 0.0}, r"--lr 0.0: expected"),
        ({"lr": float("nan")}, r"--lr nan: expected"),
        ({"lr": float("inf")}, r"--lr inf: expected"),
        ({"batch_size": 0}, r"--batch-size 0: expected at least 1"),
        ({"epochs": 0}, r"--epochs 0: expected at least 1"),
        ({"device": "gpu"}, r"--device gpu: expected auto, cpu"),
        ({"seed": -1}, r"--seed -1: expected 0 or more"),
        ({"seed": 2**63}, r"--seed \d+: expected 0 or more, and below 2\^63"),
    ],
)
def test_a_config_refuses_what_makes_no_sense(wrong, message):
    with pytest.raises(UserError, match=message):
        TrainingConfig(**wrong)


# ---------------------------------------------------------------------------------- device


def test_cpu_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "cpu:0", "mps:1", "cuda:-1"])
def test_unknown_devices_are_named(name):
    with pytest.raises(UserError, match=rf"--device {name}: expected auto, cpu, cuda, cuda:N or mps"):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps"])
def test_absent_devices_are_named(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=rf"--device {name}: this machine has no .* try --device cpu"):
        choose_device(name)


def test_a_cuda_number_too_high_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match="there are 2 CUDA devices here, numbered from 0"):
        choose_device("cuda:2")


# ---------------------------------------------------------------------------------- descent


def test_a_step_is_gradient_descent():
    model, data = Linear(1, 1), a_line()
    expected = [parameter.detach().clone() for parameter in model.parameters()]
    mse_loss(model(data.input), data.target).backward()
    expected = [value - 0.1 * parameter.grad for value, parameter in zip(expected, model.parameters(), strict=True)]
    loss = train_step(model, mse_loss, data.input, data.target, SGD(model.parameters(), 0.1))
    assert not loss.requires_grad
    for parameter, value in zip(model.parameters(), expected, strict=True):
        assert torch.equal(parameter, value)


def test_training_finds_the_line_and_looks_at_every_part():
    model, notes, config = Linear(1, 1), Notes(), TrainingConfig(epochs=200, batch_size=7, **QUIET)
    done = fit(model, mse_loss, lines(), SGD(model.parameters(), 0.1), config, notes)
    assert (done.last_row["epoch"], done.step, len(done.history)) == (200, 600, 201)
    assert [row["epoch"] for row in done.history] == list(range(201))
    for part in ("train", "validation", "test"):
        assert list(notes.of(f"loss/{part}")) == list(range(0, 601, 3))
    assert list(notes.of("loss/step")) == list(range(10, 601, 10))
    assert model.weight.item() == pytest.approx(3, abs=1e-3)
    assert model.bias.item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("option", "tolerance"), [({"compile": True}, 1e-5), ({"amp": "bf16"}, 3e-2)])
def test_training_compiles_and_mixes_precisions(option, tolerance):
    losses = []
    for options in ({}, option):
        torch.manual_seed(0)
        model = Sequential(Linear(1, 8), Tanh(), Linear(8, 1))
        config = TrainingConfig(epochs=3, batch_size=7, **QUIET, **options)
        done = fit(model, mse_loss, lines(), SGD(model.parameters(), 0.1), config, Notes())
        losses.append([row["loss/test"] for row in done.history])
    plain, other = losses
    assert other == pytest.approx(plain, rel=tolerance)
    assert "compile" in option or other != plain


def test_an_evaluation_counts_every_example_once():
    """7 examples in batches of 3: the last one counts a third as much."""
    data, model = a_line(7), Linear(1, 1)
    found = evaluate(model, {"loss": mse_loss, "size": lambda output, _: output.mean()}, data, batch_size=3)
    assert found["loss"] == pytest.approx(mse_loss(model(data.input), data.target).item(), rel=1e-6)
    assert found["size"] == pytest.approx(model(data.input).mean().item(), rel=1e-6)


def test_an_evaluation_leaves_the_mode_of_the_model():
    model = Sequential(Linear(1, 1), Dropout(0.5))
    for mode in (True, False):
        model.train(mode)
        found = [evaluate(model, {"loss": mse_loss}, a_line())["loss"] for _ in range(2)]
        assert found[0] == found[1]
        assert model.training == model[1].training == mode


def test_patience_ends_a_training_that_gets_no_better():
    def fitted(patience):
        model = Linear(1, 1)
        config = TrainingConfig(epochs=50, lr=2.1, patience=patience, **QUIET)
        return fit(model, mse_loss, lines(), SGD(model.parameters(), 1.2), config, Notes())

    assert len(fitted(None).history) == 51
    stopped = fitted(3)
    assert len(stopped.history) == 1 + stopped.best + 3 < 51
    assert stopped.best_row["loss/validation"] < stopped.last_row["loss/validation"]


def test_the_best_model_is_that_of_the_least_validation_loss():
    model = Linear(1, 1)
    done = fit(model, mse_loss, lines(), SGD(model.parameters(), 1.2), TrainingConfig(epochs=5, **QUIET), Notes())
    best, last = Linear(1, 1), evaluate(model, {"loss": mse_loss}, lines().validation)["loss"]
    best.load_state_dict(done.best_model)
    found = evaluate(best, {"loss": mse_loss}, lines().validation)["loss"]
    assert found == done.best_row["loss/validation"] < last == done.last_row["loss/validation"]


def test_a_loss_that_leaves_every_bound_stops_the_training():
    model, notes, config = Linear(1, 1), Notes(), TrainingConfig(epochs=1000, lr=1e6, **QUIET)
    with pytest.raises(UserError, match=r"the loss is (inf|nan) at step \d+ \(epoch \d+, learning rate 1e\+06\): "):
        fit(model, mse_loss, lines(), SGD(model.parameters(), 1e6), config, notes)
    assert not torch.tensor(list(notes.of("loss/step").values())).isfinite().all()


def test_the_schedule_is_that_of_torch():
    """The training by hand, written out, of the same model with torch's own optimiser and schedule."""
    ours, theirs = Linear(1, 1), Linear(1, 1)
    theirs.load_state_dict(ours.state_dict())
    optimizer = SGD(ours.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    notes = Notes()
    fit(ours, mse_loss, lines(), optimizer, TrainingConfig(epochs=5, **QUIET), notes, scheduler=schedule)
    for lr in (0.1, 0.1, 0.05, 0.05, 0.025):
        train_step(theirs, torch.nn.functional.mse_loss, *pair(a_line()), torch.optim.SGD(theirs.parameters(), lr))
    assert torch.allclose(ours.weight, theirs.weight, rtol=1e-6)
    assert list(notes.of("learning rate").values()) == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


# ---------------------------------------------------------------------------------- batches


@settings(max_examples=50)
@given(
    n=st.integers(1, 40),
    batch_size=st.one_of(st.none(), st.integers(1, 50), st.just(10**30)),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 9),
)
def test_an_epoch_holds_every_example_once(n, batch_size, seed, epoch):
    numbers = torch.arange(n, dtype=torch.float32).unsqueeze(1)
    part = Split(numbers, 10 * numbers)
    batches = list(epoch_batches(part, batch_size, seed, epoch))
    assert len(batches) == steps_per_epoch(part, batch_size)
    assert sorted(torch.cat([input for input, _ in batches]).flatten().tolist()) == list(range(n))
    assert all(torch.equal(target, 10 * input) for input, target in batches)
    assert all(len(input) == (batch_size or n) for input, _ in batches[:-1])


def order(part, seed, epoch, skip=0):
    return torch.cat([input for input, _ in epoch_batches(part, 7, seed, epoch, skip)]).flatten().tolist()


def numbers(n=100):
    return Split(torch.arange(float(n)).unsqueeze(1), torch.arange(float(n)).unsqueeze(1))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 0, 2])
def test_the_order_of_an_epoch_is_a_function_of_seed_and_epoch(workers):
    part = numbers()
    if workers is not None:
        part = DataLoader(TensorDataset(part.input, part.target), 7, shuffle=True, num_workers=workers)
    before = torch.get_rng_state()
    assert order(part, 0, 1) == order(part, 0, 1)
    assert order(part, 0, 1)[14:] == order(part, 0, 1, skip=2)
    assert len({tuple(order(part, seed, epoch)) for seed in range(2) for epoch in range(2)}) == 4
    assert torch.equal(torch.get_rng_state(), before)


def test_a_data_loader_trains_as_its_tensors_do():
    results = []
    for wrap in (lambda split: split, lambda split: DataLoader(TensorDataset(*pair(split)), len(split))):
        torch.manual_seed(0)
        model = Linear(1, 1)
        data = Splits(*(wrap(part) for part in (a_line(20), a_line(5), a_line(6))))
        config = TrainingConfig(epochs=5, **QUIET)
        results.append(fit(model, mse_loss, data, SGD(model.parameters(), 0.1), config, Notes()))
    tensors, loader = results
    assert loader.last_row["loss/test"] == pytest.approx(tensors.last_row["loss/test"], rel=1e-6)


def test_a_data_loader_without_a_length_is_refused():
    class Endless(IterableDataset):
        def __iter__(self):
            yield torch.zeros(1), torch.zeros(1)

    with pytest.raises(UserError, match="the DataLoader has no length"):
        steps_per_epoch(DataLoader(Endless()), None)


def pair(split):
    return split.input, split.target


def test_milestones_are_powers_of_four_and_the_ends():
    assert [epoch for epoch in range(101) if is_milestone(epoch, 100)] == [0, 1, 4, 16, 64, 100]


# ---------------------------------------------------------------------------------- logbook and run directory


def test_json_is_whole_plain_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"a": float("nan"), "b": [1, torch.tensor(2.5)], "c": tmp_path, "d": {"e": None}})
    write_json(path, json.loads(path.read_text()) | {"f": True})
    assert json.loads(path.read_text()) == {"a": None, "b": [1, 2.5], "c": str(tmp_path), "d": {"e": None}, "f": True}
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_json_keeps_the_old_file_when_writing_fails(tmp_path, monkeypatch, failing):
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="no space"):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.json"]


def test_a_folder_in_use_is_refused_and_untouched(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a run: choose another folder"):
        open_run_dir(tmp_path)
    (tmp_path / "config.json").rename(tmp_path / "thesis.tex")
    with pytest.raises(UserError, match=r"already holds thesis\.tex"):
        open_run_dir(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\)"):
        open_run_dir(tmp_path / "file" / "run")


def test_the_logbook_writes_what_tensorboard_reads(tmp_path):
    from matplotlib.figure import Figure

    logbook: Logbook = RunLogbook(tmp_path)
    for step in range(3):
        logbook.scalar("loss/train", torch.tensor(step / 2, requires_grad=True), step)
    logbook.histogram("parameters/weight", torch.randn(10, requires_grad=True, dtype=torch.float64), 0)
    logbook.histogram("parameters/diverged", torch.tensor([float("nan"), float("inf"), 1e25]), 0)
    logbook.figure("picture", Figure(), 0)
    logbook.text("note", "**bold**")
    logbook.chart("loss", ["loss/train"])
    logbook.child("lr=1").scalar("loss/train", 7.0, 0)
    logbook.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss/train")] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert events.Tags()["histograms"] == ["parameters/weight"]
    assert events.Tags()["images"] == ["picture"]
    assert set(events.Tags()["tensors"]) == {"note/text_summary", "custom_scalars__config__"}
    child = EventAccumulator(str(tmp_path / "lr=1")).Reload()
    assert [event.value for event in child.Scalars("loss/train")] == [7.0]


# ---------------------------------------------------------------------------------- launch


@dataclass(frozen=True)
class Config(RunConfig):
    end: str = "well"
    """How the experiment ends."""


def run(config: Config, logbook: Logbook) -> Outcome:
    logbook.scalar("loss/train", 1.0, 0)
    if config.end == "user error":
        raise UserError("the loss is nan: try a smaller --lr")
    if config.end == "interrupt":
        raise KeyboardInterrupt
    if config.end == "bug":
        raise ZeroDivisionError
    return Outcome("all well", {"score": 1.5, "infinite": float("inf")})


def test_launch_records_the_run(tmp_path, capsys):
    launch(run, ["--run-dir", str(tmp_path / "a" / "run"), "--seed", "5"])
    config = json.loads((tmp_path / "a" / "run" / "config.json").read_text())
    metrics = json.loads((tmp_path / "a" / "run" / "metrics.json").read_text())
    assert config["config"] == {"run_dir": str(tmp_path / "a" / "run"), "seed": 5, "progress": True, "end": "well"}
    assert config["command"] == f"python -m test_training --run-dir {tmp_path / 'a' / 'run'} --seed 5"
    assert config["environment"]["torch"] == torch.__version__
    assert (metrics["status"], metrics["measured"]) == ("completed", "all well")
    assert metrics["metrics"] == {"score": 1.5, "infinite": None}
    assert "all well" in capsys.readouterr().out


def test_launch_seeds_torch(tmp_path):
    def draw(config: RunConfig, logbook: Logbook) -> Outcome:
        return Outcome("drawn", {"number": torch.rand(()).item()})

    draws = []
    for number, seed in enumerate((1, 1, 2)):
        launch(draw, ["--run-dir", str(tmp_path / str(number)), "--seed", str(seed)])
        draws.append(json.loads((tmp_path / str(number) / "metrics.json").read_text())["metrics"]["number"])
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("end", "raised", "code", "status", "said"),
    [
        ("user error", SystemExit, 1, "stopped: the loss is nan: try a smaller --lr", "test_training: the loss is nan"),
        ("interrupt", SystemExit, 130, "interrupted", "interrupted; what was logged until now is kept"),
        ("bug", ZeroDivisionError, None, "failed", ""),
    ],
)
def test_launch_keeps_what_a_failed_run_wrote(tmp_path, capsys, end, raised, code, status, said):
    with pytest.raises(raised) as stop:
        launch(run, ["--run-dir", str(tmp_path / "run"), "--end", end])
    assert getattr(stop.value, "code", None) == code
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["status"] == status
    assert [e.value for e in EventAccumulator(str(tmp_path / "run")).Reload().Scalars("loss/train")] == [1.0]
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == bool(said)


def test_launch_makes_a_new_folder_for_each_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        launch(run, [])
    assert len(list((tmp_path / "runs" / "test_training").iterdir())) == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--seed", "x"], "--seed"),
        (["--nonsense", "3"], "--nonsense"),
        (["--seed"], "--seed"),
        (["--seed", "-1"], "--seed -1: expected 0 or more"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_line(capsys, args, said):
    with pytest.raises(SystemExit) as stop:
        launch(run, args)
    assert stop.value.code in (1, 2)
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert said in complaint
    assert "│" not in complaint
