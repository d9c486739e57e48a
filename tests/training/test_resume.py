"""`--resume` as it should not be asked for, and runs that somebody removes while they are going on."""

import json

import killing
import pytest
from killing import RemoveAt, Run, differing, remains

from amal.data import four_gaussians
from amal.errors import UserError
from amal.functional import mse_loss
from amal.nn import Linear
from amal.optim import SGD
from amal.runs import RunLogbook, launch
from amal.training import Checkpoints, TrainingConfig, fit
from amal.training.config import differences


def refused(run_dir, capsys, *args):
    """Try to resume a run, and return the line that says why it cannot be."""
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit, match="1"):
        launch(killing.run, ["--resume", "--run-dir", str(run_dir), *args])
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == before
    *others, said = capsys.readouterr().err.splitlines()
    assert all("it is left out" in other for other in others)
    return said.removeprefix("killing: ")


# ---------------------------------------------------------------------------------- a config.json that is none

NONE = {
    "a list": "[1, 2]",
    "a text": '"config"',
    "null": "null",
    "a number": "7",
    "too many digits": f'{{"script": 1{"0" * 5000}}}',
    "deep": "[" * 100_000 + "]" * 100_000,
    "half written": '{"script": "killing", "config": {',
    "no settings": '{"script": "killing"}',
    "a list of settings": '{"script": "killing", "config": ["lr", 0.01]}',
    "no name": '{"script": ["killing"], "config": {}}',
    "nothing": "",
}


@pytest.mark.parametrize("name", NONE)
def test_a_config_that_is_none_is_named(run_dir, capsys, name):
    (run_dir / "config.json").write_text(NONE[name])
    said = refused(run_dir, capsys)
    assert said == f"{run_dir}/config.json is damaged, so this run cannot be resumed: choose another --run-dir"


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ('"0.01"', "lr was '0.01' and is now 0.01"),
        ("null", "lr was None and is now 0.01"),
        ('"0.01\\n"', r"lr was '0.01\n' and is now 0.01"),
        ("[" * 800 + "]" * 800, "lr was [[[[[[[...]]]]]]] and is now 0.01"),
        (f"1{'0' * 400}", f"lr was 1{'0' * 37}...{'0' * 39} and is now 0.01"),
    ],
    ids=["text", "null", "lines", "deep", "digits"],
)
def test_what_differs_can_be_seen(run_dir, capsys, odd, said):
    path = run_dir / "config.json"
    path.write_text(path.read_text().replace('"lr": 0.01', f'"lr": {odd}'))
    assert refused(run_dir, capsys) == f"--resume: {run_dir} was set otherwise: {said}; nothing was changed"


def test_settings_that_say_where_things_lie_may_differ():
    before = {"data_root": "/old", "run_dir": "/old", "device": "cuda", "progress": True, "seed": 0}
    now = {"data_root": "/new", "run_dir": "/new", "device": "cpu", "progress": False, "seed": 1}
    assert differences(before, now) == ["seed was 0 and is now 1"]


# ---------------------------------------------------------------------------------- fewer epochs than are done


def test_fewer_epochs_than_are_done_are_refused_and_the_run_is_left_as_it_is(run_dir, capsys):
    assert refused(run_dir, capsys, "--epochs", "2") == "--epochs 2: this training has come to epoch 3 already"


def test_an_epoch_that_has_begun_is_one_to_finish(tmp_path, a_run, capsys):
    run_dir = tmp_path / "run"
    Run(run_dir, act=killing.DieAt(3, "rename checkpoints")).end()
    assert killing.newest_step(run_dir) == 16
    assert refused(run_dir, capsys, "--epochs", "1") == "--epochs 1: this training has come to epoch 2 already"
    launch(killing.run, ["--resume", "--run-dir", str(run_dir)])
    assert differing(remains(run_dir), remains(a_run)) == []


def test_a_complete_run_without_a_good_checkpoint_is_left_as_it_is(run_dir, capsys):
    for path in Checkpoints(run_dir / "checkpoints").paths():
        path.write_bytes(b"")
    assert "none of the 2 checkpoints" in refused(run_dir, capsys)


# ---------------------------------------------------------------------------------- removed while it is going on

REMOVED = {
    "the run": (".", False, "run"),
    "the run, for another": (".", True, "run"),
    "its events": ("events.*", False, "run/events.out.tfevents"),
    "its config": ("config.json", False, "run/config.json"),
}


@pytest.mark.one_in(4)
@pytest.mark.parametrize("what", REMOVED)
@pytest.mark.parametrize(
    "moment",
    [
        (1, "mkdir checkpoints"),
        pytest.param((2, "rename checkpoints"), marks=pytest.mark.slow),
        (1, "rename .metrics"),
    ],
)
def test_a_run_whose_record_is_gone_says_so_and_is_not_complete(tmp_path, what, moment):
    pattern, stub, named = REMOVED[what]
    run_dir = tmp_path / "run"
    if moment[1] == "rename .metrics" and pattern != ".":
        pytest.skip("all has been written by then")
    status, said = Run(run_dir, act=RemoveAt(*moment, run_dir, pattern, stub)).end()
    assert status == 1
    assert said.startswith(f"killing: {tmp_path}/{named}")
    assert said.endswith(" was removed while the run was going on: what was written there is lost\n")
    assert said.count("\n") == 1
    if (run_dir / "metrics.json").exists():
        assert json.loads((run_dir / "metrics.json").read_text())["status"].startswith("stopped: ")
    assert not stub or [path.name for path in run_dir.iterdir() if path.is_file()] == ["config.json"]


@pytest.mark.slow
def test_a_run_that_goes_on_without_its_events_says_so(tmp_path):
    run_dir = tmp_path / "run"
    Run(run_dir, act=RemoveAt(2, "rename checkpoints", run_dir, "events.*")).end()
    status, said = Run(run_dir, "--resume").end()
    assert (status, said) == (0, f"{run_dir} lacks events of the first 16 steps: so do its curves\n")


@pytest.mark.slow
def test_checkpoints_that_are_removed_are_missed_by_nobody(tmp_path, a_run):
    run_dir = tmp_path / "run"
    said = Run(run_dir, act=RemoveAt(1, "open checkpoints.*16", run_dir, "checkpoints/*08*")).end()
    assert said == (0, "")
    assert differing(remains(run_dir), remains(a_run)) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's writer meets it too
@pytest.mark.parametrize("pattern", [".", "child", "child/events.*"])
def test_what_a_child_wrote_is_missed(tmp_path, pattern):
    logbook = RunLogbook(tmp_path / "run")
    child, model = logbook.child("child"), Linear(2, 1)

    def remove_at_epoch_2(row):
        if row["epoch"] == 2:
            RemoveAt(1, "", tmp_path / "run", pattern)("")

    config = TrainingConfig(epochs=3, batch_size=20, checkpoint_every=2, progress=False)
    places = child, Checkpoints(child.folder / "checkpoints")
    with pytest.raises(UserError, match=r"run/child/events\.out\..* was removed while the run was going on"):
        fit(
            model,
            mse_loss,
            four_gaussians(100),
            SGD(model.parameters(), 0.01),
            config,
            *places,
            observe=remove_at_epoch_2,
        )
    with pytest.raises(UserError, match="was removed while"):
        logbook.close()
    assert not list((tmp_path / "run").rglob("events.*"))
