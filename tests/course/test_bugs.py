"""The galleries of bugs: wrong versions show their symptoms, right ones do not, and the assertions tell them apart."""

import math
import re

import pytest
import torch
from running import events_of, run

import tme1.bugs
import tme2.bugs
import tme3.bugs
from amal.course.bugs import Comparison, Version, run_bugs
from amal.data import digits, noisy_line, random_regression
from amal.errors import UserError
from amal.functional import cross_entropy, linear, mse_loss
from amal.nn import BatchNorm1d, Highway, Softmax, mlp
from amal.optim import Adam
from amal.training import NullLogbook, RunConfig, train_step
from tme1._closed_form import least_squares, with_ones
from tme1._mistakes import BiasNotSummed, SwappedSigns
from tme2._tables import TableConfig
from tme3._mistakes import DrawnTied, LinearCarry, ZeroTied, mean_in_training_mode

BRIEFLY = {
    tme1.bugs: tme1.bugs.Config(steps=1000),
    tme2.bugs: tme2.bugs.Config(epochs=30),
    tme3.bugs: tme3.bugs.Config(epochs=4, highway_epochs=2),
}
NOISE = random_regression().to("cpu", torch.float64)
LEAST = tme1.bugs.error(NOISE.train, *least_squares(NOISE.train))
FLOOR = math.log(1 + 9 / math.e)
SYMPTOMS = {
    (tme1.bugs, "bias not summed"): lambda m: m["loss on train"] < LEAST / 10 and m["numbers in the bias"] == 150,
    (tme1.bugs, "signs swapped"): lambda m: m["loss on train"] > 1000,
    (tme1.bugs, "squeeze broadcasts"): lambda m: m["R² on test"] < 0.01 and abs(m["slope of the line"]) < 1e-3,
    (tme1.bugs, "gradients not zeroed"): lambda m: m["greatest loss of the second half"] > 3,
    (tme2.bugs, "gradients not zeroed"): lambda m: m["greatest loss of an epoch"] > 2,
    (tme2.bugs, "test set scaled by itself"): lambda m: (
        m["loss on the heaviest third"] > 1 and m["a prediction moves in other company by"] > 0.5
    ),
    (tme2.bugs, "last batch for the epoch"): lambda m: (
        m["least loss logged"] < 0.3 and m["spread of the second half"] > 0.1
    ),
    (tme3.bugs, "softmax twice"): lambda m: m["loss on train"] > FLOOR,
    (tme3.bugs, "tied weights at zero"): lambda m: (
        m["loss on test"] > 0.98 * m["loss of the mean image"] and m["greatest entry of W"] == 0
    ),
    (tme3.bugs, "carry path as a Linear"): lambda m: m["accuracy on test"] < 0.2,
    (tme3.bugs, "evaluated in training mode"): lambda m: m["accuracy on test sorted by class"] < 0.6,
}
"""Gallery and bug -> whether what is measured shows it."""


@pytest.mark.one_in(2)
@pytest.mark.parametrize(("gallery", "bug"), SYMPTOMS, ids=lambda value: getattr(value, "__name__", value))
def test_the_wrong_version_shows_the_symptom_and_the_right_one_does_not(gallery, bug):
    comparison = gallery.BUGS[bug](BRIEFLY[gallery])
    shows = SYMPTOMS[gallery, bug]
    assert shows(comparison.wrong.measures)
    assert not shows(comparison.right.measures)
    assert comparison.wrong.measures.keys() == comparison.right.measures.keys()
    lengths = {len(values) for version in (comparison.wrong, comparison.right) for values in version.curves.values()}
    assert len(lengths) == 1


def test_every_bug_has_a_symptom_here_and_says_what_it_is():
    assert SYMPTOMS.keys() == {(gallery, bug) for gallery in BRIEFLY for bug in gallery.BUGS}
    for gallery, config in BRIEFLY.items():
        assert config.bugs == tuple(gallery.BUGS)
        for bug in gallery.BUGS.values():
            assert re.search(r"^Symptom: .+^Cause: .+^Seen by: ", bug.__doc__.replace("\n    ", "\n"), re.M | re.S)


# ---------------------------------------------------------------------------------- what the sheets derive


def test_a_bias_for_each_example_learns_any_noise_at_the_rate_that_the_sheet_derives():
    """R ← (I - 2ε/q (X Xᵀ + I)) R: no direction of the residual is left out, and the slowest shrinks by 1 - 2ε/q."""
    config = tme1.bugs.Config(steps=300)
    steps = [*tme1.bugs.descend(NOISE.train, BiasNotSummed, tme1.bugs.MSEFunction, config, config.steps)]
    input, q = NOISE.train.input, len(NOISE.train)
    residual = linear(input, *steps[0]) - NOISE.train.target
    shrinks = torch.eye(q) - 2 * config.lr / q * (input @ input.mT + torch.eye(q))
    predicted = (torch.linalg.matrix_power(shrinks, config.steps) @ residual).square().sum() / q
    assert tme1.bugs.error(NOISE.train, *steps[-1]) == pytest.approx(float(predicted), rel=1e-6)


