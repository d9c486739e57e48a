"""What the scripts of TME 3 find, and what they write down."""

import contextlib
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from killing import differing, newest_step, remains
from running import ROOT, command, events_of, run
from torch import nn

from amal.nn import lenet
from amal.optim import SGD
from amal.plots import confusion_matrix, image_grid
from tme3 import (
    classifier,
    convolution,
    data_loader,
    latent_classifier,
    parameters,
    perceptron_to_mlp,
    reference_example,
)
from tme3._images import accuracy, caption, one_cycle


def test_a_caption_says_which_is_the_truth():
    assert caption("8", "1") == "is 8,\nseen as 1"
    assert caption("8", "8") == "is 8"


def test_an_mlp_reads_digits(tmp_path):
    metrics, events = run(classifier, tmp_path)
    assert metrics["accuracy_test"] >= 0.965
    tags = events.Tags()
    assert {"errors/confusion", "errors/worst"} <= set(tags["images"])
    assert {f"precision and recall/class {digit}" for digit in range(10)} <= set(tags["tensors"])
    assert {"loss/train", "loss/validation", "loss/test", "accuracy/validation", "learning rate"} <= set(
        tags["scalars"]
    )
    assert tags["graph"]
    rows = np.loadtxt(tmp_path / "run" / "projector" / "points.tsv")
    labels = (tmp_path / "run" / "projector" / "labels.tsv").read_text().split()
    assert rows.shape == (len(labels), 256)
    assert set(labels) == set("0123456789")
    assert (tmp_path / "run" / "projector" / "sprite.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_non_linearity_makes_hidden_layers_worth_it(tmp_path):
    metrics, events = run(perceptron_to_mlp, tmp_path, "--epochs", "12")
    assert metrics["one hidden layer, tanh_test"] > metrics["perceptron_test"] + 0.02
    assert metrics["two hidden layers, relu_test"] >= 0.95
    assert {"accuracy", "learning curves"} <= set(events.Tags()["images"])


@pytest.mark.slow
def test_convolutions_learn_from_a_few_images_and_show_their_filters(tmp_path):
    metrics, _ = run(convolution, tmp_path, "--examples", "100", "--epochs", "30", "--models", "Conv1d", "Conv2d")
    assert min(metrics["Conv1d_train"], metrics["Conv2d_train"]) >= 0.94  # what is reported
    assert metrics["Conv2d_test"] > 0.8
    pictures = set(events_of(tmp_path / "run" / "model=Conv2d").Tags()["images"])
    assert {"filters/weights", "filters/vertical stroke", "filters/horizontal stroke"} <= pictures
    assert not any("filters" in tag for tag in events_of(tmp_path / "run" / "model=Conv1d").Tags()["images"])


@pytest.mark.slow
def test_the_settings_of_the_documents_are_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(convolution, "TABLE", ((1, 2, 1e-1, "0.571 / 0.5"), (20, 6, 1e-1, "0.571 / 0.5")))
    metrics, _ = run(convolution, tmp_path, "--table", "--examples", "200")
    assert metrics["1 batches, lr 0.1_test"] < 0.5 < metrics["20 batches, lr 0.1_test"]  # 2 steps, and 120
    rates = events_of(tmp_path / "run" / "batches=20-lr=0.1").Scalars("learning rate")
    assert {round(event.value, 6) for event in rates} == {0.1}


@pytest.mark.slow
def test_the_example_reads_digits_and_its_rate_falls_after_each_epoch(tmp_path):
    metrics, _ = run(reference_example, tmp_path, "--epochs", "4", "--variants", "the example", "without dropout")
    assert min(metrics.values()) > 0.9
    rates = [event.value for event in events_of(tmp_path / "run" / "variant=the-example").Scalars("learning rate")]
    assert rates == pytest.approx([1, 0.7, 0.49, 0.343, 0.2401])


def test_everything_is_the_training_and_the_validation_set(tmp_path):
    args = ("--epochs", "1", "--variants", "the example")
    run(reference_example, tmp_path, "--everything", *args)
    [*_, last] = events_of(tmp_path / "run" / "variant=the-example").Scalars("loss/test")
    assert last.step == -(-(1078 + 359) // 64)


def test_a_standard_is_that_of_the_images_it_was_made_of():
    images = torch.rand(5, 1, 4, 4)
    standard = reference_example.Standardize(images)(images)
    torch.testing.assert_close((standard.mean(), standard.std()), (torch.tensor(0.0), torch.tensor(1.0)))


@pytest.mark.slow
def test_codes_know_the_classes(tmp_path):
    metrics, events = run(latent_classifier, tmp_path, "--epochs", "8")
    assert metrics["codes, tanh_test"] > 0.8
    assert metrics["codes, tanh_train"] > 0.647  # what is reported
    assert "accuracy" in events.Tags()["images"]
    assert "autoencoder reconstructions" in events_of(tmp_path / "run" / "autoencoder").Tags()["images"]
    assert "errors/worst" in events_of(tmp_path / "run" / "given=codes-activation=tanh").Tags()["images"]


@pytest.mark.slow
def test_codes_without_a_trained_encoder_know_less(tmp_path, monkeypatch):
    """One code for all images, to see that the accuracy comes from the codes."""
    monkeypatch.setattr(latent_classifier, "codes_of", lambda coder, input: input.new_zeros(len(input), 30))
    metrics, _ = run(latent_classifier, tmp_path, "--epochs", "2")
    assert metrics["codes, tanh_test"] < 0.2


def test_principal_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    images = torch.randn(50, 1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = latent_classifier.principal_components(images, 5)(images)
    theirs = torch.from_numpy(PCA(5).fit_transform(images.flatten(1).numpy()))
    torch.testing.assert_close(ours.abs(), theirs.abs())


def test_the_options_of_a_data_loader_do_what_they_say(tmp_path, capsys):
    metrics, _ = run(data_loader, tmp_path, "--workers", "1")
    batches = {name.removesuffix(", batches"): n for name, n in metrics.items() if name.endswith("batches")}
    assert batches == {
        "in order": 34,
        "shuffle": 34,
        "shuffle, drop_last": 33,
        "shuffle, batches of 500": 3,
        "shuffle, num_workers=1": 34,
        "rows of one tensor": 34,
    }
    table = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[3] for row in table[1:]] == ["yes", *["no"] * 5]


def test_strokes_are_seen_by_the_filter_made_for_them():
    from amal.functional import conv2d

    strokes = convolution.strokes()
    edge = torch.tensor([[-1.0, 0, 1]] * 3).reshape(1, 1, 3, 3)
    across = {name: float(conv2d(stroke, edge).abs().sum()) for name, stroke in strokes.items()}
    assert across["vertical"] > 2 * across["horizontal"]


def test_the_formulas_count_what_the_modules_have(tmp_path):
    metrics, _ = run(parameters, tmp_path)
    assert metrics["perceptron_parameters"] == 784 * 10 + 10
    assert metrics["LeNet_parameters"] == sum(p.numel() for p in lenet((1, 28, 28), 10).parameters())


def test_a_wrong_formula_is_seen(tmp_path, monkeypatch, capsys):
    """Without the biases, the formulas do not give what the modules have."""
    right = parameters.by_formula
    monkeypatch.setattr(parameters, "by_formula", lambda *a: [(n, p - 1, m) for n, p, m in right(*a)])
    with pytest.raises(SystemExit):
        run(parameters, tmp_path)
    assert "perceptron: the formulas give 7849 parameters and 7840 products, the modules" in capsys.readouterr().err


def test_every_image_and_every_confusion_is_drawn():
    images = torch.rand(10, 1, 5, 4)
    panels = [axes for axes in image_grid(images, [str(n) for n in range(10)], "ten").axes if axes.images]
    assert [axes.get_title() for axes in panels] == [str(n) for n in range(10)]
    assert all(
        torch.equal(torch.tensor(axes.images[0].get_array()), image[0])
        for axes, image in zip(panels, images, strict=True)
    )
    target, predicted = torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 0, 1, 1, 0])
    [axes] = confusion_matrix(target, predicted, ["a", "b", "c"], "three").axes
    texts = {(text.get_position(), text.get_text()) for text in axes.texts}
    assert texts == {((0, 0), "66.7"), ((1, 0), "33.3"), ((1, 1), "100"), ((0, 2), "100")}


