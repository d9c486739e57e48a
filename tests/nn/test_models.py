"""The course's models: their layers, the shapes they take, and that every derivative in them is hand-written."""

import pytest
import torch
from torch import nn

from amal.graph.walk import is_by_hand, nodes
from amal.nn import (
    Autoencoder,
    AvgPool2d,
    Denoising,
    Highway,
    Linear,
    MaxPool2d,
    RandomShift,
    ReLU,
    Sigmoid,
    Tanh,
    TiedLinear,
    conv1d_network,
    conv2d_network,
    highway_network,
    lenet,
    mlp,
    reference_example,
)

MODELS = {
    "perceptron": mlp,
    "mlp": lambda *args: mlp(*args, (20, 15)),
    "conv1d": conv1d_network,
    "conv2d": conv2d_network,
    "conv2d, average": lambda *args: conv2d_network(*args, AvgPool2d),
    "lenet": lenet,
    "reference": reference_example,
    "highway": lambda *args: highway_network(*args, width=12, depth=4),
}
SHAPES = [(1, 8, 8), (1, 16, 16), (1, 28, 28), (3, 9, 13)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_a_model_takes_images_of_any_size_and_gives_logits(make, shape):
    model = make(shape, 7)
    assert all(module.training for module in model.modules())
    output = model(torch.rand(2, *shape))
    assert output.shape == (2, 7)
    output.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def derivatives(output):
    """Return the names of torch's own derivatives in a graph; those that only reshape are left out."""
    names = {node.name() for node in nodes(output) if not is_by_hand(node)}
    reshaping = ("torch::autograd::AccumulateGrad", "View", "UnsafeView", "Squeeze", "Unsqueeze")
    return {name for name in names if not name.startswith(reshaping)}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_every_derivative_is_hand_written(make):
    assert derivatives(make((1, 16, 16), 10)(torch.rand(3, 1, 16, 16))) == set()


def test_a_derivative_of_torch_is_seen():
    assert derivatives(nn.Sequential(mlp((1, 4, 4), 3), nn.Tanh())(torch.rand(2, 1, 4, 4))) == {"TanhBackward0"}


def test_the_course_s_convolution_has_its_4064_features():
    *_, first, _, last = conv1d_network((1, 16, 16), 10)
    assert (first.in_features, first.out_features, last.out_features) == (4064, 100, 10)


def test_depth_without_a_non_linearity_is_a_linear_map():
    model = mlp((1, 3, 3), 4, (6, 5), None).double()
    a, b = torch.randn(2, 5, 1, 3, 3, dtype=torch.float64)
    zero = model(torch.zeros_like(a))
    torch.testing.assert_close(model(a + b) - zero, model(a) - zero + model(b) - zero)


def test_the_non_linearity_stands_after_each_layer_but_the_last():
    layers = mlp((1, 4, 4), 3, (5, 6), Sigmoid)
    assert [type(layer) for layer in layers] == [nn.Flatten, Linear, Sigmoid, Linear, Sigmoid, Linear]
    assert [layer.in_features for layer in layers if isinstance(layer, Linear)] == [16, 5, 6]


def test_dropout_stands_after_each_hidden_layer():
    layers = [type(layer).__name__ for layer in mlp((1, 4, 4), 3, (5, 6), dropout=0.3)]
    assert layers == ["Flatten", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]


def test_a_random_shift_moves_each_image_by_itself_and_brings_in_nothing():
    torch.manual_seed(0)
    images = torch.zeros(500, 2, 5, 6)
    images[:, 0, 2, 3] = 1
    images[:, 1, 0, 0] = 2
    shift = RandomShift(1)
    moved = shift(images)
    assert moved.shape == images.shape
    middle = moved[:, 0].flatten(1).argmax(1)
    counts = torch.stack([middle // 6 - 2, middle % 6 - 3], 1).unique(dim=0, return_counts=True)
    assert counts[0].tolist() == [[down, right] for down in (-1, 0, 1) for right in (-1, 0, 1)]
    assert counts[1].min() > 30  # of about 56
    assert torch.equal(moved[:, 0].sum((1, 2)), torch.ones(500))
    corner = moved[:, 1].flatten(1).sum(1)
    assert torch.equal(corner == 2, (middle // 6 >= 2) & (middle % 6 >= 3))  # else it has left the image
    assert shift.eval()(images) is images
    with pytest.raises(ValueError, match="RandomShift: pixels is -1, expected 0 or more"):
        RandomShift(-1)


def test_another_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling is ReLU, expected MaxPool2d or AvgPool2d"):
        lenet((1, 16, 16), 10, pooling=nn.ReLU)
    assert isinstance(lenet((1, 16, 16), 10)[2], MaxPool2d)


def test_a_tied_autoencoder_has_each_weight_once_and_its_own_biases():
    model = Autoencoder((1, 4, 5), (12, 6))
    shapes = {name: tuple(entry.shape) for name, entry in model.state_dict().items()}
    assert shapes == {
        "encoder.1.weight": (12, 20),
        "encoder.1.bias": (12,),
        "encoder.3.weight": (6, 12),
        "encoder.3.bias": (6,),
        "decoder.0.bias": (12,),
        "decoder.2.bias": (20,),
    }
    assert len(list(Autoencoder((1, 4, 5), (12, 6), tied=False).parameters())) == 8


def test_the_gradient_of_a_tied_weight_adds_up_from_both_uses():
    model = Autoencoder((1, 2, 3), (4,)).double()
    input = torch.rand(5, 1, 2, 3, dtype=torch.float64)
    model(input).square().sum().backward()
    w, b, back = (entry.detach().requires_grad_() for entry in model.state_dict().values())
    output = ((input.flatten(1) @ w.T + b).sigmoid() @ w + back).sigmoid()
    output.square().sum().backward()
    torch.testing.assert_close([p.grad for p in model.parameters()], [w.grad, b.grad, back.grad])


def test_a_code_without_non_linearity_is_linear():
    model = Autoencoder((1, 2, 3), (4,), code=None).double()
    a, b = torch.randn(2, 5, 1, 2, 3, dtype=torch.float64)
    zero = model.encode(torch.zeros_like(a))
    torch.testing.assert_close(model.encode(a + b) - zero, model.encode(a) - zero + model.encode(b) - zero)


def apart(sizes, highways=0):
    """The greatest difference of a tied autoencoder's gradients from the sums of an untied one's with its weights."""
    torch.manual_seed(0)
    images = torch.rand(5, 1, 4, 5, dtype=torch.float64)
    tied, untied = (
        Autoencoder((1, 4, 5), sizes, hidden=Tanh, tied=t, highways=highways).double() for t in (True, False)
    )
    untied.load_state_dict(tied.state_dict(), strict=False)
    down, back = ([layer for layer in part if isinstance(layer, Linear)] for part in (untied.encoder, untied.decoder))
    with torch.no_grad():
        for one, other in zip(down, back[::-1], strict=True):
            other.weight.copy_(one.weight.T)
    for model in (tied, untied):
        model(images).square().sum().backward()
    for one, other in zip(down, back[::-1], strict=True):
        one.weight.grad += other.weight.grad.T
    summed = dict(untied.named_parameters())
    return max(float((entry.grad - summed[name].grad).abs().max()) for name, entry in tied.named_parameters())


@pytest.mark.parametrize("sizes", [(4,), (12, 6), (12, 8, 3)], ids=str)
def test_a_tied_gradient_is_the_sum_of_both_uses_to_the_last_digits(sizes):
    assert apart(sizes) < 1e-12
    assert apart((*sizes, 2), highways=2) < 1e-12


def test_a_tied_weight_whose_second_use_is_forgotten_is_seen(monkeypatch):
    monkeypatch.setattr(TiedLinear, "weight", property(lambda self: self._encoder[0].weight.detach().t()))
    assert apart((4,)) > 1e-3


@pytest.mark.parametrize("sizes", [(30,), (500, 100, 30), (1000, 500, 250, 30)], ids=str)
def test_tying_halves_the_weights(sizes):
    with torch.device("meta"):
        tied, untied = (Autoencoder((1, 28, 28), sizes, tied=tied) for tied in (True, False))
    counts = [sum(p.numel() for p in model.parameters() if p.dim() == 2) for model in (tied, untied)]
    assert 2 * counts[0] == counts[1]
    biases = [sum(p.numel() for p in model.parameters() if p.dim() == 1) for model in (tied, untied)]
    assert biases[0] == biases[1] == 2 * sum(sizes) - sizes[-1] + 784


def test_an_autoencoder_names_its_highway_layers_and_shares_none():
    model = Autoencoder((1, 4, 5), (12, 6), highways=3, gate_bias=-4.0)
    layers = [layer for layer in model.modules() if isinstance(layer, Highway)]
    assert [layer.features for layer in layers] == [12] * 6
    assert len({id(layer.transform.weight) for layer in layers}) == 6
    assert all(bool((layer.gate.bias == -4).all()) for layer in layers)


def passes_unchanged(make):
    """Whether a classifier whose gates are shut gives what it gives without its highway layers."""
    torch.manual_seed(0)
    deep = make()
    shallow = nn.Sequential(*(layer for layer in deep if not isinstance(layer, Highway)))
    images = torch.rand(6, 1, 4, 5)
    return torch.allclose(deep(images), shallow(images))


def test_the_carry_of_a_highway_network_is_the_identity(monkeypatch):
    assert passes_unchanged(lambda: highway_network((1, 4, 5), 3, width=9, depth=30, gate_bias=-100.0))
    assert not passes_unchanged(lambda: highway_network((1, 4, 5), 3, width=9, depth=30, gate_bias=0.0))
    monkeypatch.setattr(Highway, "forward", lambda self, x: self.transform(x) * self.gate(x).sigmoid() + self.gate(x))
    assert not passes_unchanged(lambda: highway_network((1, 4, 5), 3, width=9, depth=30, gate_bias=-100.0))


def test_a_highway_network_has_as_many_hidden_layers_as_it_is_deep():
    model = highway_network((1, 4, 5), 3, width=9, depth=7, gate_bias=-3.0)
    assert [type(layer) for layer in model] == [nn.Flatten, Linear, ReLU, *[Highway] * 6, Linear]
    assert all(bool((layer.gate.bias == -3).all()) for layer in model if isinstance(layer, Highway))


def noise_of(wrapper):
    """The noise that a denoising model is given, in two calls in training and one in evaluation."""
    given = []

    class Note(nn.Module):
        def forward(self, input):
            given.append(input)
            return input

    torch.manual_seed(0)
    model, images = wrapper(Note(), 0.5), torch.full((50, 1, 8, 8), 0.25)
    for training in (True, True, False):
        model.train(training)(images)
    return [input - 0.25 for input in given]


def is_right(noises):
    """Whether it has the deviation that was asked for, is another one at each call, and is not there in evaluation."""
    first, second, third = noises
    asked = abs(float(first.std()) - 0.5) < 0.02 and abs(float(first.mean())) < 0.02
    return asked and not torch.equal(first, second) and not third.any()


def test_a_denoising_model_is_given_noise_in_training_and_none_in_evaluation():
    assert is_right(noise_of(Denoising))


class Always(Denoising):
    def forward(self, input):
        return self.model(input + self.sigma * torch.randn_like(input))


class OnePattern(Denoising):
    def forward(self, input):
        generator = torch.Generator().manual_seed(0)
        return self.model(input + self.training * self.sigma * torch.randn(input.shape, generator=generator))


class Variance(Denoising):
    def forward(self, input):
        return self.model(input + self.training * self.sigma**2 * torch.randn_like(input))


@pytest.mark.parametrize("wrong", [Always, OnePattern, Variance])
def test_wrong_noise_is_seen(wrong):
    assert not is_right(noise_of(wrong))


def test_a_denoising_model_adds_nothing_to_the_graph():
    model = Denoising(Autoencoder((1, 4, 5), (6,), tied=False), 0.3)
    assert derivatives(model(torch.rand(3, 1, 4, 5))) == set()
    assert list(model.state_dict()) == [f"model.{name}" for name in model.model.state_dict()]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("highways", [0, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_autoencoder_gives_images_of_the_shape_it_takes(shape, tied, highways):
    torch.manual_seed(0)
    model = Autoencoder(shape, (9, 5), tied=tied, highways=highways)
    images = torch.rand(3, *shape)
    assert model.encode(images).shape == (3, 5)
    assert model(images).shape == images.shape
    assert derivatives(model(images)) <= {"TBackward0", "TransposeBackward0"}  # of a tied weight, there and back
