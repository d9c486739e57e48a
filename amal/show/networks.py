"""Small networks of the labs, for `amal graph`."""

import torch
from torch import Tensor, nn

from amal.functional import cross_entropy, mse_loss
from amal.graph import Graph, describe_graph
from amal.nn import Autoencoder, Linear, Sequential, Tanh, highway_network, lenet, mlp

SHAPE = (1, 16, 16)
"""The shape of the images of USPS."""
NETWORKS = {
    "mlp": "256-100-10 with tanh, cross-entropy (TME 3)",
    "regressor": "13-20-1 with tanh, mean squared error (TME 2)",
    "autoencoder": "256-100-30 and back with the same weights, mean squared error (TME 3)",
    "highway": "a layer and three highways of 50 units, cross-entropy (TME 3)",
    "lenet": "two convolutions and two linear layers, cross-entropy (TME 3)",
}


def network_graph(name: str, batch_size: int) -> Graph:
    """Return the graph of one step of training: the network on a random batch, and its loss.

    Args:
        name: one of NETWORKS.
        batch_size: examples in the batch.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, *SHAPE, generator=generator)
    if name == "regressor":
        rows = torch.rand(batch_size, 13, generator=generator)
        return _step(Sequential(Linear(13, 20), Tanh(), Linear(20, 1)), rows, torch.zeros(batch_size, 1))
    if name == "autoencoder":
        return _step(Autoencoder(SHAPE, (100, 30)), images, images)
    classes = torch.zeros(batch_size, dtype=torch.int64)
    if name == "mlp":
        return _step(mlp(SHAPE, 10, [100], Tanh), images, classes)
    if name == "highway":
        return _step(highway_network(SHAPE, 10, width=50, depth=4), images, classes)
    return _step(lenet(SHAPE, 10), images, classes)


def _step(model: nn.Module, input: Tensor, target: Tensor) -> Graph:
    output = model(input)
    loss = mse_loss(output, target) if target.is_floating_point() else cross_entropy(output, target)
    names = {**dict(model.named_parameters()), "input": input, "target": target}
    return describe_graph(loss, names)
