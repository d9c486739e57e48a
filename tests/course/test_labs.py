"""What holds of every script, and `amal labs`: help, wrong input, nothing overwritten, failures told."""

import contextlib
import importlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from running import BRIEFLY, ROOT, command, run

from amal import cli
from amal.errors import UserError
from amal.experiments import find_experiments, read_experiment
from amal.runs import launch
from tme1 import classification

SCRIPTS = list(find_experiments())


def test_the_scripts_are_found_in_the_order_of_the_course():
    experiments = find_experiments()
    numbers = [tuple(map(int, experiment.number.split("."))) for experiment in experiments.values()]
    assert numbers == sorted(set(numbers))
    assert [f"tme{lab}" for lab, _ in numbers] == [script.split(".")[0] for script in experiments]
    texts = {f"{path.parent.name}.{path.stem}": path.read_text() for path in ROOT.glob("tme?/*.py")}
    assert experiments.keys() == {script for script, text in texts.items() if text.startswith('"""Experiment ')}


def test_a_module_that_declares_nothing_is_no_experiment():
    assert read_experiment(None) is None
    assert read_experiment("Helpers.") is None
    assert read_experiment("Experiment 1.9: a title without a report.\n\nText.") is None


# of those that no other quick test runs, the quickest
UNTRIED = ("stacked_linear", "checkerboard")


