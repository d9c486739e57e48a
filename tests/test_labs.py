"""Every script end to end, as its user runs it: with small settings, on the real data, with wrong input."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from amal.experiments import declared, find_experiments
from amal.training import launch
from tme1 import chain_rule, classification, gradcheck, regression, stacked_linear

ROOT = Path(__file__).parent.parent
SCRIPTS = list(find_experiments())


def run(script, tmp_path, *args):
    """Run a script in this process; return its metrics.json and its TensorBoard events."""
    launch(script.run, ["--run-dir", str(tmp_path / "run"), "--no-progress", *args])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["status"] == "completed"
    return metrics["metrics"], events_of(tmp_path / "run")


def events_of(run_dir):
    return EventAccumulator(str(run_dir), {"scalars": 0, "images": 0, "histograms": 0}).Reload()


def command(*args, **options):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", *args], capture_output=True, text=True, env=env, check=False, **options
    )


# ---------------------------------------------------------------------------------- the experiments of TME 1


def test_gradcheck_prints_ticks(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gradcheck, "CASES", [case for case in gradcheck.CASES if case.name in ("linear", "mse_loss")])
    metrics, events = run(gradcheck, tmp_path)
    printed = capsys.readouterr().out
    held = len(gradcheck.PROPERTIES) - (not torch.cuda.is_available())
    assert re.search(rf"^linear( +✓){{{held}}}", printed, re.MULTILINE)
    assert re.search(r"bias gradient not summed over the batch +True +exact shapes", printed)
    assert metrics == {"properties_held": 2 * held, "properties": 2 * held, "mistakes": 10, "gradcheck_fooled": 6}
    assert events.Tags()["images"] == ["why_float64"]


def test_gradcheck_fails_when_an_operation_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gradcheck, "CASES", [gradcheck.MISTAKES["BiasNotSummed"]])
    with pytest.raises(AssertionError, match="a property does not hold"):
        run(gradcheck, tmp_path)
    assert "✗" in capsys.readouterr().out


def test_why_float64():
    """At gradcheck's step float64 measures a slope to better than 1e-8, float32 does not to 1e-4."""
    assert gradcheck.slope_error(1e-6, torch.float64) < 1e-8
    assert gradcheck.slope_error(1e-6, torch.float32) > 1e-4


def test_chain_rule_equals_autograd_at_every_step(tmp_path, capsys):
    metrics, events = run(chain_rule, tmp_path, "--epochs", "60")
    assert metrics["largest_difference"] < 1e-12
    assert metrics["loss_last"] < metrics["loss_first"] / 10
    differences = events.Scalars("gradient/largest difference from autograd")
    assert len(differences) == 60
    assert max(event.value for event in differences) < 1e-12
    assert [event.step for event in events.Histograms("parameters/weight")] == [0, 1, 4, 16, 59]
    printed = capsys.readouterr().out
    verdicts = [re.findall("too slow|converges|diverges", line) for line in printed.splitlines()[1:4]]
    slow, good, bad = "too slow", "converges", "diverges"
    assert verdicts == [[slow, slow, slow, good, bad], [slow, slow, good, bad, bad], [slow, good, bad, bad, bad]]
    assert len(events.Scalars("sweep, sum/ε=0.0005")) == 60


@pytest.mark.parametrize("function", ["LinearFunction", "MSEFunction"])
def test_chain_rule_notices_a_wrong_derivative(tmp_path, monkeypatch, function):
    right = getattr(chain_rule, function)

    class Wrong(right):
        @staticmethod
        def backward(ctx, grad_output):
            return tuple(
                gradient if gradient is None else 1.0001 * gradient for gradient in right.backward(ctx, grad_output)
            )

    monkeypatch.setattr(chain_rule, function, Wrong)
    with pytest.raises(AssertionError, match="by hand and by autograd differ by"):
        run(chain_rule, tmp_path)


def test_chain_rule_predicts_which_learning_rates_diverge():
    """Just below the limit from the curvature the loss falls, just above it grows: for each way to average."""
    data = chain_rule.random_regression().to("cpu", torch.float64).train
    for convention in chain_rule.CONVENTIONS:
        problem = chain_rule.Problem(data, convention)
        limit = chain_rule.largest_stable_lr(problem)
        config = chain_rule.Config(epochs=1000)
        falls, grows = (chain_rule.losses_of_descent(problem, factor * limit, config) for factor in (0.99, 1.01))
        assert falls[-1] < falls[0]
        assert chain_rule.verdict(grows, 0.0) == "diverges"


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([100.0, 1.0], "converges"),
        ([100.0, 1.98], "converges"),
        ([100.0, 2.0], "too slow"),
        ([100.0, 101.0], "diverges"),
        ([100.0, float("nan")], "diverges"),
        ([100.0, float("inf")], "diverges"),
    ],
)
def test_chain_rule_says_what_became_of_a_descent(losses, said):
    assert chain_rule.verdict(losses, best=1.0) == said


