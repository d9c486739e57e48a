"""The solutions of the labs to fill in, against amal itself: the same numbers, in the course's form."""

from itertools import islice

import pytest
import torch
from torch import nn

import amal.nn
from amal import functional as F
from amal.data import ImageDataset, Split
from amal.optim import SGD
from amal.training import epoch_batches, train_step
from tme1 import chain_rule
from tme1.exercise import descent as by_hand
from tme1.exercise.functions import MSE, Linear
from tme2.exercise import regression, regressor
from tme3.exercise.autoencoder import TiedAutoencoder
from tme3.exercise.checkpoint import State, train
from tme3.exercise.dataset import FlatImages
from tme3.exercise.highway import Highway, highway_network


def table(outputs=1):
    return torch.randn(20, 4, dtype=torch.float64), torch.randn(20, outputs, dtype=torch.float64)


def gradients(function, *inputs):
    leaves = [input.clone().requires_grad_() for input in inputs]
    output = function(*leaves)
    grad_output = torch.randn(output.shape, dtype=output.dtype, generator=torch.Generator().manual_seed(3))
    return [output, *torch.autograd.grad(output, leaves, grad_output)]


def same_parameters(target, start):
    with torch.no_grad():
        for parameter, value in zip(target.parameters(), start.parameters(), strict=True):
            parameter.copy_(value)
    return target


def test_functions():
    X, Y = table(3)
    W, b = torch.randn(4, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    linear = gradients(lambda X, W, b: F.linear(X, W.T, b), X, W, b)
    torch.testing.assert_close(gradients(Linear.apply, X, W, b), linear)
    mse = gradients(lambda prediction, target: F.mse_loss(prediction, target, reduction="sum") / 20, X @ W, Y)
    torch.testing.assert_close(gradients(MSE.apply, X @ W, Y), mse)


def test_descent_by_hand():
    X, Y = table(3)
    W, b = torch.randn(4, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    problem = chain_rule.Problem(Split(X, Y), chain_rule.ROWS)
    rows = list(islice(chain_rule.descend(problem, W.T, b, 0.05), 11))
    losses, last_W, last_b = by_hand.descend(X, Y, W, b, lr=0.05, steps=10)
    torch.testing.assert_close(losses, [float(row[0]) for row in rows[:-1]])
    torch.testing.assert_close((last_W.T, last_b), tuple(rows[-1][1:3]))


@pytest.mark.parametrize("batch_size", [None, 1, 8])
def test_three_kinds_of_descent(batch_size):
    X, Y = table()
    mine = amal.nn.Linear(4, 1, dtype=torch.float64)
    theirs = same_parameters(amal.nn.Linear(4, 1, dtype=torch.float64), mine)
    parameters, random = list(mine.parameters()), torch.Generator().manual_seed(0)
    losses = regression.descend(mine, parameters, X, Y, batch_size, 0.01, 3, random)
    optimizer, random = SGD(theirs.parameters(), 0.01), torch.Generator().manual_seed(0)
    for loss in losses:
        for rows in regression.batches(20, batch_size, random):
            train_step(theirs, F.mse_loss, X[rows], Y[rows], optimizer)
        assert loss == pytest.approx(F.mse_loss(theirs(X), Y).item(), abs=1e-12)
    torch.testing.assert_close(parameters, list(theirs.parameters()))


def test_steps_of_an_optimiser():
    X, Y = table()
    mine = regressor.Regressor(4, 5).double()
    theirs = same_parameters(regressor.sequential(4, 5).double(), mine)
    optimizers = [SGD(model.parameters(), 0.1) for model in (mine, theirs)]
    for _ in range(5):
        loss = regressor.train_step(mine, F.mse_loss, X, Y, optimizers[0])
        assert loss == pytest.approx(train_step(theirs, F.mse_loss, X, Y, optimizers[1]).item(), abs=1e-12)


def test_dataset():
    images, labels = torch.randint(256, (7, 3, 4), dtype=torch.uint8), torch.arange(7)
    mine, theirs = FlatImages(images, labels), ImageDataset(Split(images.unsqueeze(1).float() / 255, labels))
    assert len(mine) == len(theirs)
    for one, other in zip((mine[i] for i in range(7)), (theirs[i] for i in range(7)), strict=True):
        assert one[0].equal(other[0])
        assert one[1] == other[1]


def test_tied_autoencoder():
    mine = TiedAutoencoder(6, 4)
    theirs = same_parameters(amal.nn.Autoencoder((1, 2, 3), [4], code=amal.nn.ReLU), mine)
    images = torch.rand(5, 1, 2, 3)
    outputs = mine(images.flatten(1)), theirs(images).flatten(1)
    torch.testing.assert_close(*outputs)
    for output in outputs:
        F.mse_loss(output, images.flatten(1)).backward()
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_highways():
    layer = Highway(4)
    theirs = same_parameters(amal.nn.Highway(4), layer)
    input = torch.randn(5, 4)
    torch.testing.assert_close(layer(input), theirs(input))
    assert layer.gate.bias.equal(amal.nn.Highway(4).gate.bias)
    mine = highway_network(6, 3, width=4, depth=5)
    network = same_parameters(amal.nn.highway_network((1, 2, 3), 3, width=4, depth=5), mine)
    torch.testing.assert_close(mine(torch.ones(2, 6)), network(torch.ones(2, 6)))


def test_training_with_checkpoints(tmp_path):
    X, Y = table()
    mine = nn.Sequential(amal.nn.Linear(4, 5), amal.nn.Tanh(), amal.nn.Linear(5, 1)).double()
    theirs = same_parameters(regressor.sequential(4, 5).double(), mine)
    for epochs in (1, 3):  # stopped once, and gone on with
        state = State(mine, SGD(mine.parameters(), 0.1, momentum=0.9))
        train(state, F.mse_loss, X, Y, epochs, tmp_path / "checkpoint.pt", batch_size=8, seed=2)
    optimizer = SGD(theirs.parameters(), 0.1, momentum=0.9)
    for epoch in (1, 2, 3):
        for input, target in epoch_batches(Split(X, Y), 8, 2, epoch):
            train_step(theirs, F.mse_loss, input, target, optimizer)
    torch.testing.assert_close(list(mine.parameters()), list(theirs.parameters()))
