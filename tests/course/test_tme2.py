"""The experiments of TME 2 end to end: what they find, and that they notice when it is not so."""

import json

import pytest
import torch
from running import events_of, run

from tme2 import checkerboard, depth, descent, four_gaussians, learning_rate, regressor, three_descents
from tme2._checkerboard import Setting, network

CURVES = {"loss/train", "loss/validation", "loss/test", "gradient/norm", "epoch"}


def run_of(tmp_path, name):
    """Read the events of one run among those of an experiment."""
    return events_of(tmp_path / "run" / name)


def has_its_line_in_the_table(events):
    return "_hparams_/session_start_info" in events.summary_metadata


@pytest.mark.slow
def test_three_kinds_of_descent_reach_the_same_minimum(tmp_path):
    metrics, events = run(descent, tmp_path, "--epochs", "30")
    losses = [metrics[f"{kind}_loss_train"] for kind in ("batch", "stochastic", "mini-batch")]
    assert max(losses) < 1.03 * min(losses) < 0.5
    assert metrics["batch_updates"] < metrics["mini-batch_updates"] < metrics["stochastic_updates"]
    assert events.Tags()["images"] == ["three kinds of descent"]
    of_batch = run_of(tmp_path, "descent=batch")
    assert CURVES | {"learning rate", "loss/step"} <= set(of_batch.Tags()["scalars"])
    assert {"parameters/weight", "gradients/weight"} <= set(of_batch.Tags()["histograms"])
    assert of_batch.Tags()["graph"]
    assert has_its_line_in_the_table(of_batch)
    assert [event.step for event in run_of(tmp_path, "descent=stochastic").Scalars("loss/train")][:2] == [0, 265]


def test_each_kind_needs_a_learning_rate_of_its_own(tmp_path):
    """The rate of batch descent makes stochastic descent stray from the minimum."""
    metrics, _ = run(descent, tmp_path, "--epochs", "5", "--stochastic-lr", "0.05")
    assert not metrics["stochastic_loss_train"] < 1.2 * metrics["mini-batch_loss_train"]


def test_the_network_written_three_ways_takes_the_same_steps(tmp_path):
    metrics, _ = run(regressor, tmp_path, "--epochs", "10", "--seeds", "1")
    assert metrics["three_ways_difference"] < 1e-4
    assert has_its_line_in_the_table(run_of(tmp_path, "layers=2-seed=0"))


@pytest.mark.slow
def test_two_layers_predict_housing_prices_better_than_one_neuron(tmp_path, real_data):
    args = ("--dataset", "boston", "--data-root", str(real_data), "--epochs", "60", "--seeds", "3")
    metrics, _ = run(regressor, tmp_path, *args)
    assert metrics["two_layers_test"] < 0.8 * metrics["one_neuron_test"]


@pytest.mark.slow
def test_two_layers_separate_what_one_cannot(tmp_path):
    metrics, _ = run(four_gaussians, tmp_path)
    assert metrics["two_layers_test"] >= 0.99
    assert 0.4 < metrics["one_layer_test"] < 0.7
    assert 0.4 < metrics["no_bias_test"] < 0.6
    assert metrics["bias_column_test"] == pytest.approx(metrics["two_layers_test"], abs=0.005)
    events = run_of(tmp_path, "model=two-layers")
    assert CURVES | {"accuracy/train", "accuracy/test"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Images("frontier")] == [12 * epoch for epoch in (0, 1, 4, 16, 64, 100)]
    assert events.Tags()["graph"]
    assert has_its_line_in_the_table(events)


def test_a_column_of_ones_is_a_bias(tmp_path):
    config = four_gaussians.Config()
    torch.manual_seed(0)
    usual = four_gaussians.two_layers(config)
    torch.manual_seed(0)
    by_hand = four_gaussians.bias_column(config)
    input = torch.randn(5, 2)
    assert torch.allclose(usual(input), by_hand(input), atol=1e-6)
    assert not any(name.endswith("bias") for name in by_hand.state_dict())


def test_without_biases_the_logit_changes_sign_with_the_point():
    model = four_gaussians.no_bias(four_gaussians.Config())
    input = torch.randn(5, 2)
    assert torch.allclose(model(-input), -model(input))
    assert not torch.allclose(four_gaussians.two_layers(four_gaussians.Config())(-input), -model(input))


@pytest.mark.slow
def test_three_kinds_of_descent_on_the_four_gaussians(tmp_path):
    metrics, _ = run(three_descents, tmp_path, "--seeds", "1", "--epochs", "25")
    for kind in ("stochastic", "mini-batch", "batch"):
        assert metrics[f"{kind}_accuracy_test"] > 0.98
        assert run_of(tmp_path, f"descent={kind}-seed=0").Tags()["images"] == ["frontier"]
    assert metrics["mini-batch_updates"] < metrics["stochastic_updates"]
    assert metrics["batch_updates"] is None  # 25 updates are not enough
    assert metrics["batch_seconds"] < metrics["stochastic_seconds"]


@pytest.mark.slow
def test_the_table_of_the_checkerboard(tmp_path, capsys):
    metrics, events = run(checkerboard, tmp_path, "--settings", "3", "10", "70", "10", "5", "1", "--seeds", "2")
    assert metrics["70, 10_train"] != metrics["3, 10_train"]
    printed = capsys.readouterr().out
    assert "| 70, 10 | – | – | 0." in printed
    assert "table/text_summary" in events.Tags()["tensors"]
    of_three = run_of(tmp_path, "iterations=03-batches=10").Scalars("accuracy/test")
    assert [event.step for event in of_three] == [0, 10, 30]  # looks at epochs 0, 1 and 3
    assert len(run_of(tmp_path, "iterations=70-batches=10").Images("frontier")) == 6
    runs = json.loads((tmp_path / "run" / "config.json").read_text())["config"]["settings"]
    assert runs == [[3, 10], [70, 10], [5, 1]]


@pytest.mark.slow
def test_a_learning_rate_that_diverges_is_recognised(tmp_path):
    metrics, _ = run(learning_rate, tmp_path, "--iterations", "20", "--seeds", "2", "--evaluate-every", "20")
    diverging = {lr: metrics[f"{lr}_diverging"] for lr in ("0.1", "0.01", "0.001")}
    assert diverging == {"0.1": 2, "0.01": 0, "0.001": 0}


@pytest.mark.slow
def test_depth_order_and_activation_are_compared(tmp_path, capsys):
    metrics, _ = run(depth, tmp_path, "--iterations", "20", "--seeds", "1", "--relu-lr", "0.003", "0.001")
    assert metrics["relu_lr"] in (0.003, 0.001)
    assert "| two layers | 0.600 | 0.600 |" in capsys.readouterr().out
    assert len(network(4, 48, "tanh")) == 7
    assert [type(layer).__name__ for layer in network(2, 5, "relu")] == ["Linear", "ReLU", "Linear"]
    assert Setting().layers == 4


@pytest.mark.slow
def test_the_best_setting_beats_the_reported_one(tmp_path):
    """Chosen on validation, measured on test, mean of five seeds."""
    metrics, _ = run(checkerboard, tmp_path)
    assert metrics["best_train"] > 0.906
    assert metrics["best_test"] > 0.782
