"""What the scripts of TME 3 on codes find, and what they write down."""

import json

import pytest
import torch
from running import events_of, run

from amal.data import digits
from amal.nn import Autoencoder, Denoising, Highway, highway_network, mlp
from amal.plots import image_rows, points_by_class, shades, values_over
from tme3 import _codes, autoencoder, highway, interpolation, latent

# ---------------------------------------------------------------------------------- autoencoders


@pytest.mark.slow
def test_codes_keep_digits_better_the_longer_they_are(tmp_path, capsys):
    metrics, events = run(autoencoder, tmp_path, "--models", "10", "30", "30 untied", "--code", "linear")
    assert metrics["30_test"] < 0.008 < metrics["10_test"] < 0.03
    assert metrics["10_pca"] > metrics["30_pca"]
    assert {"errors", "reconstructions"} <= set(events.Tags()["images"])
    child = events_of(tmp_path / "run" / "sizes=30").Tags()
    assert {"weights", "reconstructions"} <= set(child["images"])
    assert {"code", "parameters/encoder.1.Linear.weight"} <= set(child["histograms"])
    assert {"mse/train", "mse/test", "bce/test", "loss/validation"} <= set(child["scalars"])
    rows = {line.split(" | ")[0]: line.split(" | ") for line in capsys.readouterr().out.splitlines()}
    assert rows["| 30"][1] == "0.0236 / 0.0234"
    assert [rows[name][6] for name in ("| 30", "| 30 untied")] == [f"{64 * 30 + 94}", f"{2 * 64 * 30 + 94}"]


@pytest.mark.slow
def test_a_model_that_is_trained_otherwise_is_that_of_the_option(tmp_path):
    metrics = {}
    for name, options in {
        "named": ["--models", "8", "8 bce", "8 noise", "8 binarized"],
        "bce": ["--models", "8", "--loss", "bce"],
        "noise": ["--models", "8", "--noise", "gaussian"],
        "binarized": ["--models", "8", "--binarize"],
    }.items():
        metrics[name], _ = run(autoencoder, tmp_path / name, *options, "--epochs", "2")
    for change in ("bce", "noise", "binarized"):
        for measure in ("train", "test", "pca"):
            assert metrics["named"][f"8 {change}_{measure}"] == metrics[change][f"8_{measure}"], (change, measure)
        assert metrics["named"][f"8 {change}_train"] != metrics["named"]["8_train"]


def test_a_pca_of_scikit_learn_leaves_the_errors_that_are_printed():
    from sklearn.decomposition import PCA

    data = digits(0)
    errors = _codes.pca_errors(data, [10, 3, 64, 500])
    train, test = (part.input.flatten(1).double().numpy() for part in (data.train, data.test))
    for count in (3, 10):
        fitted = PCA(count, svd_solver="full").fit(train)
        error = ((fitted.inverse_transform(fitted.transform(test)) - test) ** 2).mean()
        assert errors[count] == pytest.approx(error, rel=1e-3)
    assert errors[64] == pytest.approx(0, abs=1e-6)
    assert list(errors) == [3, 10, 64]


@pytest.mark.slow
def test_a_denoising_autoencoder_undoes_noise_that_another_keeps(tmp_path):
    errors = {}
    for noise in ("gaussian", "none"):
        (tmp_path / noise).mkdir()
        args = ["--models", "30", "--code", "linear", "--noise", noise, "--sigma", "0.4", "--epochs", "10"]
        errors[noise], _ = run(autoencoder, tmp_path / noise, *args)
    assert errors["gaussian"]["30_denoised"] < 0.25 * 0.4**2
    assert errors["none"]["30_test"] < errors["gaussian"]["30_test"]
    assert "30_denoised" not in errors["none"]


def test_without_noise_in_training_none_is_undone(tmp_path, monkeypatch):
    """The same run, its wrapper adding nothing: the test above would see it."""
    monkeypatch.setattr(Denoising, "forward", lambda self, input: self.model(input))
    args = ["--models", "30", "--code", "linear", "--noise", "gaussian", "--sigma", "0.4", "--epochs", "10"]
    assert run(autoencoder, tmp_path, *args)[0]["30_denoised"] > 0.25 * 0.4**2


def test_binarized_pixels_are_0_or_1_and_nothing_else_changes():
    config = autoencoder.Config(binarize=True)
    data, before = config.load(0, "cpu"), digits(0)
    for part in ("train", "validation", "test"):
        ours, theirs = getattr(data, part), getattr(before, part)
        assert set(ours.input.unique().tolist()) == {0.0, 1.0}
        assert float((ours.input - theirs.input).abs().max()) <= 0.5
        assert torch.equal(ours.target, theirs.target)