@pytest.mark.parametrize("lr", [20.0, 50.0, 1e300])
def test_chain_rule_sees_a_divergence_in_one_step(lr):
    data = chain_rule.random_regression().to("cpu", torch.float64).train
    for convention in chain_rule.CONVENTIONS:
        losses = chain_rule.losses_of_descent(chain_rule.Problem(data, convention), lr, chain_rule.Config())
        assert chain_rule.verdict(losses, 0.0) == "diverges"


def test_chain_rule_keeps_a_context_for_each_call():
    x, w = torch.randn(2, 3), torch.randn(4, 3)
    _, first = chain_rule.forward(chain_rule.LinearFunction, x, w, torch.zeros(4))
    _, second = chain_rule.forward(chain_rule.LinearFunction, 2 * x, w, torch.zeros(4))
    assert torch.equal(first.saved_tensors[0], x)
    assert torch.equal(second.saved_tensors[0], 2 * x)


def test_chain_rule_stops_when_it_diverges(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(chain_rule, tmp_path, "--lr", "50", "--epochs", "2000")
    assert stop.value.code == 1
    assert re.search(r"the loss is (inf|nan) at step \d+: try a --lr below 50\n$", capsys.readouterr().err)


def test_stacked_layers_reach_the_least_squares_of_one(tmp_path):
    metrics, events = run(stacked_linear, tmp_path)
    assert metrics["loss_train"] == pytest.approx(metrics["loss_least_squares"], rel=1e-3)
    assert metrics["loss_train"] >= metrics["loss_least_squares"] - 1e-6
    assert len(events.Scalars("loss/train")) == len(events.Scalars("loss/test")) == 1000
    assert "parameters/2.weight" in events.Tags()["histograms"]


def test_regression_ends_where_the_closed_form_is(tmp_path):
    metrics, _ = run(regression, tmp_path)
    for name in ("line", "diabetes"):
        assert metrics[f"{name}_r2_test"] >= metrics[f"{name}_r2_test_sklearn"] - 1e-3
        events = events_of(tmp_path / "run" / name)
        assert {"loss/step", "loss/train", "loss/test", "r2/train", "r2/test"} <= set(events.Tags()["scalars"])
        assert [event.step for event in events.Images("fit")] == [1, 4, 16, 64, 256, 1024, 3000]
    assert metrics["line_distance"] < 1e-3


def test_regression_stopped_early_is_not_there_yet(tmp_path):
    """The comparison can fail: after 5 epochs the weights are far from the closed form."""
    metrics, _ = run(regression, tmp_path, "--dataset", "line", "--epochs", "5")
    assert metrics["line_distance"] > 0.1
    assert metrics["line_r2_test"] < metrics["line_r2_test_sklearn"] - 1e-3


def test_regression_on_boston_housing(tmp_path, real_data):
    metrics, _ = run(regression, tmp_path, "--dataset", "boston", "--data-root", str(real_data))
    assert metrics["boston_r2_test"] == pytest.approx(metrics["boston_r2_test_sklearn"], abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_classification_separates_what_can_be_separated(tmp_path, seed):
    metrics, events = run(classification, tmp_path, "--seed", str(seed))
    assert metrics == {"accuracy_train": 1.0, "accuracy_test": 1.0}
    assert [event.step for event in events.Images("frontier")] == [0, 1, 4, 16, 30]


def test_classification_learns_from_the_training_split_in_the_order_of_the_seed(tmp_path):
    """The same training, written out here, gives the same losses to the last bit."""
    _, events = run(classification, tmp_path, "--seed", "3", "--epochs", "2")
    train = classification.two_gaussians(seed=3).train
    torch.manual_seed(3)
    model = classification.Linear(2, 1)
    losses = []
    for epoch in (1, 2):
        for input, target in classification.Batches(train, 50, 3).epoch(epoch):
            loss = torch.nn.functional.mse_loss(model(input), target)
            losses.append(loss.item())
            grads = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for parameter, grad in zip(model.parameters(), grads, strict=True):
                    parameter -= 0.02 * grad
    assert [event.value for event in events.Scalars("loss/step")] == pytest.approx(losses, rel=1e-5)


def test_classification_cannot_separate_what_no_line_separates(tmp_path):
    metrics, _ = run(classification, tmp_path, "--dataset", "four-gaussians")
    assert metrics["accuracy_test"] < 0.75


# ---------------------------------------------------------------------------------- all scripts


def test_the_scripts_are_found_in_the_order_of_the_course():
    numbers = [experiment.number for experiment in find_experiments(("tme1",)).values()]
    assert numbers == ["1.1", "1.2", "1.3", "1.4", "1.5"]


def test_a_module_that_declares_nothing_is_no_experiment():
    assert declared(None) is None
    assert declared("Helpers.") is None
    assert declared("Experiment 1.9: a title without a report.\n\nText.") is None


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_shows_the_flags_and_what_they_do(script, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        launch(importlib.import_module(script).run, ["--help"])
    assert not stop.value.code
    shown = capsys.readouterr().out
    for flag in ("--run-dir", "--seed", "--progress, --no-progress"):
        assert flag in shown
    assert f"python -m {script}" in shown


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
        r"nowhere/housing/housing.data, which is not",
    ),
    ("tme1.regression", ["--device", "gpu"], r"--device gpu: expected auto, cpu, cuda"),
    ("tme1.stacked_linear", ["--lr", "1e6"], r"the loss is (inf|nan) at step \d+ .*try a --lr below 1e\+06"),
    ("tme1.classification", ["--run-dir", "/dev/null/run"], r"--run-dir /dev/null/run cannot be written"),
    ("tme1.classification", ["--epochs", "ten"], r"--epochs"),
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


def test_wrong_input_from_the_shell(tmp_path):
    answer = command("tme1.stacked_linear", "--lr", "1e6", cwd=tmp_path)
    assert answer.returncode == 1
    assert re.fullmatch(
        r"tme1\.stacked_linear: the loss is (inf|nan) at step \d+ .*try a --lr below 1e\+06\n", answer.stderr
    )
    [metrics] = tmp_path.glob("runs/tme1/stacked_linear/*/metrics.json")
    assert json.loads(metrics.read_text())["status"].startswith("stopped: the loss is")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")
def test_wrong_input_on_a_terminal_is_one_plain_line_too(tmp_path):
    ours, theirs = os.openpty()
    program = [sys.executable, "-m", "tme1.classification", "--epochs", "ten"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    status = subprocess.run(
        program, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=env, check=False
    ).returncode
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert status == 2
    assert re.fullmatch(
        r"python -m tme1\.classification: [^│\x1b]*--epochs[^│\x1b]*'ten' \(--help lists the options\)\r\n", shown
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


# ---------------------------------------------------------------------------------- amal labs

DOCSTRING = '"""Experiment {number}: {title}.\n\nReported: {reported}.\n"""\n'
SCRIPT = """
from amal.training import Logbook, Outcome, RunConfig, launch
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
    answer = command("amal", "labs", "tme1", cwd=tmp_path, env={"COLUMNS": "150"})
    assert answer.returncode == 1
    table = answer.stdout[answer.stdout.index("experiment   ") :]
    assert re.search(r"1\.9 the good one +42 \(R-z\)\.? +43 measured +\d", table)
    assert re.search(r"1\.10 the broken one +42 \(R-z\)\.? +FAILED \(exit status 1\): failed", table)
    assert re.search(r"1\.11 the crashing one +42 \(R-z\)\.? +FAILED \(exit status +7\): nothing written", table)
    assert re.search(r"1\.12 the last one +42 \(R-z\)\.? +44 measured", table)
    assert "tensorboard --logdir runs" in table
    assert "failed: tme1.broken, tme1.crashing" in answer.stderr


def test_labs_succeeds_when_all_scripts_do(tmp_path):
    make_lab(tmp_path, good="return Outcome('43 measured', {})")
    answer = command("amal", "labs", "tme1", "--runs", "elsewhere", cwd=tmp_path)
    assert answer.returncode == 0
    assert len(list(tmp_path.glob("elsewhere/tme1/good/*/metrics.json"))) == 1


def test_labs_names_an_unknown_lab(tmp_path):
    answer = command("amal", "labs", "tme9", cwd=tmp_path)
    assert answer.returncode == 2
    assert "tme9" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_amal_help_is_there():
    answer = command("amal", "--help")
    assert answer.returncode == 0
    assert "labs" in answer.stdout
