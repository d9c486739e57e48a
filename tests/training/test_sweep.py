"""Many trainings at once end where each would have ended alone."""

import dataclasses
from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from amal.data import Split, Splits, checkerboard
from amal.errors import UserError
from amal.functional import binary_cross_entropy_with_logits
from amal.nn import BatchNorm1d, Linear, ReLU, Sequential, Tanh
from amal.runs import RunLogbook
from amal.training import Checkpoints, Member, SweepConfig, epoch_batches, fit_together, sweep
from amal.training import together as stack

ENTRIES = partial(binary_cross_entropy_with_logits, reduction="none")
CONFIG = SweepConfig(progress=False, evaluate_every=2)


def board(seed, dtype=torch.float64):
    data = checkerboard(100, seed=seed).to("cpu", dtype)
    parts = (data.train, data.validation, data.test)
    return Splits(*(Split(part.input, (part.target + 1) / 2) for part in parts))


def network(seed, activation=Tanh, dtype=torch.float64):
    torch.manual_seed(seed)
    return Sequential(Linear(2, 8), activation(), Linear(8, 1)).to(dtype)


BOARDS = {seed: board(seed) for seed in range(3)}


def members():
    """They differ in all that members may differ in; 60 examples make a last batch of 4 with 7, and of 29 with 31."""
    return [
        Member(network(0), BOARDS[0], epochs=5, lr=0.1, batch_size=7, seed=0),
        Member(network(1), BOARDS[1], epochs=3, lr=0.5, batch_size=31, seed=1),
        Member(network(2), BOARDS[2], epochs=6, lr=0.05, batch_size=7, seed=2, shuffle=False),
        Member(network(3), BOARDS[0], epochs=4, lr=1.0, batch_size=None, seed=0),
        Member(network(4, ReLU), BOARDS[0], epochs=4, lr=0.1, batch_size=20, seed=5, evaluation_epochs=(3,)),
    ]


def alone(member, reduction):
    """Train a member in a plain loop of torch's own."""
    loss = partial(torch.nn.functional.binary_cross_entropy_with_logits, reduction=reduction)
    optimizer = torch.optim.SGD(member.model.parameters(), member.lr)
    train, losses = member.data.train, []
    for epoch in range(1, member.epochs + 1):
        batches = epoch_batches(train, member.batch_size, member.seed, epoch)
        if not member.shuffle:
            batches = zip(train.input.split(member.batch_size), train.target.split(member.batch_size), strict=True)
        for input, target in batches:
            optimizer.zero_grad()
            loss(member.model(input), target).backward()
            optimizer.step()
        with torch.no_grad():
            found = torch.nn.functional.binary_cross_entropy_with_logits(member.model(train.input), train.target)
        losses.append(found.item())
    return losses


def largest_difference(reduction):
    together, solo = members(), members()
    fit_together(together, ENTRIES, CONFIG, reduction=reduction)
    differences = []
    for ours, theirs in zip(together, solo, strict=True):
        losses = alone(theirs, reduction)
        rows = [row for row in ours.progress.history if row["epoch"] > 0]
        differences += [abs(row["loss/train"] - losses[row["epoch"] - 1]) for row in rows]
        pairs = zip(ours.model.parameters(), theirs.model.parameters(), strict=True)
        differences += [(a - b).abs().max().item() for a, b in pairs]
    return max(differences)


@pytest.mark.parametrize("reduction", ["mean", pytest.param("sum", marks=pytest.mark.slow)])
def test_every_member_ends_where_it_would_have_ended_alone(reduction):
    assert largest_difference(reduction) < 1e-9


@pytest.mark.slow
def test_rows_that_should_weigh_nothing_would_be_noticed(monkeypatch):
    """The comparison can fail: here the rows that fill up small batches count."""
    heavy = lambda entries, reduction, output, target, weight: entries(output, target).sum()  # noqa: E731
    monkeypatch.setattr(sweep, "_weigh", heavy)
    assert largest_difference("sum") > 1e-3


@pytest.mark.slow
def test_members_are_looked_at_when_fit_would_look():
    swept = members()
    fit_together(swept, ENTRIES, CONFIG)
    looks = [[row["epoch"] for row in member.progress.history] for member in swept]
    assert looks == [[0, 1, 2, 4, 5], [0, 1, 2, 3], [0, 1, 2, 4, 6], [0, 1, 2, 4], [0, 1, 2, 3, 4]]
    assert [member.progress.step for member in swept] == [45, 6, 54, 4, 12]
    assert "gradient/norm" in swept[0].progress.last_row


