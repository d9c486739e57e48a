"""Layers hold the parameters as torch's do, so that a state_dict moves there and back."""

import copy
import inspect
import pickle
from functools import partial

import pytest
import torch
from torch.nn.utils import parametrizations, parametrize, prune
from torch.testing import assert_close

import amal.nn
from amal.graph.walk import function_nodes
from amal.nn import layers


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_draws_what_torch_draws(bias, dtype):
    torch.manual_seed(3)
    ours = amal.nn.Linear(7, 5, bias, dtype=dtype)
    torch.manual_seed(3)
    theirs = torch.nn.Linear(7, 5, bias, dtype=dtype)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(ours.state_dict()[name], tensor) for name, tensor in theirs.state_dict().items())
    assert repr(ours) == repr(theirs)


def test_linear_state_dict_moves_there_and_back():
    ours, theirs, input = amal.nn.Linear(7, 5), torch.nn.Linear(7, 5), torch.randn(2, 3, 7)
    theirs.load_state_dict(ours.state_dict())
    assert_close(ours(input), theirs(input))
    back = amal.nn.Linear(7, 5)
    back.load_state_dict(theirs.state_dict())
    assert torch.equal(back(input), ours(input))


def test_linear_is_drawn_again_by_reset_parameters():
    layer = amal.nn.Linear(7, 5)
    before = layer.weight.detach().clone()
    layer.reset_parameters()
    assert not torch.equal(before, layer.weight)
    assert layer.weight.abs().max() <= 7**-0.5


def test_linear_without_inputs_or_on_meta_can_be_made():
    assert amal.nn.Linear(0, 3)(torch.zeros(2, 0)).shape == (2, 3)
    on_meta = amal.nn.Linear(2, 3, device="meta")(torch.zeros(5, 2, device="meta"))
    assert on_meta.is_meta
    assert on_meta.shape == (5, 3)
    assert amal.nn.MSELoss()(on_meta, on_meta).shape == ()


def probabilities(*shape):
    return torch.rand(shape)


def classes(*shape):
    return torch.randint(0, 4, shape)


LAYERS = [
    ("Tanh", (), {}, (torch.randn(5, 4),)),
    ("Sigmoid", (), {}, (torch.randn(5, 4),)),
    ("ReLU", (), {}, (torch.randn(5, 4),)),
    ("LeakyReLU", (0.2,), {}, (torch.randn(5, 4),)),
    ("Threshold", (0.1, 20), {}, (torch.randn(5, 4),)),
    ("GELU", ("tanh",), {}, (torch.randn(5, 4),)),
    ("SiLU", (), {}, (torch.randn(5, 4),)),
    ("Softmax", (), {"dim": 1}, (torch.randn(5, 4),)),
    ("LogSoftmax", (), {"dim": 1}, (torch.randn(5, 4),)),
    ("Linear", (4, 3), {}, (torch.randn(5, 4),)),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, (torch.randn(2, 4, 9),)),
    ("Conv1d", (4, 6, 3), {"padding": "same", "padding_mode": "circular", "bias": False}, (torch.randn(4, 9),)),
    ("Conv2d", (4, 6, 3), {"stride": (1, 2), "padding": 1, "dilation": 2}, (torch.randn(2, 4, 9, 8),)),
    ("Conv2d", (4, 6, (3, 2)), {"padding": "same", "padding_mode": "reflect"}, (torch.randn(2, 4, 9, 8),)),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, (torch.randn(2, 4, 9),)),
    ("MaxPool2d", (2,), {"ceil_mode": True}, (torch.randn(2, 4, 9, 8),)),
    ("MaxPool2d", (2,), {"return_indices": True}, (torch.randn(2, 4, 9, 8),)),
    ("AvgPool1d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}, (torch.randn(2, 4, 9),)),
    ("AvgPool2d", ((3, 2),), {"divisor_override": 5}, (torch.randn(2, 4, 9, 8),)),
    ("AdaptiveAvgPool2d", ((3, None),), {}, (torch.randn(2, 4, 9, 8),)),
    ("Flatten", (), {}, (torch.randn(2, 4, 3),)),
    ("Dropout", (0.3,), {}, (torch.randn(50, 4),)),
    ("BatchNorm1d", (4,), {}, (torch.randn(5, 4),)),
    ("BatchNorm1d", (4,), {"momentum": None, "affine": False}, (torch.randn(5, 4, 6),)),
    ("BatchNorm2d", (4,), {"track_running_stats": False}, (torch.randn(5, 4, 3, 2),)),
    ("BatchNorm2d", (4,), {"eps": 0.1, "momentum": 0.3}, (torch.randn(5, 4, 3, 2),)),
    ("LayerNorm", (4,), {}, (torch.randn(5, 4),)),
    ("LayerNorm", ((3, 4),), {"elementwise_affine": False}, (torch.randn(5, 3, 4),)),
    ("Embedding", (4, 6), {"padding_idx": 1}, (classes(5, 3),)),
    ("Embedding", (4, 6), {"max_norm": 0.5, "scale_grad_by_freq": True}, (classes(5, 3),)),
    ("MSELoss", (), {"reduction": "sum"}, (torch.randn(5, 4), torch.randn(5, 4))),
    ("MSELoss", (), {"reduction": "none"}, (torch.randn(5, 4), torch.randn(5, 4))),
    ("L1Loss", (), {}, (torch.randn(5, 4), torch.randn(5, 4))),
    ("NLLLoss", (torch.rand(4),), {"ignore_index": 2}, (torch.randn(5, 4), classes(5))),
    ("CrossEntropyLoss", (), {"label_smoothing": 0.1}, (torch.randn(5, 4, 3), classes(5, 3))),
    ("CrossEntropyLoss", (torch.rand(4),), {"reduction": "sum"}, (torch.randn(5, 4), probabilities(5, 4))),
    ("BCELoss", (torch.rand(4),), {}, (probabilities(5, 4), probabilities(5, 4))),
    ("BCEWithLogitsLoss", (), {"pos_weight": torch.rand(4)}, (torch.randn(5, 4), probabilities(5, 4))),
]
LAYERS += [  # what is made of an operation is tried with its defaults, if no line above tries more
    (name, (), {}, (torch.randn(5, 4),)) for name in layers.LAYERS if name not in {row[0] for row in LAYERS}
]