@pytest.mark.slow
def test_the_loss_that_is_trained_on_is_the_lower_one(tmp_path):
    metrics = {}
    for loss in ("mse", "bce"):
        (tmp_path / loss).mkdir()
        metrics[loss], _ = run(autoencoder, tmp_path / loss, "--models", "10", "--loss", loss, "--binarize")
    assert metrics["bce"]["10_bce"] < metrics["mse"]["10_bce"]


def test_a_saturated_wrong_pixel_has_a_gradient_with_the_cross_entropy_of_logits():
    logits, target = torch.tensor([-200.0, 200.0], requires_grad=True), torch.tensor([1.0, 0.0])
    slopes = {name: torch.autograd.grad(loss(logits, target), logits)[0] for name, loss in _codes.LOSSES.items()}
    torch.testing.assert_close(slopes["bce"], torch.tensor([-0.5, 0.5]))
    assert not slopes["mse"].any()


def test_the_name_of_an_autoencoder_says_what_it_is():
    config = autoencoder.Config(code="tanh", hidden="silu")
    model = _codes.autoencoder("20-5 untied", digits(0), config)
    assert [type(layer).__name__ for layer in model.encoder] == ["Flatten", "Linear", "SiLU", "Linear", "Tanh"]
    assert [type(layer).__name__ for layer in model.decoder] == ["Linear", "SiLU", "Linear", "Unflatten"]
    assert _codes.sizes_of("20-5 untied") == (20, 5)


# ---------------------------------------------------------------------------------- interpolation


@pytest.mark.slow
def test_what_lies_halfway_between_codes_is_nearer_to_digits_than_between_pixels(tmp_path):
    metrics, events = run(interpolation, tmp_path, "--epochs", "16", "--evaluate-every", "4")
    assert metrics["of real ones"] < metrics["in code"] < metrics["in pixels"]
    assert "halfway" in events.Tags()["images"]
    assert len(events.Images("interpolation")) == 6  # after epochs 0, 1, 4, 8, 12, 16


def test_decoded_noise_is_farther(tmp_path, monkeypatch):
    monkeypatch.setattr(interpolation, "codes_of", lambda model, images: 3 * torch.randn(len(images), 30))
    metrics, _ = run(interpolation, tmp_path, "--epochs", "4")
    assert metrics["in code"] > metrics["in pixels"]


def test_mixtures_go_from_one_image_to_the_other():
    one, other = torch.rand(2, 1, 3, 4)
    mixtures = interpolation.mixtures(one, other)
    assert mixtures.shape == (11, 1, 3, 4)
    torch.testing.assert_close(mixtures[[0, 5, 10]], torch.stack([one, (one + other) / 2, other]))
    torch.testing.assert_close(mixtures[3], 0.7 * one + 0.3 * other)
    model = Autoencoder((1, 3, 4), (5,), output=None)
    decoded = interpolation.between_codes(model, one, other)
    torch.testing.assert_close(decoded[[0, 10]], _codes.reconstruction(model, torch.stack([one, other])))


def test_the_pairs_are_of_every_two_classes():
    data = digits(0)
    first, second = interpolation.pairs_of_classes(data)
    assert len(first) == len(second) == 45 * interpolation.OF_EACH
    numbers = {image.numpy().tobytes(): int(number) for image, number in zip(*vars(data.test).values(), strict=True)}
    pairs = {(numbers[a.numpy().tobytes()], numbers[b.numpy().tobytes()]) for a, b in zip(first, second, strict=True)}
    assert len(pairs) == 45
    assert all(a != b for a, b in pairs)


def test_the_nearest_image_is_found():
    images, real = torch.rand(4, 1, 3, 3), torch.rand(20, 1, 3, 3)
    wanted = (images[:, None] - real).square().mean((2, 3, 4)).min(1).values.mean()
    assert interpolation.to_nearest(images, real) == pytest.approx(float(wanted))


# ---------------------------------------------------------------------------------- highways

DEEP = ["--epochs", "8", "--width", "30", "--classifier-epochs", "6", "--depths"]