def test_autograd_sums_what_the_function_did_not():
    measures = tme1.bugs.bias_not_summed(tme1.bugs.Config(steps=200)).measures()
    wrong, right = measures["loss on train, autograd calls it"]
    assert wrong == pytest.approx(right, rel=1e-12)
    assert right == pytest.approx(measures["loss on train"][1], rel=1e-12)


def test_swapped_signs_climb_by_the_factor_of_the_greatest_curvature():
    config = tme1.bugs.Config(ascent=200)
    losses = tme1.bugs.signs_swapped(config).wrong.curves["loss on train"]
    curvature = 2 / len(NOISE.train) * float(torch.linalg.matrix_norm(with_ones(NOISE.train.input), 2)) ** 2
    assert losses[-1] / losses[-2] == pytest.approx((1 + config.lr * curvature) ** 2, rel=1e-3)


def test_squeezed_the_loss_ends_at_the_variance_of_the_target():
    comparison = tme1.bugs.squeeze_broadcasts(tme1.bugs.Config(line_steps=500))
    variance = float(noisy_line().train.target.var(correction=0))
    assert comparison.wrong.measures["loss that is seen"] == pytest.approx(variance, rel=1e-5)
    assert comparison.right.measures["loss that is seen"] < variance / 2


@pytest.mark.parametrize("line_lr", [0.1, 0.02])
def test_without_zeroing_waves_are_as_high_however_small_the_steps(line_lr):
    comparison = tme1.bugs.gradients_not_zeroed(tme1.bugs.Config(line_lr=line_lr, line_steps=400))
    first, *_ = comparison.wrong.curves["loss"]
    assert comparison.wrong.measures["greatest loss of the second half"] == pytest.approx(first, rel=0.05)


def test_the_floor_of_cross_entropy_behind_a_softmax():
    certain = torch.eye(10)
    assert float(cross_entropy(certain, torch.arange(10))) == pytest.approx(FLOOR, rel=1e-6)
    curve = tme3.bugs.softmax_twice(BRIEFLY[tme3.bugs]).wrong.curves["loss on train"]
    assert curve[0] == pytest.approx(math.log(10), abs=0.01)


def first_gradients(model):
    images = digits().train.input[:50]
    mse_loss(model(images), images).backward()
    return {name: bool(parameter.grad.any()) for name, parameter in model.named_parameters()}


def test_of_tied_weights_at_zero_only_the_bias_of_the_output_learns():
    assert first_gradients(ZeroTied(64, 30)) == {"weight": False, "bias": False, "output_bias": True}
    assert all(first_gradients(DrawnTied(64, 30)).values())


# ---------------------------------------------------------------------------------- the assertions of the paragraphs


@pytest.mark.parametrize(("kind", "fits"), [(BiasNotSummed, False), (tme1.bugs.LinearFunction, True)])
def test_a_bias_keeps_its_shape(kind, fits):
    (_, before), (_, after) = tme1.bugs.descend(NOISE.train, kind, tme1.bugs.MSEFunction, tme1.bugs.Config(), 1)
    assert (after.shape == before.shape) is fits


@pytest.mark.parametrize(("mse", "falls"), [(SwappedSigns, False), (tme1.bugs.MSEFunction, True)])
def test_after_a_very_small_step_the_loss_is_lower(mse, falls):
    config = tme1.bugs.Config(lr=1e-6)
    before, after = tme1.bugs.descend(NOISE.train, tme1.bugs.LinearFunction, mse, config, 1)
    assert (tme1.bugs.error(NOISE.train, *after) < tme1.bugs.error(NOISE.train, *before)) is falls


def test_mse_loss_refuses_what_broadcasts():
    with pytest.raises(ValueError, match=r"\(5,\).*\(5, 1\)"):
        mse_loss(torch.zeros(5), torch.zeros(5, 1))
    assert tme1.bugs.squeezed_mse_loss(torch.zeros(5, 1), torch.zeros(5, 1)) == 0  # and says nothing


@pytest.mark.parametrize(("step", "empty"), [(tme2.bugs.step_without_zero_grad, False), (train_step, True)])
def test_gradients_are_none_before_backward(step, empty):
    emptiness = []

    def loss(prediction, target):
        emptiness.append(all(parameter.grad is None for parameter in model.parameters()))
        return mse_loss(prediction, target)

    model = tme2.bugs.network(0)
    for _ in range(2):
        step(model, loss, torch.ones(3, 10), torch.ones(3, 1), tme2.bugs.SGD(model.parameters(), 0.1))
    assert emptiness == [True, empty]