@pytest.mark.parametrize(
    ("name", "args", "options", "inputs"), LAYERS, ids=[f"{row[0]}-{place}" for place, row in enumerate(LAYERS)]
)
def test_layer_is_torchs(name, args, options, inputs):
    """The same numbers after the same seed, in training and in evaluation; repr and state_dict move there and back."""
    results = []
    layers = []
    for nn in (amal.nn, torch.nn):
        torch.manual_seed(3)
        layer = getattr(nn, name)(*args, **options).double()  # in single precision a sum's rounding may be another
        variables = [x.double().requires_grad_() if x.is_floating_point() else x for x in inputs]
        outputs = []
        for training in (True, True, False):
            layer.train(training)
            torch.manual_seed(4)
            output = layer(*variables)
            outputs.append(output)
        output = output[0] if isinstance(output, tuple) else output
        leaves = [x for x in (*variables, *layer.parameters()) if x.requires_grad]
        gradients = torch.autograd.grad(output.square().sum(), leaves, allow_unused=True)
        results.append((outputs, gradients, dict(layer.state_dict())))
        layers.append(layer)
    ours, theirs = layers
    assert_close(*results)
    assert repr(ours) == repr(theirs)
    assert inspect.signature(type(ours)) == inspect.signature(type(theirs))
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())


def both(name):
    """Our layer and torch's of the first row of that name, with equal numbers, and inputs."""
    _, args, options, inputs = next(row for row in LAYERS if row[0] == name)
    ours, theirs = (getattr(nn, name)(*args, **options).eval() for nn in (amal.nn, torch.nn))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs, inputs


@pytest.mark.parametrize("name", sorted({row[0] for row in LAYERS}))
def test_layer_is_taken_for_torchs(name):
    """By an initialisation that asks for its kind, by pickle and by copies."""
    ours, theirs, inputs = both(name)
    assert isinstance(ours, type(theirs))
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        assert type(other) is type(ours)
        assert repr(other) == repr(theirs)
        assert_close(other(*inputs), theirs(*inputs))


@pytest.mark.parametrize(
    "change",
    [
        partial(prune.l1_unstructured, name="weight", amount=0.5),
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        partial(parametrize.register_parametrization, tensor_name="weight", parametrization=torch.nn.Tanh()),
    ],
    ids=["prune", "weight_norm", "spectral_norm", "parametrize"],
)
@pytest.mark.parametrize("name", ["Linear", "Conv1d", "Conv2d", "Embedding"])
def test_a_layer_whose_weight_is_made_of_others_is_torchs(name, change):
    ours, theirs, inputs = both(name)
    for layer in (ours, theirs):
        torch.manual_seed(3)  # spectral_norm draws
        change(layer)
    output, expected = ours(*inputs), theirs(*inputs)
    assert_close(output, expected, equal_nan=True)  # a padding row of zeros has no direction
    output.square().sum().backward()
    expected.square().sum().backward()
    for (label, own), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert_close(own.grad, other.grad, equal_nan=True, msg=lambda message, label=label: f"{label}: {message}")


def test_a_layer_without_a_part_in_the_loss_is_not_moved():
    """Zeros for its gradient would be enough for AdamW to shrink it, as it does not torch's."""

    class NoGradient(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input):
            return input.clone()

        @staticmethod
        def backward(ctx, grad_output):
            return None

    ends = []
    for nn in (amal.nn, torch.nn):
        torch.manual_seed(1)
        model = torch.nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.LayerNorm(4))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
        for _ in range(2):
            NoGradient.apply(model(torch.randn(5, 4))).sum().backward()
            optimizer.step()
        ends.append(dict(model.named_parameters()))
        assert all(parameter.grad is None for parameter in model.parameters())
    assert_close(*ends)


