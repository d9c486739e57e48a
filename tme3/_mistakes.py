"""The mistakes that students make in TME 3: networks put together wrongly from right parts, and a wrong look at one."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from amal.data import Split
from amal.functional import linear, relu, sigmoid
from amal.nn import Linear


class ZeroTied(nn.Module):
    """The sheet's autoencoder, its parameters in hand: relu(x Wᵀ + b), then sigmoid(h W + c). All start at 0."""

    def __init__(self, pixels: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size, pixels))
        self.bias, self.output_bias = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(pixels))

    def forward(self, image: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to what their codes keep of them."""
        code = relu(linear(image.flatten(1), self.weight, self.bias))
        return sigmoid(linear(code, self.weight.T, self.output_bias)).reshape(image.shape)


class DrawnTied(ZeroTied):
    """The same, with a weight drawn from Glorot's law: the right version."""

    def __init__(self, pixels: int, size: int) -> None:
        super().__init__(pixels, size)
        nn.init.xavier_uniform_(self.weight)


class LinearCarry(nn.Module):
    """A highway layer that carries C(x) = x Wᵀ + b where it should carry x: H Z + C (1 - Z)."""

    def __init__(self, features: int, gate_bias: float) -> None:
        super().__init__()
        self.transform, self.gate, self.carry = (Linear(features, features) for _ in range(3))
        nn.init.constant_(self.gate.bias, gate_bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map input (n, features) to (n, features)."""
        gate = sigmoid(self.gate(input))
        return relu(self.transform(input)) * gate + self.carry(input) * (1 - gate)


@torch.no_grad()
def mean_in_training_mode(
    model: nn.Module, metric: Callable[[Tensor, Tensor], Tensor], split: Split, batch_size: int
) -> float:
    """Return the mean of a metric over a split. `model.eval()` is forgotten."""
    total = 0.0
    for input, target in zip(split.input.split(batch_size), split.target.split(batch_size), strict=True):
        total += float(metric(model(input), target)) * len(input)
    return total / len(split)
