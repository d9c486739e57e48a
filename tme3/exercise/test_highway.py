"""TME 3, question 7: is what is not transformed carried on, and has each layer weights of its own? Each part alone."""

from unittest.mock import patch

import torch
from torch import Tensor, nn

import amal.nn

from . import highway


def new_layer(gate: float | None = None) -> highway.Highway:
    """Return a highway layer of 4 features; with a gate that is as far open as its bias says, if one is given."""
    torch.manual_seed(0)
    layer = highway.Highway(4)
    shapes = {name: tuple(parameter.shape) for name, parameter in layer.named_parameters()}
    due = {"transform.weight": (4, 4), "transform.bias": (4,), "gate.weight": (4, 4), "gate.bias": (4,)}
    assert shapes == due, f"Highway(4) has the parameters {shapes}, expected {due}"
    if gate is not None:
        nn.init.zeros_(layer.gate.weight)
        nn.init.constant_(layer.gate.bias, gate)
    return layer


def rows() -> Tensor:
    """Return 5 rows of 4 features."""
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(1))


def test_7a_start() -> None:
    """The gate starts almost shut."""
    bias = new_layer().gate.bias
    assert torch.equal(torch.as_tensor(bias), torch.full((4,), -1.0)), f"the gate's bias starts at {bias}, expected -1"
    other = highway.Highway(4, gate_bias=-3.0).gate.bias
    assert torch.equal(torch.as_tensor(other), torch.full((4,), -3.0)), (
        "gate_bias=-3 is not where the gate's bias starts"
    )


def test_7a_shut() -> None:
    """With the gate shut, the input is carried on as it is."""
    found = new_layer(gate=-100.0)(rows())
    assert found.shape == (5, 4), f"Highway(4) maps (5, 4) to {tuple(found.shape)}, expected (5, 4)"
    assert torch.allclose(found, rows(), atol=1e-6), "with the gate shut, the output is not the input"


def test_7a_open() -> None:
    """With the gate open, only the transform is left."""
    layer = new_layer(gate=100.0)
    transform = layer.transform(rows()).clamp(min=0)
    assert torch.allclose(layer(rows()), transform, atol=1e-6), (
        "with the gate open, the output is not relu(transform(x))"
    )


def test_7a_between() -> None:
    """With the gate between, the output is between, entry by entry."""
    layer, input = new_layer(), rows()
    reference = amal.nn.Highway(4)
    reference.load_state_dict(layer.state_dict())
    error = float((layer(input) - reference(input)).detach().abs().max())
    assert error < 1e-6, f"with the gate half open, the output is off by up to {error:.3g}"


def network(depth: int) -> nn.Sequential:
    """Return a network whose highway layers are amal's."""
    torch.manual_seed(0)
    with patch.object(highway, "Highway", amal.nn.Highway):
        found = highway.highway_network(6, 3, width=4, depth=depth)
    assert isinstance(found, nn.Sequential), f"highway_network returns a {type(found).__name__}, expected a Sequential"
    return found


def test_7b_layers() -> None:
    """Linear, ReLU, depth − 1 highway layers, Linear."""
    for depth in (1, 4):
        found = [type(layer).__name__ for layer in network(depth)]
        due = ["Linear", "ReLU", *["Highway"] * (depth - 1), "Linear"]
        assert found == due, f"of depth {depth}, the layers are {found}, expected {due}"


def test_7b_logits() -> None:
    """It maps features to one logit for each class."""
    found = network(4)(torch.zeros(5, 6))
    assert found.shape == (5, 3), f"(5, 6) is mapped to {tuple(found.shape)}, expected (5, 3)"
    assert bool((found < 0).any()), "no logit is negative: is there a non-linearity behind the last layer?"


def test_7b_weights_of_its_own() -> None:
    """No two layers are the same."""
    layers = list(network(4))
    assert len({id(layer) for layer in layers}) == len(layers), (
        "one layer stands in several places: its weights are shared"
    )
