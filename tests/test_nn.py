"""Layers hold the parameters as torch's do, so that a state_dict moves there and back."""

import pytest
import torch
from torch.testing import assert_close

import amal.nn


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


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mse_loss_is_torchs(reduction):
    input, target = torch.randn(5, 3), torch.randn(5, 3)
    assert_close(
        amal.nn.MSELoss(reduction=reduction)(input, target), torch.nn.MSELoss(reduction=reduction)(input, target)
    )


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
