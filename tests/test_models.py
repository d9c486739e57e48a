"""The course's models: their layers, the shapes they take, and that every derivative in them is hand-written."""

import pytest
import torch
from torch import nn

from amal.nn import (
    Autoencoder,
    AvgPool2d,
    Linear,
    MaxPool2d,
    RandomShift,
    Sigmoid,
    conv1d_network,
    conv2d_network,
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
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    names = {node.name() for node in seen if not isinstance(node, torch.autograd.function.BackwardCFunction)}
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


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_autoencoder_gives_images_of_the_shape_it_takes(shape, tied):
    torch.manual_seed(0)
    model = Autoencoder(shape, (9, 5), tied=tied)
    images = torch.rand(3, *shape)
    assert model.encode(images).shape == (3, 5)
    assert model(images).shape == images.shape
    assert derivatives(model(images)) <= {"TBackward0"}  # the transposition of a tied weight
