"""TME 2: batch, stochastic and mini-batch descent. Questions 1 and 2 of the lab sheet.

Autograd finds the gradients now, of amal's hand-written operations; the steps are yours. When all is done, compare:

    python regression.py
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from amal.functional import linear, mse_loss


def batches(examples: int, batch_size: int | None, random: torch.Generator) -> Iterator[Tensor]:
    """Question 1a. One epoch: the numbers of all examples, each once, in an order drawn at random, batch by batch.

    Args:
        examples: how many there are.
        batch_size: how many in a batch (the last batch has what is left); None for all at once.
        random: to draw the order with, afresh at each call, as `torch.randperm(..., generator=random)` does.

    Returns:
        an iterator over int64 tensors (batch_size,): batch descent has one of them, stochastic descent one per example.
    """
    ### BEGIN SOLUTION
    order = torch.randperm(examples, generator=random)
    return iter(order.split(batch_size or examples))  # type: ignore[no-untyped-call]
    ### END SOLUTION


def update(parameters: Sequence[Tensor], lr: float) -> None:
    """Question 2a. One step: each parameter goes against its gradient by the learning rate (ε), in place.

    The step is no part of the function that is differentiated, so autograd must not record it. Afterwards nothing is
    left in `.grad` that the next backward would add to: it is None, or zero.

    Args:
        parameters: leaves with `.grad`.
        lr: the learning rate.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                parameter -= lr * parameter.grad
                parameter.grad = None
    ### END SOLUTION


def descend(
    predict: Callable[[Tensor], Tensor],
    parameters: Sequence[Tensor],
    X: Tensor,
    Y: Tensor,
    batch_size: int | None,
    lr: float,
    epochs: int,
    random: torch.Generator,
) -> list[float]:
    """Question 2b. Gradient descent of `mse_loss(predict(X), Y)`: in each epoch an update for each of its batches.

    Args:
        predict: maps rows of X to predictions, with the parameters.
        parameters: what to move.
        X: (n, features).
        Y: (n, 1).
        batch_size: see batches.
        lr: the learning rate.
        epochs: how often every example is met.
        random: see batches.

    Returns:
        the loss of all of X and Y (not of the last batch) after each epoch, `epochs` numbers.
    """
    ### BEGIN SOLUTION
    losses = []
    for _ in range(epochs):
        for rows in batches(len(X), batch_size, random):
            mse_loss(predict(X[rows]), Y[rows]).backward()  # type: ignore[no-untyped-call]
            update(parameters, lr)
        with torch.no_grad():
            losses.append(float(mse_loss(predict(X), Y)))
    return losses
    ### END SOLUTION


def main() -> None:
    """Fit a line to scikit-learn's diabetes data by the three kinds of descent."""
    from amal.data import diabetes

    data = diabetes(seed=0)
    mean, deviation = data.train.target.mean(), data.train.target.std()
    X, Y = data.train.input, (data.train.target - mean) / deviation
    X_test, Y_test = data.test.input, (data.test.target - mean) / deviation
    for kind, batch_size, lr in (("batch", None, 0.1), ("stochastic", 1, 0.001), ("mini-batch", 32, 0.02)):
        weight, bias = torch.zeros(1, X.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)

        def predict(rows: Tensor, weight: Tensor = weight, bias: Tensor = bias) -> Tensor:
            return linear(rows, weight, bias)

        losses = descend(predict, [weight, bias], X, Y, batch_size, lr, 50, torch.Generator().manual_seed(0))
        with torch.no_grad():
            test = float(mse_loss(predict(X_test), Y_test))
        print(f"{kind:10}  ε {lr:<6g} train {losses[0]:.3f} → {losses[-1]:.3f}  test {test:.3f}")


if __name__ == "__main__":
    main()
