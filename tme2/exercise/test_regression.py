"""TME 2, questions 1 and 2: does the descent meet every example, and step as it should? Each part alone."""

from collections.abc import Iterator
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

from . import regression


def generator(seed: int = 0) -> torch.Generator:
    """Return a random generator."""
    return torch.Generator().manual_seed(seed)


def rows_in_order(examples: int, batch_size: int | None, _: torch.Generator) -> Iterator[Tensor]:
    """Play `batches`, without a random order."""
    numbers = list(range(examples))
    size = batch_size or examples
    for first in range(0, examples, size):
        yield torch.tensor(numbers[first : first + size])


def played_update(parameters: list[Tensor], lr: float) -> None:
    """Play `update`, by torch's own optimiser."""
    descent = torch.optim.SGD(parameters, lr)
    descent.step()
    descent.zero_grad()


def table(examples: int = 10) -> tuple[Tensor, Tensor]:
    """Return X (n, 3) and Y (n, 1)."""
    X = torch.randn(examples, 3, generator=generator(), dtype=torch.float64)
    return X, torch.randn(examples, 1, generator=generator(1), dtype=torch.float64)


def start() -> list[Tensor]:
    """Return a weight (1, 3) and a bias (1,), always the same."""
    weight = torch.randn(1, 3, generator=generator(2), dtype=torch.float64)
    return [weight.requires_grad_(), torch.zeros(1, dtype=torch.float64, requires_grad=True)]


def line(parameters: list[Tensor], X: Tensor) -> Tensor:
    """Return the predictions of the line, computed by torch."""
    return torch.nn.functional.linear(X, *parameters)


def loss(parameters: list[Tensor], X: Tensor, Y: Tensor) -> Tensor:
    """Return the mean squared error of the line, computed by torch."""
    return torch.nn.functional.mse_loss(line(parameters, X), Y)


def test_1a_all_examples() -> None:
    """Every example is met once in an epoch, whatever the size of the batches."""
    for batch_size in (None, 1, 4, 5, 100):
        met = sorted(int(row) for rows in regression.batches(10, batch_size, generator()) for row in rows)
        assert met == list(range(10)), f"batches of {batch_size} out of 10 examples meet {met}: each is due once"


def test_1a_sizes() -> None:
    """All batches are full but for the last one."""
    for batch_size, due in ((None, [10]), (1, [1] * 10), (4, [4, 4, 2]), (100, [10])):
        sizes = [len(rows) for rows in regression.batches(10, batch_size, generator())]
        assert sizes == due, f"batches of {batch_size} out of 10 examples have the sizes {sizes}, expected {due}"


def test_1a_random() -> None:
    """The order is drawn from the generator: another in each epoch, the same again from the same seed."""
    random = generator()
    first, second = (torch.cat(list(regression.batches(50, 8, random))) for _ in range(2))
    again = torch.cat(list(regression.batches(50, 8, generator())))
    assert not first.equal(torch.arange(50)), "the examples come in the order in which they lie"
    assert not first.equal(second), "the second epoch has the order of the first"
    assert first.equal(again), "two generators of one seed do not give one order: what else is drawn from?"


def test_2a_step() -> None:
    """Every parameter goes against its gradient, in place and outside the graph."""
    parameters = [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([[3.0]], requires_grad=True)]
    same = list(parameters)
    for parameter, gradient in zip(parameters, ([10.0, -20.0], [[5.0]]), strict=True):
        parameter.grad = torch.tensor(gradient)
    regression.update(parameters, lr=0.1)
    assert all(now is was for now, was in zip(parameters, same, strict=True)), "a parameter was replaced by another"
    for parameter, due in zip(same, ([0.0, 4.0], [[2.5]]), strict=True):
        assert torch.allclose(parameter, torch.tensor(due)), (
            f"a parameter is {parameter.tolist()} after the step, expected {due}"
        )
        assert parameter.is_leaf, "the step was recorded by autograd"
        assert parameter.requires_grad, "a parameter does not require a gradient any more"


def test_2a_gradients_zeroed() -> None:
    """Nothing is left for the next backward to add to."""
    parameter = torch.tensor([1.0], requires_grad=True)
    for _ in range(2):
        (3 * parameter).sum().backward()  # type: ignore[no-untyped-call]
        regression.update([parameter], lr=0.1)
        left = parameter.grad
        assert left is None or not left.any(), f"after a step .grad is still {left}: the next backward adds to it"
    assert abs(float(parameter.detach()) - 0.4) < 1e-6, (
        f"1 − 2 steps of 0.1 · 3 is 0.4, found {float(parameter.detach()):.3g}"
    )


def test_2b_epochs() -> None:
    """The losses after each epoch, and the last parameters, are those of torch's own optimiser."""
    X, Y = table()
    for batch_size in (None, 4, 1):
        mine, theirs = start(), start()
        with patch.multiple(regression, batches=rows_in_order, update=played_update):
            predict = partial(line, mine)
            found = regression.descend(predict, mine, X, Y, batch_size, 0.05, 3, generator())
        due = []
        for _ in range(3):
            for rows in rows_in_order(len(X), batch_size, generator()):
                loss(theirs, X[rows], Y[rows]).backward()  # type: ignore[no-untyped-call]
                played_update(theirs, 0.05)
            due.append(float(loss(theirs, X, Y).detach()))
        which = f"with batches of {batch_size}"
        assert len(found) == 3, f"{which}, {len(found)} losses of 3 epochs"
        far = max(float((a - b).detach().abs().max()) for a, b in zip(mine, theirs, strict=True))
        assert far < 1e-9, f"{which}, the parameters after 3 epochs are off by up to {far:.3g}"
        for epoch, (one, other) in enumerate(zip(found, due, strict=True), start=1):
            assert abs(float(one) - other) < 1e-9, (
                f"{which}, the loss after epoch {epoch} is {float(one):.6g}: over all examples it is {other:.6g}"
            )
        assert not any(isinstance(one, Tensor) and one.requires_grad for one in found), "a loss holds its graph"
