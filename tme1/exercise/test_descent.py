"""TME 1, question 7: does the descent go down the right way? Each part alone, the others played by autograd."""

from itertools import pairwise
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from . import descent


class PlayedContext:
    """A context that only knows who it is."""

    needs_input_grad = (True, True, True)


class Played:
    """A Function played by autograd."""

    def __init__(self, name: str, compute: Any, calls: dict[Any, Any]) -> None:
        self.name, self.compute, self.calls = name, compute, calls

    def forward(self, ctx: Any, *tensors: Tensor) -> Tensor:
        """Compute, and remember for whom."""
        assert isinstance(ctx, PlayedContext), f"{self.name}.forward was given {ctx!r} as its context, not a Context"
        assert ctx not in self.calls, "two forwards were given the same Context: the second overwrites what it keeps"
        self.calls[ctx] = self.name, tensors
        output: Tensor = self.compute(*tensors)
        return output

    def backward(self, ctx: Any, grad_output: Tensor) -> tuple[Tensor, ...]:
        """Let autograd differentiate."""
        name, tensors = self.calls.get(ctx, ("nobody", ()))
        assert name == self.name, f"{self.name}.backward was given the context of the forward of {name}"
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        with torch.enable_grad():
            return torch.autograd.grad(self.compute(*leaves), leaves, grad_output)


def error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the sheet's mean squared error."""
    return torch.nn.functional.mse_loss(prediction, target, reduction="sum") / len(target)


def affine(X: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """Return the affine map in the sheet's convention."""
    return torch.nn.functional.linear(X, W.T, b)


def played_gradients(X: Tensor, Y: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    """Return the loss and its gradients by W and b, as autograd finds them."""
    W, b = (tensor.detach().clone().requires_grad_() for tensor in (W, b))
    loss = error(affine(X, W, b), Y)
    return loss.detach(), *torch.autograd.grad(loss, (W, b))


def played() -> Any:
    """Replace the other parts, so that this one is tried alone."""
    calls: dict[Any, Any] = {}
    linear, mse = Played("Linear", affine, calls), Played("MSE", error, calls)
    return patch.multiple(descent, Context=PlayedContext, Linear=linear, MSE=mse)


def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return X (20, 4), Y (20, 2), W (4, 2), b (2,)."""
    random = torch.Generator().manual_seed(0)
    X, Y, W, b = (
        torch.randn(*shape, generator=random, dtype=torch.float64) for shape in ((20, 4), (20, 2), (4, 2), (2,))
    )
    return X, Y, W, b


def assert_close(name: str, found: Tensor, due: Tensor) -> None:
    """Compare shape and values."""
    assert found.shape == due.shape, f"{name} has shape {tuple(found.shape)}, expected {tuple(due.shape)}"
    difference = float((found - due).detach().abs().max())
    assert difference < 1e-9 * (1 + float(due.abs().max())), f"{name} is wrong by up to {difference:.3g}"


def test_7a_keeps() -> None:
    """What is put aside is there again, the same tensors in the same order."""
    X, Y, *_ = data()
    context = descent.Context()
    context.save_for_backward(X, Y)
    kept = tuple(context.saved_tensors)
    assert len(kept) == 2, f"of 2 tensors put aside, saved_tensors has {len(kept)}"
    assert kept[0] is X, "saved_tensors[0] is not the first tensor that was put aside"
    assert kept[1] is Y, "saved_tensors[1] is not the second tensor that was put aside"


def test_7a_of_its_own() -> None:
    """Two contexts keep apart what was put aside in each."""
    X, Y, *_ = data()
    first, second = descent.Context(), descent.Context()
    first.save_for_backward(X)
    second.save_for_backward(Y)
    assert first.saved_tensors[0] is X, "a second Context overwrites what the first one keeps"


def test_7b_gradients() -> None:
    """The loss and both gradients are those that autograd finds."""
    with played():
        found = descent.gradients(*data())
    names = ("the loss", "the gradient by W", "the gradient by b")
    assert len(found) == 3, f"gradients returns {len(found)} things, expected {', '.join(names)}"
    for name, one, due in zip(names, found, played_gradients(*data()), strict=True):
        assert_close(name, one, due)


def test_7b_no_graph() -> None:
    """Everything is done by hand: autograd records nothing."""
    X, Y, W, b = data()
    with played():
        loss, *_ = descent.gradients(X, Y, W, b)
    assert loss.grad_fn is None, "the loss has a grad_fn: autograd was at work"
    assert W.grad is None, "W.grad is set: autograd was at work"


def test_7c_one_step() -> None:
    """A step goes against the gradients, by the learning rate."""
    X, Y, W, b = data()
    loss, grad_W, grad_b = played_gradients(X, Y, W, b)
    with played(), patch.object(descent, "gradients", played_gradients):
        losses, after_W, after_b = descent.descend(X, Y, W.clone(), b.clone(), lr=0.1, steps=1)
    assert len(losses) == 1, f"{len(losses)} losses of one step"
    assert abs(float(losses[0]) - float(loss)) < 1e-9, "the first loss is not the one before the first step"
    moved = (after_W - W) * grad_W
    assert not bool((moved > 0).any()), "W goes along its gradient: descent goes against it"
    assert_close("the step of W, divided by -lr,", (after_W - W) / -0.1, grad_W)
    assert_close("the step of b, divided by -lr,", (after_b - b) / -0.1, grad_b)


def test_7c_many_steps() -> None:
    """With the sheet's learning rate, the loss falls at every step."""
    X, Y, W, b = data()
    with played(), patch.object(descent, "gradients", played_gradients):
        losses, after_W, after_b = descent.descend(X, Y, W, b, lr=0.05, steps=200)
    assert len(losses) == 200, f"{len(losses)} losses of 200 steps"
    assert all(later < earlier for earlier, later in pairwise(losses)), "the loss does not fall at every step"
    _, grad_W, grad_b = played_gradients(X, Y, after_W, after_b)
    left = max(float(grad_W.abs().max()), float(grad_b.abs().max()))
    assert left < 1e-3, f"after 200 steps the gradient is still {left:.2g}: does each step start where the last ended?"


def test_7c_nothing_changed() -> None:
    """The W and b that were given are as they were."""
    X, Y, W, b = data()
    with played(), patch.object(descent, "gradients", played_gradients):
        descent.descend(X, Y, W, b, lr=0.05, steps=3)
    assert W.equal(data()[2]), "descend changes the W that it was given"
    assert b.equal(data()[3]), "descend changes the b that it was given"