@pytest.mark.parametrize(
    "script",
    [pytest.param(name, marks=() if name.endswith(UNTRIED) else pytest.mark.slow) for name in BRIEFLY],
)
def test_every_script_that_trains_comes_to_its_end(script, tmp_path):
    metrics, events = run(importlib.import_module(script), tmp_path, *shlex.split(BRIEFLY[script]))
    assert metrics
    assert "settings" in "".join(events.Tags()["tensors"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_shows_the_flags_and_what_they_do(script, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        launch(importlib.import_module(script).run, ["--help"])
    assert not stop.value.code
    printed = capsys.readouterr().out
    for flag in ("--run-dir", "--seed", "--progress, --no-progress"):
        assert flag in printed
    assert f"python -m {script}" in printed


WRONG = [
    ("tme1.regression", ["--dataset", "nonsense"], r"--dataset nonsense: expected some of line, diabetes, boston"),
    ("tme1.classification", ["--dataset", "nonsense"], r"--dataset nonsense: expected one of two-gaussians"),
    ("tme1.regression", ["--lr", "-0.1"], r"--lr -0.1: expected a positive number"),
    ("tme1.classification", ["--batch-size", "0"], r"--batch-size 0: expected at least 1"),
    ("tme1.stacked_linear", ["--hidden", "0"], r"--hidden \(0,\): expected sizes from 1 to 10000"),
    ("tme1.chain_rule", ["--sweep", "0.1", "-1"], r"--sweep"),
    (
        "tme1.regression",
        ["--dataset", "boston", "--data-root", "nowhere"],
        r"--data-root nowhere is not there: name the folder",
    ),
    ("tme1.regression", ["--device", "gpu"], r"--device gpu: expected auto, cpu, cuda"),
    ("tme1.stacked_linear", ["--lr", "1e6"], r"the loss is (inf|nan) at step \d+ .*try a --lr below 1e\+06"),
    ("tme1.classification", ["--run-dir", "/dev/null/run"], r"--run-dir /dev/null/run cannot be written"),
    ("tme1.classification", ["--epochs", "ten"], r"--epochs"),
    ("tme1.classification", ["--resume"], r"--resume: say which run, with --run-dir"),
    ("tme1.classification", ["--patience", "0"], r"--patience 0: expected at least 1"),
    ("tme1.classification", ["--checkpoint-every", "0"], r"--checkpoint-every 0: expected at least 1"),
    ("tme1.classification", ["--amp", "fp16"], r"--amp"),
    ("tme2.descent", ["--dataset", "nonsense"], r"--dataset"),
    ("tme2.descent", ["--stochastic-lr", "-1"], r"--stochastic-lr -1\.0: expected a positive number"),
    (
        "tme2.regressor",
        ["--dataset", "boston", "--data-root", "nowhere"],
        r"--data-root nowhere is not there: name the folder",
    ),
    ("tme2.regressor", ["--hidden", "0"], r"--hidden 0: expected a size from 1 to 10000"),
    ("tme2.regressor", ["--lr", "1e9"], r"the loss is (inf|nan) at step \d+ .*try a --lr below 1e\+09"),
    ("tme2.four_gaussians", ["--seeds", "0"], r"--seeds 0: expected at least 1"),
    ("tme2.three_descents", ["--batch-lr", "0"], r"--batch-lr 0\.0: expected a positive number"),
    (
        "tme2.checkerboard",
        ["--settings", "600", "2000"],
        r"--settings 600 2000: expected iterations from 1, batches from",
    ),
    ("tme2.checkerboard", ["--settings", "600"], r"--settings"),
    ("tme2.learning_rate", ["--lr", "0.1", "-1"], r"--lr"),
    ("tme3.classifier", ["--hidden", "0"], r"--hidden \(0,\): expected sizes from 1 to 10000"),
    ("tme3.classifier", ["--dataset", "cifar"], r"--dataset"),
    ("tme3.classifier", ["--dataset", "usps", "--data-root", "/proc/nowhere"], r"/proc/nowhere.*--dataset digits"),
    ("tme3.perceptron_to_mlp", ["--hidden", "0"], r"--hidden 0: expected a size from 1 to 10000"),
    ("tme3.convolution", ["--models", "VGG"], r"--models VGG: expected some of Conv1d; Conv2d; "),
    ("tme3.convolution", ["--examples", "0"], r"--examples 0: expected at least 1"),
    ("tme3.convolution", ["--shift", "-1"], r"--shift -1: expected 0 pixels or more"),
    ("tme3.classifier", ["--dropout", "1.0"], r"--dropout 1\.0: expected a probability below 1"),
    ("tme3.data_loader", ["--workers", "0"], r"--workers 0: expected at least 1"),
    (
        "tme3.latent_classifier",
        ["--model", "65"],
        r"--model 65: expected a code of at most 64, the pixels or the images",
    ),
    ("tme3.reference_example", ["--variants", "VGG"], r"--variants VGG: expected some of the example; without dropout"),
    ("tme3.reference_example", ["--gamma", "0"], r"--gamma 0\.0: expected a positive number"),
    ("tme3.autoencoder", ["--models", "30-x"], r"--models '30-x': expected sizes from 1 to 10000, such as 30, 500-100"),
    ("tme3.autoencoder", ["--sigma", "0"], r"--sigma 0.0: expected a positive number"),
    ("tme3.interpolation", ["--between", "2", "x"], r"--between x: expected two of 0, 1, 2"),
    ("tme3.highway", ["--depths", "1"], r"--depths 1: expected from 2 to 1000 hidden layers"),
    ("tme3.latent", ["--model", "0"], r"--model '0': expected sizes from 1 to 10000"),
    ("tme3.parameters", ["--height", "4"], r"--height 4: expected 8 to 512 pixels"),
    ("tme2.depth", ["--width", "0"], r"--width 0: expected a size from 1 to 10000"),
    ("tme1.bugs", ["--bugs", "typo"], r"--bugs"),
    (
        "tme1.bugs",
        ["--bugs", "bias not summed", "--lr", "50"],
        r"bias not summed: loss on train is nan / nan: try lower",
    ),
    ("tme2.bugs", ["--scaled-lr", "0"], r"--scaled-lr 0\.0: expected a positive number"),
    ("tme3.bugs", ["--depth", "0"], r"--depth 0: expected at least 1"),
]


@pytest.mark.parametrize(("script", "args", "message"), WRONG, ids=[" ".join(args) for _, args, _ in WRONG])
def test_wrong_input_is_answered_in_one_line(script, args, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        launch(importlib.import_module(script).run, args)
    assert stop.value.code in (1, 2)
    complaint = capsys.readouterr().err
    assert re.search(message, complaint)
    assert complaint.count("\n") == 1
    has_begun = "the loss is" in complaint or "loss on train" in complaint
    assert has_begun or list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_wrong_input_from_the_shell(tmp_path):
    answer = command("tme1.stacked_linear", "--lr", "1e6", cwd=tmp_path)
    assert answer.returncode == 1
    message = (
        r"tme1\.stacked_linear: the loss is (inf|nan) at step \d+ .*try a --lr below 1e\+06; there is no checkpoint yet"
    )
    assert re.fullmatch(message, answer.stderr.strip())
    [metrics] = tmp_path.glob("runs/tme1/stacked_linear/*/metrics.json")
    assert json.loads(metrics.read_text())["status"].startswith("stopped: the loss is")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")
def test_wrong_input_on_a_terminal_is_one_plain_line_too(tmp_path):
    terminal, its_end = os.openpty()
    program = [sys.executable, "-m", "tme1.classification", "--epochs", "ten"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    status = subprocess.run(
        program, stdin=its_end, stdout=its_end, stderr=its_end, cwd=tmp_path, env=env, check=False
    ).returncode
    os.close(its_end)
    printed = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert status == 2
    assert re.fullmatch(
        r"python -m tme1\.classification: [^│\x1b]*--epochs[^│\x1b]*'ten' \(--help lists the options\)\r\n", printed
    )


def test_a_run_is_not_overwritten(tmp_path, capsys):
    def files():
        return {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}

    run(classification, tmp_path, "--epochs", "2")
    before = files()
    with pytest.raises(SystemExit) as stop:
        run(classification, tmp_path, "--epochs", "2")
    assert stop.value.code == 1
    assert "run already holds a run: choose another folder" in capsys.readouterr().err
    assert files() == before


# What is refused before it began

NO_DATA = ["--dataset", "boston", "--data-root", "nowhere", "--epochs", "2", "--no-progress"]


def refused(script, args):
    with pytest.raises(SystemExit) as stop:
        launch(importlib.import_module(script).run, args)
    assert stop.value.code in (1, 2)


@pytest.mark.parametrize("run_dir", [[], ["--run-dir", "mine/run"]], ids=["of its own", "given"])
@pytest.mark.parametrize("script", ["tme1.regression", "tme2.regressor"])
def test_a_refused_run_leaves_nothing_behind(script, run_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(script, [*NO_DATA, *run_dir])
    assert list(tmp_path.iterdir()) == []


def test_a_refused_command_can_be_mended_and_run_in_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    refused("tme1.regression", [*NO_DATA, "--run-dir", "mine"])
    assert list((tmp_path / "mine").iterdir()) == []  # the folder is the user's
    regression = importlib.import_module("tme1.regression")
    launch(regression.run, ["--dataset", "line", "--epochs", "2", "--no-progress", "--run-dir", "mine"])
    assert json.loads((tmp_path / "mine" / "metrics.json").read_text())["status"] == "completed"


def test_a_refused_resume_leaves_the_run_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    regression = importlib.import_module("tme1.regression")
    launch(regression.run, ["--epochs", "2", "--no-progress", "--run-dir", "run"])

    def refuse(*_):
        raise UserError("no data today")

    monkeypatch.setattr(regression, "load", refuse)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refused("tme1.regression", ["--epochs", "3", "--no-progress", "--run-dir", "run", "--resume"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize(("option", "tolerance"), [("--compile", 1e-4), ("--amp=bf16", 0.1)])
@pytest.mark.parametrize("lab", [lab for lab in BRIEFLY if lab != "tme1.chain_rule"])  # its functions no graph calls
def test_every_lab_is_compiled_and_mixes_precisions(lab, option, tolerance, tmp_path):
    """It finds the same numbers, or nearly so with the eight bits of bfloat16."""
    script, results = importlib.import_module(lab), []
    for name, options in (("plain", []), ("other", [option])):
        (tmp_path / name).mkdir()
        metrics, _ = run(script, tmp_path / name, *shlex.split(BRIEFLY[lab]), *options)
        results.append({name: value for name, value in metrics.items() if value and "seconds" not in name})
    plain, other = results
    assert other == pytest.approx(plain, rel=tolerance, abs=tolerance)


# ---------------------------------------------------------------------------------- amal labs

DOCSTRING = '"""Experiment {number}: {title}.\n\nReported: {reported}.\n"""\n'
SCRIPT = """
from pathlib import Path
from amal.runs import Outcome, launch
from amal.training import Logbook, RunConfig
def run(config: RunConfig, logbook: Logbook) -> Outcome:
    {body}
if __name__ == "__main__":
    launch(run)
"""


def make_lab(folder, **scripts):
    (folder / "tme1").mkdir()
    (folder / "tme1" / "__init__.py").touch()
    for place, (name, body) in enumerate(scripts.items(), start=9):
        docstring = DOCSTRING.format(number=f"1.{place}", title=f"the {name} one", reported="42 (R-z)")
        (folder / "tme1" / f"{name}.py").write_text(docstring + SCRIPT.format(body=body))


def test_labs_runs_all_and_tells_of_failures(tmp_path):
    make_lab(
        tmp_path,
        good="return Outcome('43 measured', {})",
        broken="raise ValueError('a bug')",
        crashing="import os; os._exit(7)",
        last="return Outcome('44 measured', {})",
    )
    answer = command("amal", "labs", "tme1", "--jobs", "2", cwd=tmp_path, env={"COLUMNS": "150"})
    assert answer.returncode == 1
    table = answer.stdout[answer.stdout.index("experiment   ") :]
    assert re.search(r"1\.9 the good one +42 \(R-z\)\.? +43 measured +\d", table)
    assert re.search(r"1\.10 the broken one +42 \(R-z\)\.? +FAILED \(exit status 1\): failed", table)
    assert re.search(r"1\.11 the crashing one +42 \(R-z\)\.? +FAILED \(exit status +7\): nothing written", table)
    assert re.search(r"1\.12 the last one +42 \(R-z\)\.? +44 measured", table)
    assert "amal board runs" in table
    assert "failed: tme1.broken, tme1.crashing" in answer.stderr


@pytest.mark.slow
def test_labs_succeeds_when_all_scripts_do(tmp_path):
    make_lab(tmp_path, good="return Outcome('43 measured', {})")
    answer = command("amal", "labs", "tme1", "--runs", "elsewhere", cwd=tmp_path)
    assert answer.returncode == 0
    assert len(list(tmp_path.glob("elsewhere/tme1/good/*/metrics.json"))) == 1


@pytest.mark.slow
def test_labs_shows_each_script_whole_and_leaves_what_measures_time_alone(tmp_path):
    timing = "assert not list(Path('runs/tme1').glob('[ab]*/*/running')); return Outcome('alone', {})"
    other = "p = logbook.folder / 'running'; p.touch(); print('first\\nsecond'); p.unlink(); return Outcome('done', {})"
    make_lab(tmp_path, timing=timing, a=other, b=other, c=other)
    script = tmp_path / "tme1" / "timing.py"
    script.write_text(script.read_text().replace('.\n"""', '.\n\nAlone: it measures time.\n"""', 1))
    answer = command("amal", "labs", "tme1", "--jobs", "2", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.startswith("4 scripts, 2 at once")
    assert answer.stdout.count("first\nsecond\n") == 3
    assert re.findall(r"^\[\d/4\] tme1\.(\w+)", answer.stdout, re.MULTILINE)[-1] == "timing"
    rows = re.findall(r"^1\.\d+ the (\w+) one", answer.stdout[answer.stdout.index("documents report") :], re.MULTILINE)
    assert rows == ["timing", "a", "b", "c"]


def end_group(leader):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups on Windows")
def test_labs_interrupted_tells_what_was_measured_and_starts_nothing_more(tmp_path):
    body = "import signal; Path({name!r}).write_text('waits'); signal.pause(); return Outcome('never', {{}})"
    scripts = {name: body.format(name=name) for name in ("a", "b", "c")}
    make_lab(tmp_path, good="return Outcome('43 measured', {})", **scripts)
    for name in ("a", "b"):
        os.mkfifo(tmp_path / name)
    labs = subprocess.Popen(
        [sys.executable, "-m", "amal", "labs", "tme1", "--jobs", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with labs, contextlib.ExitStack() as whatever_happens:
        whatever_happens.callback(end_group, labs.pid)
        for name in ("a", "b"):
            assert (tmp_path / name).read_text() == "waits"  # it runs; and b runs because good is done
        os.killpg(labs.pid, signal.SIGINT)
        printed, complaint = labs.communicate()
    assert labs.returncode == 130
    assert "interrupted; what the finished scripts measured" in complaint
    assert "43 measured" in printed
    assert "never" not in printed
    assert not (tmp_path / "runs" / "tme1" / "c").exists()


def test_labs_names_an_unknown_lab(tmp_path):
    answer = command("amal", "labs", "tme9", cwd=tmp_path)
    assert answer.returncode == 2
    assert "tme9" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_amal_help_is_there():
    answer = command("amal", "--help")
    assert answer.returncode == 0
    assert "labs" in answer.stdout


def test_labs_are_refused_where_no_run_can_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as end:
        cli.app.cli(["labs", "--runs", str(tmp_path / "file" / "runs")])
    assert end.value.code == 2
    assert capsys.readouterr().err == f"amal labs: --runs {tmp_path}/file/runs: {tmp_path}/file is no folder\n"