def test_stacks_are_of_one_shape_and_of_batches_not_too_far_apart():
    swept = members()
    assert [[swept.index(member) for member in group] for group in stack.group_members(swept)] == [[3, 1], [0, 2], [4]]


def state(swept):
    histories = [[{**row, "seconds": 0} for row in member.progress.history] for member in swept]
    return histories, [member.model.state_dict() for member in swept]


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 5, 12, 20])
def test_a_sweep_goes_on_where_it_was(tmp_path, number):
    """It is stopped at its n-th look, and ends bit for bit as if it had not been."""
    uninterrupted = members()
    fit_together(uninterrupted, ENTRIES, CONFIG)
    config = dataclasses.replace(CONFIG, checkpoint_every=4, run_dir=tmp_path)
    looks = iter(range(1, 1000))

    def stop(*_):
        if next(looks) == number:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_together(members(), ENTRIES, config, Checkpoints(tmp_path), observe=stop)
    resumed = members()
    fit_together(resumed, ENTRIES, dataclasses.replace(config, resume=True), Checkpoints(tmp_path))
    (histories, models), (expected, theirs) = state(resumed), state(uninterrupted)
    assert histories == expected
    for ours, reference in zip(models, theirs, strict=True):
        assert all(torch.equal(ours[name], reference[name]) for name in reference)


def test_what_a_sweep_observed_is_on_the_disk_before_its_checkpoint(tmp_path, monkeypatch):
    class Witness(Checkpoints):
        def save(self, step, content):
            saved.append(set(synced))

    logbook, synced, saved = RunLogbook(tmp_path), [], []
    book = logbook.child("first")
    monkeypatch.setattr("amal.runs.logbook.sync", lambda path: synced.append(path.parent))

    def observe(member, row):
        book.scalar("loss", row["loss/train"], row["step"])

    fit_together(members()[:1], ENTRIES, CONFIG, Witness(tmp_path), logbook, observe=observe)
    logbook.close()
    assert saved == [{book.folder}]


@pytest.mark.slow
def test_a_checkpoint_of_another_sweep_is_refused(tmp_path, capsys):
    fit_together(members(), ENTRIES, CONFIG, Checkpoints(tmp_path))
    config = dataclasses.replace(CONFIG, resume=True, run_dir=tmp_path)
    with pytest.raises(UserError, match=r"none of the 1 checkpoints in .* can be used"):
        fit_together(members()[:4], ENTRIES, config, Checkpoints(tmp_path))
    assert "is of another training (5 models there, 4 here)" in capsys.readouterr().err


def test_one_that_diverges_does_not_stop_the_others():
    swept = [Member(network(seed), BOARDS[0], 20, lr, 10) for seed, lr in ((0, 0.1), (0, 1e308))]
    fit_together(swept, ENTRIES, CONFIG)
    fine, diverged = (member.progress.last_row["loss/train"] for member in swept)
    assert fine < 0.7
    assert not torch.tensor(diverged).isfinite()


@pytest.mark.one_in(2)
@pytest.mark.parametrize(("option", "tolerance"), [({"compile": True}, 1e-5), ({"amp": "bf16"}, 2e-2)])
def test_a_sweep_compiles_and_mixes_precisions(option, tolerance):
    results = []
    for config in (CONFIG, dataclasses.replace(CONFIG, **option)):
        swept = [Member(network(0, dtype=torch.float32), board(0, torch.float32), 3, 0.1, 10)]
        fit_together(swept, ENTRIES, config)
        results.append(swept[0].progress.last_row["loss/test"])
    assert results[0] == pytest.approx(results[1], rel=tolerance)


def test_what_a_sweep_cannot_do_is_said():
    with_buffers = Sequential(Linear(2, 4), BatchNorm1d(4)).double()
    with pytest.raises(UserError, match="Sequential has buffers, which a sweep does not keep apart"):
        fit_together([Member(with_buffers, BOARDS[0], 1, 0.1)], ENTRIES, CONFIG)
    loader = DataLoader(TensorDataset(torch.zeros(3, 2), torch.zeros(3, 1)))
    with pytest.raises(UserError, match="a sweep takes tensors, no DataLoader"):
        Member(network(0), Splits(loader, loader, loader), 1, 0.1)
