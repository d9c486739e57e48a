"""The experiments of TME 1 end to end: what they find, and that they notice when it is wrong."""

import re
from dataclasses import replace

import pytest
import torch
from pages import pasted, read
from running import events_of, run

from amal.training import epoch_batches
from tme1 import chain_rule, classification, gradcheck, regression, stacked_linear


@pytest.mark.parametrize("quickly", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_gradcheck_prints_ticks(tmp_path, capsys, monkeypatch, quickly):
    monkeypatch.setattr(gradcheck, "CASES", [case for case in gradcheck.CASES if case.name in ("linear", "mse_loss")])
    if quickly:
        most = {name: check for name, check in gradcheck.PROPERTIES.items() if name != "compile"}
        monkeypatch.setattr(gradcheck, "PROPERTIES", most)
    metrics, events = run(gradcheck, tmp_path)
    printed = capsys.readouterr().out
    held = len(gradcheck.PROPERTIES) - (not torch.cuda.is_available())
    assert re.search(rf"^linear( +✓){{{held}}}", printed, re.MULTILINE)
    assert re.search(r"bias gradient not summed over the batch +True +exact shapes", printed)
    rows = printed[printed.index("a mistake  ") :].split("\n\n")[0].split("\n")[1:]
    assert metrics["properties_held"] == metrics["properties"] == 2 * held
    assert metrics["mistakes"] == len(rows) == len(gradcheck.MISTAKES)
    assert metrics["gradcheck_fooled"] == sum(bool(re.search(r" True +\w", row)) for row in rows) > 0
    assert events.Tags()["images"] == ["why_float64"]
    for page in ("README.md", "tme1/README.md"):
        example = pasted(read(page), "a mistake  ")
        assert [line for line in example if line not in printed.split("\n")] == [], f"{page} shows what is not printed"


@pytest.mark.slow
def test_gradcheck_fails_when_an_operation_is_wrong(tmp_path, monkeypatch, capsys):
    wrong = replace(gradcheck.MISTAKES["BiasNotSummed"], name="linear")
    right = next(case for case in gradcheck.CASES if case.name == "mse_loss")
    monkeypatch.setattr(gradcheck, "CASES", [wrong, right])
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
    assert events.Tags()["images"] == ["sweep of the learning rate"]


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
    ("losses", "verdict"),
    [
        ([100.0, 1.0], "converges"),
        ([100.0, 1.98], "converges"),
        ([100.0, 2.0], "too slow"),
        ([100.0, 101.0], "diverges"),
        ([100.0, float("nan")], "diverges"),
        ([100.0, float("inf")], "diverges"),
    ],
)
def test_chain_rule_says_what_became_of_a_descent(losses, verdict):
    assert chain_rule.verdict(losses, best=1.0) == verdict


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


@pytest.mark.slow
def test_stacked_layers_reach_the_least_squares_of_one(tmp_path):
    metrics, events = run(stacked_linear, tmp_path)
    assert metrics["loss_train"] == pytest.approx(metrics["loss_least_squares"], rel=1e-3)
    assert metrics["loss_train"] >= metrics["loss_least_squares"] - 1e-6
    assert len(events.Scalars("loss/train")) == len(events.Scalars("loss/test")) == 1001
    assert "parameters/2.Linear.weight" in events.Tags()["histograms"]


@pytest.mark.slow
def test_regression_ends_where_the_closed_form_is(tmp_path):
    metrics, _ = run(regression, tmp_path)
    for name in ("line", "diabetes"):
        assert metrics[f"{name}_r2_test"] >= metrics[f"{name}_r2_test_sklearn"] - 1e-3
        events = events_of(tmp_path / "run" / f"dataset={name}")
        curves = ("loss/step", "loss/train", "loss/test", "r2/train", "r2/test")
        assert {f"{name} {curve}" for curve in curves} <= set(events.Tags()["scalars"])
        assert [event.step for event in events.Images(f"{name} fit")] == [0, 1, 4, 16, 64, 256, 1024, 3000]
    assert metrics["line_distance"] < 1e-3


def test_regression_stopped_early_is_not_there_yet(tmp_path):
    """The comparison can fail: after 5 epochs the weights are far from the closed form."""
    metrics, _ = run(regression, tmp_path, "--dataset", "line", "--epochs", "5")
    assert metrics["line_distance"] > 0.1
    assert metrics["line_r2_test"] < metrics["line_r2_test_sklearn"] - 1e-3


@pytest.mark.slow
def test_regression_on_boston_housing(tmp_path, real_data):
    metrics, _ = run(regression, tmp_path, "--dataset", "boston", "--data-root", str(real_data))
    assert metrics["boston_r2_test"] == pytest.approx(metrics["boston_r2_test_sklearn"], abs=1e-3)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("seed", range(3))
def test_classification_separates_what_can_be_separated(tmp_path, seed):
    metrics, events = run(classification, tmp_path, "--seed", str(seed))
    assert metrics == {"accuracy_train": 1.0, "accuracy_test": 1.0}
    assert [event.step for event in events.Images("frontier")] == [12 * epoch for epoch in (0, 1, 4, 16, 30)]


def test_classification_learns_from_the_training_split_in_the_order_of_the_seed(tmp_path):
    """The same training, written out here, gives the same losses to the last bit."""
    _, events = run(classification, tmp_path, "--seed", "3", "--epochs", "2")
    train = classification.two_gaussians(seed=3).train
    torch.manual_seed(3)
    model = classification.Linear(2, 1)
    losses = []
    for epoch in (1, 2):
        for input, target in epoch_batches(train, 50, 3, epoch):
            loss = torch.nn.functional.mse_loss(model(input), target)
            losses.append(loss.item())
            grads = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for parameter, grad in zip(model.parameters(), grads, strict=True):
                    parameter -= 0.02 * grad
    logged = {event.step: event.value for event in events.Scalars("loss/step")}
    assert logged == pytest.approx({step: losses[step - 1] for step in (10, 20)}, rel=1e-5)


@pytest.mark.slow
def test_classification_cannot_separate_what_no_line_separates(tmp_path):
    metrics, _ = run(classification, tmp_path, "--dataset", "four-gaussians")
    assert metrics["accuracy_test"] < 0.75
