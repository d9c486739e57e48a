import numpy as np
import pytest
import torch

from amal import data
from amal.data import Split
from amal.errors import UserError

TOYS = [data.two_gaussians, data.four_gaussians, data.checkerboard, data.noisy_line, data.random_regression]
every_toy = pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.__name__)


def parts(splits):
    return splits.train, splits.validation, splits.test


def everything(splits):
    return [torch.cat([getattr(part, name) for part in parts(splits)]) for name in ("input", "target")]


@every_toy
def test_toys_depend_on_the_seed_and_on_nothing_else(toy):
    first = toy(seed=3)
    torch.manual_seed(99)
    again, other = toy(seed=3), toy(seed=4)
    assert torch.equal(first.train.input, again.train.input)
    assert torch.equal(first.test.target, again.test.target)
    assert not torch.equal(first.train.input, other.train.input)


@every_toy
def test_toys_have_the_shapes_they_say(toy):
    for part in parts(toy()):
        assert part.input.dtype == part.target.dtype == torch.float32
        assert len(part.input) == len(part.target) == len(part)
        assert part.input.dim() == part.target.dim() == 2


@pytest.mark.parametrize("toy", TOYS[:4], ids=lambda toy: toy.__name__)
def test_toys_are_cut_60_20_20(toy):
    assert [len(part) for part in parts(toy(n=500))] == [300, 100, 100]


@pytest.mark.parametrize(
    ("toy", "centres"),
    [
        (data.two_gaussians, {(1, 1): 1, (-1, -1): -1}),
        (data.four_gaussians, {(1, 1): 1, (-1, -1): 1, (-1, 1): -1, (1, -1): -1}),
    ],
)
def test_gaussians_lie_where_the_course_puts_them(toy, centres):
    points, labels = everything(toy(n=20_000, variance=0.1, noise=0.02))
    for (x, y), label in centres.items():
        around = (points.sign() == torch.tensor([x, y])).all(1)
        assert around.float().mean() == pytest.approx(1 / len(centres), abs=0.01)
        assert (labels[around] == label).float().mean() > 0.99
        assert points[around].mean(0).tolist() == pytest.approx([x, y], abs=0.02)
        assert points[around].var(0).tolist() == pytest.approx([0.1004] * 2, rel=0.06)


def test_checkerboard_is_the_parity_of_the_cell():
    points, labels = everything(data.checkerboard(n=20_000, noise=0))
    assert points.abs().max() <= 4
    assert set(labels.flatten().tolist()) == {-1, 1}
    odd = points.double().ceil().sum(1).remainder(2) == 1
    assert torch.equal(labels[:, 0] == 1, odd)
    cells = {tuple(cell) for cell in points.ceil().int().tolist()}
    assert len(cells) == 64


def test_noisy_line_explains_about_half():
    x, y = everything(data.noisy_line(n=20_000))
    residual = y - 2 * x - 1
    assert 1 - float(residual.var() / y.var()) == pytest.approx(0.5, abs=0.03)


def test_random_regression_has_the_sheets_shapes():
    train = data.random_regression().train
    assert train.input.shape == (50, 13)
    assert train.target.shape == (50, 3)


def test_the_cut_depends_on_the_seed():
    points = torch.arange(50.0).unsqueeze(1)
    first, again, other = (data.splits.cut(points, points, seed).test.input.flatten().tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert data.diabetes(0).test.target.tolist() != data.diabetes(1).test.target.tolist()


def test_all_splits_move_together():
    moved = data.two_gaussians().to("cpu", torch.float64)
    assert all(tensor.dtype == torch.float64 for part in parts(moved) for tensor in (part.input, part.target))


def test_no_example_is_in_two_splits_and_none_is_lost():
    points, _ = everything(data.two_gaussians(n=503))
    assert len(points) == 503
    assert len(points.unique(dim=0)) == 503


def test_standardisation_sees_the_training_split_only():
    splits = data.Splits(*(Split(torch.randn(40, 3) * scale + scale, torch.zeros(40, 1)) for scale in (2.0, 5.0, 9.0)))
    scaled = data.standardize(splits)
    assert scaled.train.input.mean(0).abs().max() < 1e-5
    assert scaled.train.input.std(0, correction=0).tolist() == pytest.approx([1] * 3, abs=1e-5)
    mean, deviation = splits.train.input.mean(0), splits.train.input.std(0, correction=0)
    assert torch.allclose(scaled.test.input, (splits.test.input - mean) / deviation)
    assert scaled.test.input.mean(0).abs().min() > 1  # scaled by itself it would be 0


def test_standardisation_centres_a_constant_column():
    constant = Split(torch.full((4, 1), 7.0), torch.zeros(4, 1))
    assert torch.equal(data.standardize(data.Splits(constant, constant, constant)).test.input, torch.zeros(4, 1))


def test_diabetes():
    splits = data.diabetes()
    assert [len(part) for part in parts(splits)] == [265, 88, 89]
    assert splits.train.input.shape[1] == 10
    assert splits.train.input.mean(0).tolist() == pytest.approx([0] * 10, abs=1e-5)
    assert splits.train.input.std(0, correction=0).tolist() == pytest.approx([1] * 10, abs=1e-5)
    assert everything(splits)[1].mean().item() == pytest.approx(152.13, abs=0.01)


def test_boston_housing(real_data):
    splits = data.boston_housing(real_data)
    _, price = everything(splits)
    assert len(price) == 506
    assert price.mean().item() == pytest.approx(22.53, abs=0.005)
    assert splits.train.input.shape[1] == 13


def test_missing_boston_housing_says_where_to_put_it(tmp_path):
    with pytest.raises(
        UserError, match=r"housing/housing\.data, which is not there: .*--dataset diabetes needs no file"
    ):
        data.boston_housing(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "one byte changed", "empty", "of text"])
def test_damaged_boston_housing_is_refused(tmp_path, damage):
    rows = (" 0.1" * 13 + " 24.0\n") * 506
    content = {"truncated": rows[:1000], "one byte changed": rows.replace("2", "3", 1), "empty": "", "of text": "hello"}
    path = tmp_path / "housing" / "housing.data"
    path.parent.mkdir()
    path.write_text(content[damage])
    with pytest.raises(UserError, match=r"is not the original housing\.data or is damaged \(\d+ bytes, expected 49082"):
        data.boston_housing(tmp_path)


def test_one_changed_byte_of_the_real_boston_housing_is_seen(tmp_path, real_data):
    content = bytearray((real_data / "housing" / "housing.data").read_bytes())
    content[10_000] ^= 1
    (tmp_path / "housing").mkdir()
    (tmp_path / "housing" / "housing.data").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        data.boston_housing(tmp_path)


def test_a_folder_in_place_of_boston_housing_is_refused(tmp_path):
    (tmp_path / "housing" / "housing.data").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be read"):
        data.boston_housing(tmp_path)


def test_draws_for_different_purposes_differ():
    draws = {float(torch.rand((), generator=data.generator(0, purpose))) for purpose in ("points", "cut", "epoch")}
    assert len(draws) == 3
    assert np.isfinite(list(draws)).all()