@pytest.mark.parametrize("name", sorted({row[0] for row in LAYERS} - {"Flatten"}))
def test_layer_calls_the_operation_written_by_hand(name):
    _, args, options, inputs = next(row for row in LAYERS if row[0] == name)
    layer = getattr(amal.nn, name)(*args, **options)
    output = layer(*(x.clone().requires_grad_(x.is_floating_point()) for x in inputs))
    output = output[0] if isinstance(output, tuple) else output
    assert function_nodes(output), f"no hand-written Function behind {name}"


def test_every_operation_has_a_layer():
    others = {"Highway", "TiedLinear", "Sequential", "Autoencoder", "Denoising", "RandomShift"}
    assert {row[0] for row in LAYERS} | others == {
        name for name, layer in vars(amal.nn).items() if isinstance(layer, type)
    }


def test_highway_starts_as_almost_the_identity():
    layer, input = amal.nn.Highway(6, gate_bias=-8.0), torch.randn(5, 6)
    assert_close(layer(input), input, rtol=0, atol=0.01)
    assert list(layer.state_dict()) == ["transform.weight", "transform.bias", "gate.weight", "gate.bias"]
    assert repr(layer).startswith("Highway(\n  6, activation='relu', gate_bias=-8.0")
    layer.reset_parameters()
    assert layer.gate.bias.eq(-8).all()


def test_highway_layer_is_its_formula():
    layer, input = amal.nn.Highway(6, activation="tanh", dtype=torch.float64), torch.randn(2, 5, 6).double()
    transform, gate = layer.transform(input).tanh(), layer.gate(input).sigmoid()
    assert_close(layer(input), transform * gate + input * (1 - gate))
    assert torch.autograd.gradcheck(layer, input.requires_grad_())


class Autoencoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = amal.nn.Linear(6, 3)
        self.decoder = amal.nn.TiedLinear(self.encoder)

    def forward(self, input):
        return self.decoder(self.encoder(input).tanh())


def test_tied_linear_shares_one_weight():
    model, input = Autoencoder(), torch.randn(5, 6)
    assert list(model.state_dict()) == ["encoder.weight", "encoder.bias", "decoder.bias"]
    assert [tuple(p.shape) for p in model.parameters()] == [(3, 6), (3,), (6,)]
    weight = model.encoder.weight
    expected = torch.tanh(input @ weight.T + model.encoder.bias) @ weight + model.decoder.bias
    assert_close(model(input), expected)
    model(input).square().sum().backward()
    assert_close(weight.grad, torch.autograd.grad(expected.square().sum(), weight)[0])  # both uses add up
    assert repr(model.decoder) == "TiedLinear(in_features=3, out_features=6, bias=True)"


def test_tied_linear_stays_tied_when_copied_cast_or_loaded():
    model = Autoencoder()
    for other in (copy.deepcopy(model), Autoencoder(), copy.deepcopy(model).double()):
        other.load_state_dict(model.state_dict())
        with torch.no_grad():
            other.encoder.weight.fill_(0.5)
        assert other.decoder.weight.eq(0.5).all()
        assert other.decoder.weight.dtype == other.encoder.weight.dtype
    assert not model.encoder.weight.eq(0.5).any()
    assert amal.nn.TiedLinear(torch.nn.Linear(4, 2), bias=False)(torch.ones(2)).shape == (4,)


def test_mse_loss_takes_torchs_old_arguments():
    input, target = torch.randn(5, 3), torch.randn(5, 3)
    with pytest.warns(UserWarning, match="deprecated"):
        loss = amal.nn.MSELoss(size_average=False)
    assert loss.reduction == "sum"
    assert_close(loss(input, target), (input - target).square().sum())


def test_a_model_trains_like_torchs():
    """Same numbers in, same numbers out, after 20 steps of torch's own optimiser."""
    input, target = torch.randn(32, 6), torch.randn(32, 2)
    ends = []
    for nn in (amal.nn, torch.nn):
        torch.manual_seed(1)
        model = torch.nn.Sequential(nn.Linear(6, 4), torch.nn.Tanh(), nn.Linear(4, 2))
        optimizer, loss = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), nn.MSELoss()
        for _ in range(20):
            optimizer.zero_grad()
            loss(model(input), target).backward()
            optimizer.step()
        ends.append(dict(model.state_dict()))
    assert_close(*ends)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_model_trains_on_cuda():
    model = amal.nn.Linear(6, 2).cuda()
    amal.nn.MSELoss()(model(torch.randn(4, 6, device="cuda")), torch.zeros(4, 2, device="cuda")).backward()
    assert model.weight.grad.is_cuda