@pytest.mark.slow
def test_a_deep_highway_learns_where_a_plain_network_does_not(tmp_path):
    metrics, events = run(highway, tmp_path, *DEEP, "2", "20")
    assert metrics["highway_test"] < min(metrics["plain, as many parameters_test"], metrics["one layer_test"])
    assert metrics["highway, 20 layers_test"] > 0.7
    assert max(metrics["plain, as deep, 20 layers_test"], metrics["plain, as many parameters, 20 layers_test"]) < 0.3
    assert min(value for name, value in metrics.items() if "2 layers" in name) > 0.8
    pictures = {"autoencoder/errors", "autoencoder/reconstructions", "classifier/depth"}
    assert pictures <= set(events.Tags()["images"])
    for part, child in (("autoencoder", "network=highway"), ("classifier", "depth=20-network=highway")):
        images = events_of(tmp_path / "run" / f"part={part}-{child}").Tags()["images"]
        assert f"{part} gates" in images
    plain = events_of(tmp_path / "run" / "part=classifier-depth=20-network=plain-as-deep")
    assert "classifier gates" not in plain.Tags()["images"]


@pytest.mark.slow
def test_a_highway_without_its_carry_is_a_plain_network(tmp_path, monkeypatch):
    """The deep one does not learn then: it is the carry that the test above sees."""
    monkeypatch.setattr(Highway, "forward", lambda self, x: self.transform(x).relu() * self.gate(x).sigmoid())
    metrics, _ = run(highway, tmp_path, "--parts", "classifier", *DEEP, "20")
    assert metrics["highway, 20 layers_test"] < 0.3


def test_the_networks_compared_are_as_deep_or_have_as_many_parameters():
    deep, as_deep, as_many = (
        make()
        for make in highway.networks(
            lambda: highway_network((1, 8, 8), 10, 50, 10), lambda width: mlp((1, 8, 8), 10, [width] * 10), 50
        )
    )
    assert [layer.out_features for layer in as_deep if hasattr(layer, "out_features")] == [50] * 10 + [10]
    assert highway.parameters(as_many) == pytest.approx(highway.parameters(deep), rel=0.02)
    assert highway.parameters(as_deep) < 0.7 * highway.parameters(deep)


def test_gates_are_those_of_the_layers():
    model = highway_network((1, 4, 4), 3, width=6, depth=4)
    with torch.no_grad():
        for number, layer in enumerate(layer for layer in model if isinstance(layer, Highway)):
            layer.gate.weight.zero_()
            layer.gate.bias.copy_(torch.arange(6) - number)
    wanted = torch.stack([(torch.arange(6) - number).float().sigmoid() for number in range(3)])
    torch.testing.assert_close(highway.gates(model, torch.rand(5, 1, 4, 4)), wanted)


def test_the_law_of_he_keeps_the_size_of_what_passes():
    torch.manual_seed(0)
    images, sizes = torch.rand(20, 1, 8, 8), {}
    for law in ("torch", "he"):
        model = highway.drawn(mlp((1, 8, 8), 10, [100] * 20), law)
        hidden = model[:-1](images).detach()
        sizes[law] = float((hidden - hidden.mean(0)).norm() / images.norm())  # in what one image differs from another
    assert sizes["torch"] < 1e-3 < 0.05 < sizes["he"]


# ---------------------------------------------------------------------------------- what codes know


@pytest.mark.slow
def test_codes_fall_into_clusters_that_lie_farther_apart_than_those_of_pixels(tmp_path):
    metrics, events = run(latent, tmp_path, "--variants", "noise")
    assert metrics["noise_purity"] > 0.7  # reported: 0.6347
    assert metrics["noise_silhouette"] > 0.398 > 2 * metrics["pixels_silhouette"]  # reported: 0.398
    assert metrics["noise_inertia"] < metrics["pixels_inertia"]
    assert metrics["noise_neighbours"] > 0.85
    assert {"means", "t-SNE/classes", "t-SNE/clusters", "PCA/classes", "PCA/clusters"} <= set(events.Tags()["images"])
    folder = tmp_path / "run" / "images=noise"
    assert {"neighbours", "reconstructions"} <= set(events_of(folder).Tags()["images"])
    labels = (folder / "projector" / "labels.tsv").read_text().split()
    assert len(labels) == len((folder / "projector" / "points.tsv").read_text().splitlines()) == 360
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["measured"].startswith("digits, purity")


@pytest.mark.slow
def test_codes_of_usps_fall_into_purer_clusters_than_pixels(tmp_path, real_data):
    setting = ["--dataset", "usps", "--data-root", str(real_data), "--variants", "noise", "--sigma", "1.2"]
    metrics, _ = run(latent, tmp_path, *setting, "--loss", "bce")
    assert metrics["noise_purity"] > max(0.7, metrics["pixels_purity"])
    assert metrics["noise_silhouette"] > 0.398


