"""tme3.fast and tme2.profiler: each step changes what it says, and what is measured is what happened."""

import json
from dataclasses import replace

import pytest
import torch
from running import run
from torch import nn

from amal.data import digits
from amal.errors import UserError
from amal.functional import cross_entropy
from amal.nn import fast_network
from tme2 import profiler
from tme3 import fast


@pytest.fixture(scope="module")
def data():
    return digits(0)


def test_steps_build_on_one_another_and_extras_on_all():
    recipes = fast.recipes()
    assert list(recipes) == [*fast.STEPS, *fast.EXTRAS]
    assert recipes["as usual"] == fast.Recipe()
    last = recipes["what is hard"]
    assert (last.in_memory, last.fused, last.cycle, last.small) == (True,) * 4
    assert (last.batch_size, last.hard) == (256, 0.25)
    assert recipes["channels last"] == replace(last, channels_last=True)
    assert recipes["bfloat16"] == replace(last, bfloat16=True)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 16, 16), (1, 8, 8)])
def test_networks_take_every_size_and_the_small_one_is_smaller(shape):
    sizes = []
    for small in (False, True):
        network = fast_network(shape, 10, small)
        assert network(torch.zeros(3, *shape)).shape == (3, 10)
        sizes.append(sum(parameter.numel() for parameter in network.parameters()))
    assert sizes[1] < sizes[0]


def test_the_hardest_are_those_with_the_greatest_losses(data):
    torch.manual_seed(0)
    model, recipe = fast_network(data.shape, 10, True), fast.Recipe(hard=0.25)
    input, target = data.train.input[:40], data.train.target[:40]
    chosen, classes = fast.hardest(model, input, target, recipe)
    losses = cross_entropy(model(input), target, reduction="none")
    greatest = cross_entropy(model(chosen), classes, reduction="none")
    assert len(chosen) == 10
    torch.testing.assert_close(greatest.sort().values, losses.sort().values[-10:])
    assert not greatest.requires_grad or chosen.grad_fn is None


def test_every_epoch_meets_every_image_with_a_loader_and_without(data):
    for recipe in (fast.Recipe(batch_size=100), fast.Recipe(batch_size=100, in_memory=True)):
        batches = fast.batches(data.train, recipe, 0)
        steps = -(-len(data.train.input) // 100)
        first = torch.cat([next(batches)[0].flatten(1).sum(1) for _ in range(steps)])
        expected = data.train.input.flatten(1).sum(1)
        torch.testing.assert_close(first.sort().values, expected.sort().values)
        second = torch.cat([next(batches)[0].flatten(1).sum(1) for _ in range(steps)])
        assert not torch.equal(first, second)


def test_channels_last_changes_the_memory_and_not_the_result(data):
    recipe = replace(fast.recipes()["what is hard"], epochs=3.0)
    plain = fast.train(data, recipe, 0)
    other = fast.train(data, replace(recipe, channels_last=True), 0)
    torch.testing.assert_close(torch.stack(plain.losses[:3]), torch.stack(other.losses[:3]), rtol=1e-3, atol=1e-4)
    assert any(p.is_contiguous(memory_format=torch.channels_last) for p in other.model.parameters() if p.dim() == 4)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_fused_loss_is_the_same_in_fewer_operations(data, reduction):
    torch.manual_seed(0)
    model = fast_network(data.shape, 10, True)
    fused, apart = (
        fast.loss_of(model, data.train.input[:9], data.train.target[:9], fast.Recipe(fused=fused), reduction)
        for fused in (True, False)
    )
    torch.testing.assert_close(fused, apart)
    assert fused.grad_fn.name() == "CrossEntropyFunctionBackward"
    assert (fused.grad_fn.name(), apart.grad_fn.name()) == ("CrossEntropyFunctionBackward", "NLLFunctionBackward")


def test_the_learning_rate_ends_at_zero_and_the_network_learns(data):
    recipe = replace(fast.recipes()["what is hard"], epochs=26.0)
    trained = fast.train(data, recipe, 0)
    assert len(trained.losses) == round(26 * len(data.train.input) / 256)
    assert fast.test_accuracy(trained.model, data.test) > 0.95
    assert trained.seconds > 0


def test_a_network_that_does_not_learn_is_seen(data):
    recipe = replace(fast.recipes()["what is hard"], lr=1e-9)
    assert fast.test_accuracy(fast.train(data, recipe, 0).model, data.test) < 0.5


def test_accuracy_counts_every_image(data):
    class Same(nn.Module):
        def forward(self, input):
            return torch.nn.functional.one_hot(torch.full((len(input),), 3), 10).float()

    assert fast.test_accuracy(Same(), data.test) == pytest.approx(float((data.test.target == 3).double().mean()))


def test_unknown_steps_are_refused_in_words():
    with pytest.raises(UserError, match=r"--steps faster: expected some of as usual; images in memory"):
        fast.Config(steps=("faster",))


def test_the_lab_tells_each_step(tmp_path):
    metrics, events = run(fast, tmp_path, "--steps", "one cycle", "what is hard", "--times", "2")
    assert set(metrics) == {f"{step}_{what}" for step in ("one cycle", "what is hard") for what in ("seconds", "test")}
    assert "steps" in events.Tags()["images"]


def test_the_profiler_tells_the_parts_of_a_step_and_writes_a_trace(tmp_path):
    metrics, _ = run(profiler, tmp_path, "--batch-sizes", "5")
    shares = [metrics[f"batch of 5, {part}"] for part in profiler.PARTS]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0
    trace = next(tmp_path.rglob("trace-batch-5.json"))
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"LinearFunction", "MSEFunctionBackward", *profiler.PARTS} <= names
