"""TME 2: a network of two layers, as a Module and as a Sequential. Question 3 of the lab sheet.

When all is done, train it on scikit-learn's diabetes data:

    python regressor.py
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from amal.functional import mse_loss, tanh
from amal.nn import Linear, Sequential, Tanh


class Regressor(nn.Module):
    """Question 3a. Linear → tanh → Linear, written out: input (n, features) → prediction (n, 1).

    Two layers of amal.nn, `hidden` and `output`, which a Module finds by itself when they are its attributes.
    """

    def __init__(self, features: int, hidden: int) -> None:
        """Make the layers: `hidden` neurons, then one output."""
        super().__init__()
        ### BEGIN SOLUTION
        self.hidden = Linear(features, hidden)
        self.output = Linear(hidden, 1)
        ### END SOLUTION

    def forward(self, input: Tensor) -> Tensor:
        """Return the prediction (n, 1) for input (n, features)."""
        ### BEGIN SOLUTION
        prediction: Tensor = self.output(tanh(self.hidden(input)))
        return prediction
        ### END SOLUTION


def sequential(features: int, hidden: int) -> Sequential:
    """Question 3b. The same network as a container of three layers of amal.nn."""
    ### BEGIN SOLUTION
    return Sequential(Linear(features, hidden), Tanh(), Linear(hidden, 1))
    ### END SOLUTION


def train_step(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    input: Tensor,
    target: Tensor,
    optimizer: torch.optim.Optimizer,
) -> float:
    """Question 3c. One step of an optimiser down the gradient of loss(model(input), target), and of nothing else.

    Whatever was left in the parameters' `.grad` before has no part in it.

    Args:
        model: called with the input.
        loss: called with the model's answer and the target.
        input: (n, features).
        target: (n, 1).
        optimizer: of the model's parameters.

    Returns:
        the loss before the step, a number that holds no graph.
    """
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    value = loss(model(input), target)
    value.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return value.item()
    ### END SOLUTION


def main() -> None:
    """Train the network on the diabetes data."""
    from amal.data import diabetes
    from amal.optim import SGD

    torch.manual_seed(0)
    data = diabetes(seed=0)
    mean, deviation = data.train.target.mean(), data.train.target.std()
    X, Y = data.train.input, (data.train.target - mean) / deviation
    X_test, Y_test = data.test.input, (data.test.target - mean) / deviation
    model = Regressor(X.shape[1], 20)
    optimizer = SGD(model.parameters(), 0.1)
    for epoch in range(1, 201):
        loss = train_step(model, mse_loss, X, Y, optimizer)
        if epoch % 50 == 0:
            with torch.no_grad():
                test = float(mse_loss(model(X_test), Y_test))
            print(f"epoch {epoch:3}: train {loss:.3f}  test {test:.3f}")


if __name__ == "__main__":
    main()