def test_the_rate_of_one_cycle_rises_to_its_peak_and_falls_to_nothing():
    optimizer = SGD(nn.Linear(1, 1).parameters(), 3.0)
    schedule, rates = one_cycle(optimizer, 50), []
    for _ in range(60):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    peak = rates.index(max(rates))
    assert 8 <= peak <= 12
    assert 2.8 < rates[peak] <= 3.0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[50:] == [0.0] * 10


def test_the_class_with_the_greatest_logit_counts():
    assert accuracy(torch.eye(4)[[0, 1, 2, 2]], torch.arange(4)) == 0.75


@pytest.mark.slow
@pytest.mark.skipif("AMAL_DATA" not in os.environ, reason="AMAL_DATA is not set: no real MNIST")
def test_a_run_on_mnist_that_is_killed_three_times_ends_as_if_it_had_not_been(tmp_path):
    args = ["--dataset", "mnist", "--epochs", "3", "--dropout", "0.2", "--shift", "1", "--checkpoint-every", "50"]
    args += ["--data-root", os.environ["AMAL_DATA"], "--no-progress"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert command("tme3.classifier", *args, "--run-dir", str(whole)).returncode == 0
    program = [sys.executable, "-m", "tme3.classifier", *args, "--run-dir", str(killed), "--resume"]
    for step in (200, 700, 1300):
        with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            while newest_step(killed) < step:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    raise AssertionError(f"it has ended, with status {process.wait(0.01)}")
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert step <= newest_step(killed) < 1650
    assert subprocess.run(program, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert differing(remains(whole), remains(killed)) == []