def test_codes_that_are_of_other_images_know_nothing(tmp_path, monkeypatch):
    right = latent.codes_of

    def shuffled(model, images):
        return right(model, images)[torch.randperm(len(images))]

    monkeypatch.setattr(latent, "codes_of", shuffled)
    monkeypatch.setattr(latent, "draw_maps", lambda *_: None)
    metrics, _ = run(latent, tmp_path, "--variants", "original", "--epochs", "2")
    assert metrics["original_purity"] < 0.3
    assert metrics["original_neighbours"] < 0.2
    assert metrics["original_adjusted Rand"] < 0.05


def test_purity_is_counted_as_it_is_told():
    """Three heaps of 4, 4 and 2 points; in the second one point is of another class."""
    points = torch.tensor([0.0, 0.1, 0.2, 0.3, 10, 10.1, 10.2, 10.3, 20, 20.1]).unsqueeze(1)
    target = torch.tensor([0, 0, 0, 0, 1, 1, 1, 0, 2, 2])
    clusters = latent.clusters(points, target, 0)
    order = clusters.centres[:, 0].argsort()
    assert clusters.majority[order].tolist() == [0, 1, 2]
    assert clusters.purities[order].tolist() == [1, 0.75, 1]
    assert clusters.scores["purity"] == pytest.approx(0.9)
    assert clusters.scores["mean purity"] == pytest.approx(2.75 / 3)
    assert clusters.scores["inertia"] == pytest.approx(2 * 0.05 + 0.005)
    assert clusters.scores["silhouette"] > 0.9


def test_neighbours_are_the_nearest():
    train, test = torch.rand(30, 4), torch.rand(7, 4)
    wanted = (test[:, None] - train).norm(dim=2).argsort(1)[:, :5]
    assert torch.equal(latent.nearest(train, test, 5), wanted)


# ---------------------------------------------------------------------------------- pictures


def test_images_lie_in_rows_as_they_are_named():
    rows = {"one": torch.rand(3, 1, 4, 5), "other": torch.rand(2, 1, 4, 5)}
    [axes] = image_rows(rows, "two rows", ["a", "b", "c"]).axes
    picture = torch.tensor(axes.images[0].get_array())
    assert picture.shape == (2 * 5, 3 * 6)
    assert torch.equal(picture[:4, 6:11], rows["one"][1, 0])
    assert torch.equal(picture[5:9, :5], rows["other"][0, 0])
    assert not picture[5:, 12:].any()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "other"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    [axes] = image_rows({"in colour": torch.rand(3, 3, 4, 5)}, "three channels").axes
    assert axes.images[0].get_array().shape == (5, 18, 3)


def test_points_have_the_colours_of_their_classes():
    points, numbers = torch.tensor([[0.0, 0], [1, 1], [1, 2], [1, 3]]), torch.tensor([0, 2, 2, 2])
    figure = points_by_class({"a": (points, numbers), "b": (points, 2 - numbers)}, ["x", "y", "z"], "two panels")
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert {text.get_text(): text.get_position() for text in first.texts} == {"x": (0, 0), "z": (1, 2)}
    assert {text.get_text(): text.get_position() for text in second.texts} == {"z": (0, 0), "x": (1, 2)}
    assert [len(heap.get_offsets()) for heap in first.collections] == [1, 3]


def test_shades_are_counted_from_one():
    values = torch.rand(2, 5)
    axes, bar = shades(values, "title", "unit", "layer", "gate").axes
    assert torch.equal(torch.tensor(axes.images[0].get_array()), values)
    assert (axes.get_xlim(), axes.get_ylim()) == ((0.5, 5.5), (2.5, 0.5))
    assert bar.get_ylabel() == "gate"


def test_values_are_drawn_over_a_setting():
    panels = {"accuracy": {"a": {2: 0.5, 10: 0.25}, "b": {2: 1.0}}, "loss": {"a": {2: 1.0, 10: 3.0}, "b": {2: 2.0}}}
    left, right = values_over(panels, "title", "layers", ["loss"]).axes
    assert [line.get_xydata().tolist() for line in left.lines] == [[[2, 0.5], [10, 0.25]], [[2, 1]]]
    assert (left.get_yscale(), right.get_yscale()) == ("linear", "log")
    assert (left.get_ylabel(), right.get_xlabel()) == ("accuracy", "layers")
