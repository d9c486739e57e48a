"""TME 3: a highway network. Question 7 of the lab sheet.

When all is done, train one of twenty layers on scikit-learn's digits:

    python highway.py
"""

import torch
from torch import Tensor, nn

from amal.functional import cross_entropy, relu, sigmoid
from amal.nn import Linear, ReLU, Sequential


class Highway(nn.Module):
    """Question 7a. A highway layer: y = H Z + x (1 − Z), with H = relu(transform(x)) and Z = sigmoid(gate(x)).

    `transform` and `gate` are Linear layers of amal.nn, `features` in and out. What is carried, x (1 − Z), has no
    parameters.
    """

    def __init__(self, features: int, gate_bias: float = -1.0) -> None:
        """Make the two layers, and let the gate start almost shut: all entries of its bias are gate_bias."""
        super().__init__()
        ### BEGIN SOLUTION
        self.transform = Linear(features, features)
        self.gate = Linear(features, features)
        nn.init.constant_(self.gate.bias, gate_bias)
        ### END SOLUTION

    def forward(self, input: Tensor) -> Tensor:
        """Map input (n, features) to (n, features)."""
        ### BEGIN SOLUTION
        transform, gate = relu(self.transform(input)), sigmoid(self.gate(input))
        return transform * gate + input * (1 - gate)
        ### END SOLUTION


def highway_network(features: int, classes: int, width: int, depth: int) -> Sequential:
    """Question 7b. Linear to `width`, ReLU, `depth` − 1 highway layers, Linear to `classes` logits.

    Args:
        features: size of an input.
        classes: how many.
        width: of all hidden layers.
        depth: how many hidden layers, the first included. Each has weights of its own.
    """
    ### BEGIN SOLUTION
    highways = [Highway(width) for _ in range(depth - 1)]
    return Sequential(Linear(features, width), ReLU(), *highways, Linear(width, classes))
    ### END SOLUTION


def main() -> None:
    """Train a deep one."""
    from amal.data import digits
    from amal.optim import Adam

    torch.manual_seed(0)
    data = digits()
    train, test = data.train.input.flatten(1), data.test.input.flatten(1)
    model = highway_network(64, 10, width=50, depth=20)
    optimizer = Adam(model.parameters(), 0.003)
    for step in range(1, 201):
        optimizer.zero_grad()
        loss = cross_entropy(model(train), data.train.target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 50 == 0:
            with torch.no_grad():
                accuracy = float((model(test).argmax(1) == data.test.target).float().mean())
            print(f"step {step}: loss {loss.item():.3f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
