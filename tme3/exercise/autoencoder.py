"""TME 3: an autoencoder with tied weights. Question 4 of the lab sheet.

When it is done, train it on scikit-learn's digits:

    python autoencoder.py
"""

import torch
from torch import Tensor, nn

from amal.functional import linear, mse_loss, relu, sigmoid


class TiedAutoencoder(nn.Module):
    """Question 4. A picture x through a code h and back: h = relu(W x + b), x̂ = sigmoid(Wᵀ h + b′).

    Three parameters and no more: `weight` W (code, pixels), which both layers use, `encoder_bias` b (code,) and
    `decoder_bias` b′ (pixels,). amal.functional.linear(input, weight, bias) is input @ weight.T + bias.
    """

    def __init__(self, pixels: int, code: int) -> None:
        """Make the parameters: biases of zero, and a weight that is not (nn.init.xavier_uniform_ suits both ways)."""
        super().__init__()
        ### BEGIN SOLUTION
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(code, pixels)))
        self.encoder_bias = nn.Parameter(torch.zeros(code))
        self.decoder_bias = nn.Parameter(torch.zeros(pixels))
        ### END SOLUTION

    def encode(self, input: Tensor) -> Tensor:
        """Return the codes (n, code) of pictures (n, pixels)."""
        ### BEGIN SOLUTION
        return relu(linear(input, self.weight, self.encoder_bias))
        ### END SOLUTION

    def decode(self, code: Tensor) -> Tensor:
        """Return the pictures (n, pixels) that codes (n, code) stand for."""
        ### BEGIN SOLUTION
        return sigmoid(linear(code, self.weight.T, self.decoder_bias))
        ### END SOLUTION

    def forward(self, input: Tensor) -> Tensor:
        """Return the pictures (n, pixels) as their codes keep them."""
        ### BEGIN SOLUTION
        return self.decode(self.encode(input))
        ### END SOLUTION


def main() -> None:
    """Train with 30 numbers for the 64 pixels of a digit."""
    from amal.data import digits
    from amal.optim import Adam

    torch.manual_seed(0)
    data = digits()
    train, test = data.train.input.flatten(1), data.test.input.flatten(1)
    model = TiedAutoencoder(64, 30)
    optimizer = Adam(model.parameters(), 0.01)
    for step in range(1, 501):
        optimizer.zero_grad()
        loss = mse_loss(model(train), train)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 100 == 0:
            with torch.no_grad():
                print(
                    f"step {step}: squared error of a pixel {loss.item():.4f}, test {mse_loss(model(test), test):.4f}"
                )


if __name__ == "__main__":
    main()
