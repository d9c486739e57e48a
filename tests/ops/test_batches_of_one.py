"""A batch of one cannot be normalised: said before anything is trained, and only where it is so."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import amal.nn
from amal.data import Split, Splits
from amal.errors import UserError
from amal.functional import mse_loss
from amal.optim import SGD
from amal.training import TrainingConfig, fit
from amal.training.batches import refuse_single_examples


class Nowhere:
    def __getattr__(self, name):
        return lambda *_: None


def train(model, part, batch_size=4):
    config = TrainingConfig(epochs=2, batch_size=batch_size, progress=False)
    small = Split(part.dataset.tensors[0], part.dataset.tensors[1]) if isinstance(part, DataLoader) else part
    return fit(model, mse_loss, Splits(part, small, small), SGD(model.parameters(), lr=0.01), config, Nowhere())


def rows(n):
    return Split(torch.randn(n, 3), torch.randn(n, 2))


def normalising(module=amal.nn):
    return nn.Sequential(module.Linear(3, 4), module.BatchNorm1d(4), module.Linear(4, 2))


@pytest.mark.parametrize("module", [amal.nn, torch.nn])
@pytest.mark.parametrize("n", [9, 1])
def test_a_last_batch_of_one_is_refused_in_words_before_anything_is_trained(module, n):
    model = normalising(module)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=rf"a batch of one example .* of {n} examples .*try another --batch-size"):
        train(model, rows(n))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_random_state_is_left_as_it_was():
    model, part = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3)), rows(5)
    state = torch.get_rng_state()
    with pytest.raises(UserError):
        refuse_single_examples(model, part, 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_where_no_batch_holds_one_it_is_trained():
    assert train(normalising(), rows(8)).step == 4
    assert train(normalising(), rows(10)).step == 6
    assert train(normalising(), rows(9), None).step == 2
    assert train(nn.Sequential(amal.nn.Linear(3, 2)), rows(9)).step == 6


def test_one_image_can_be_normalised():
    images = Split(torch.randn(5, 2, 3, 3), torch.randn(5, 2, 3, 3))
    assert train(nn.Sequential(amal.nn.BatchNorm2d(2)), images, 2).step == 6


@pytest.mark.parametrize(("drop_last", "refused"), [(False, True), (True, False)])
def test_a_loader_that_leaves_one_over_is_asked_too(drop_last, refused):
    split = rows(9)
    loader = DataLoader(TensorDataset(split.input, split.target), 4, drop_last=drop_last)
    if refused:
        with pytest.raises(UserError, match="a batch of one example"):
            train(normalising(), loader)
    else:
        assert train(normalising(), loader).step == 4


@pytest.mark.parametrize(("n", "refused"), [(8, True), (16, False), (10, True)])
def test_several_processes_share_a_batch(n, refused):
    if refused:
        with pytest.raises(UserError, match="4 processes"):
            refuse_single_examples(normalising(), rows(n), 8 if n != 8 else 4, processes=4)
    else:
        refuse_single_examples(normalising(), rows(n), 8, processes=4)