def test_what_an_example_is_scaled_to_depends_on_the_training_set_only():
    data = TableConfig().load(0)
    one = tme2.bugs.Split(data.test.input[:1], data.test.target[:1])
    right = [tme2.bugs.scaled(split, standard=data.train).input[:1] for split in (one, data.test)]
    wrong = [tme2.bugs.scaled(split, standard=split).input[:1] for split in (one, data.test)]
    assert torch.equal(*right)
    assert not torch.equal(*wrong)
    assert wrong[0].isnan().all()


def test_logits_do_not_add_up_to_one():
    logits = mlp((1, 8, 8), 10)(digits().train.input)
    assert not logits.sum(1).allclose(torch.ones(1))
    assert logits.softmax(1).sum(1).allclose(torch.ones(1))


@pytest.mark.parametrize(("layer", "carries"), [(LinearCarry(5, -100.0), False), (Highway(5, gate_bias=-100.0), True)])
def test_a_shut_highway_carries_its_input(layer, carries):
    input = torch.randn(7, 5)
    assert layer(input).allclose(input) is carries


def test_a_look_in_training_mode_moves_the_statistics_and_cannot_look_at_one_image():
    test = digits().test
    model = torch.nn.Sequential(torch.nn.Flatten(), BatchNorm1d(64), torch.nn.Linear(64, 10))
    accuracy = tme3.bugs.accuracy
    before = model[1].running_mean.clone()
    tme3.bugs.look(accuracy, test)(model)
    assert torch.equal(model[1].running_mean, before)
    mean_in_training_mode(model, accuracy, test, 30)
    assert not torch.equal(model[1].running_mean, before)
    with pytest.raises(ValueError, match="batch_norm"):
        mean_in_training_mode(model, accuracy, test, 1)


@pytest.mark.parametrize(
    ("make", "loss", "floor"),
    [
        (lambda: torch.nn.Sequential(mlp((1, 8, 8), 10), Softmax(1)), cross_entropy, FLOOR),
        (lambda: mlp((1, 8, 8), 10), cross_entropy, 0),
        (lambda: ZeroTied(64, 30), mse_loss, 0.06),
        (lambda: DrawnTied(64, 30), mse_loss, 0),
    ],
    ids=["softmax twice", "logits", "weights at zero", "weights drawn"],
)
def test_ten_images_are_learnt_by_heart(make, loss, floor):
    ten, model = digits().train, make()
    target = ten.target[:10] if loss is cross_entropy else ten.input[:10]
    optimizer = Adam(model.parameters(), 0.05)
    for _ in range(200):
        last = train_step(model, loss, ten.input[:10], target, optimizer).item()
    assert floor <= last < floor + 0.02


# ---------------------------------------------------------------------------------- the gallery


def test_wrong_and_right_share_their_charts(tmp_path, capsys):
    metrics, events = run(tme1.bugs, tmp_path, "--bugs", "squeeze broadcasts", "--line-steps", "20")
    assert metrics["squeeze broadcasts, R² on test_wrong"] < 0.01 < metrics["squeeze broadcasts, R² on test_right"]
    for version in ("wrong", "right"):
        curves = events_of(tmp_path / "run" / version)
        tags = [tag for tag in curves.Tags()["scalars"] if not tag.startswith("result/")]
        assert tags == ["squeeze broadcasts/loss that is seen"]
        [slope] = curves.Scalars("result/squeeze broadcasts, slope of the line")
        assert slope.value == pytest.approx(metrics[f"squeeze broadcasts, slope of the line_{version}"])
        assert len(curves.Scalars("squeeze broadcasts/loss that is seen")) == 21
    assert events.Tags()["images"] == ["squeeze broadcasts/lines"]
    assert {"squeeze broadcasts/text_summary", "table/text_summary"} <= set(events.Tags()["tensors"])
    printed = capsys.readouterr().out
    assert re.search(r"^SQUEEZE BROADCASTS\nSymptom: .+^Cause: .+^Seen by: ", printed, re.M | re.S)
    assert re.search(r"^\| squeeze broadcasts \| R² on test +\| -?\d.* \| 0\.\d+ +\|$", printed, re.M)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_measure_that_is_no_number_is_told(value, tmp_path):
    def bug(config):
        """Symptom: none."""
        return Comparison(Version({"loss": value}, {}), Version({"loss": 1.0}, {}))

    with pytest.raises(UserError, match=rf"a bug: loss is {value} / 1: try lower learning rates"):
        run_bugs({"a bug": bug}, RunConfig(), NullLogbook(tmp_path))
