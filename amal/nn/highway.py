"""The layer of highway networks."""

import torch
from torch import Tensor, nn

from amal import functional as F

from .linear import Linear


class Highway(nn.Module):
    """y = H Z + x (1 − Z): a transform H and a gate Z that says how much of it to take; see amal.functional.highway.

    Weights and biases are drawn as Linear's, but for the gate's bias, which is one negative number at first: a deep
    stack starts as almost the identity, through which gradients pass (Srivastava et al. 2015, section 2.1).

    Args:
        features: d, size of the last dimension of input and output alike.
        activation: of the transform, one of 'relu', 'tanh', 'sigmoid'.
        gate_bias: what each gate bias is at first.
        device, dtype: of the parameters.

    Shapes:
        input and output (*, d), transform.weight and gate.weight (d, d), transform.bias and gate.bias (d).
    """

    def __init__(
        self,
        features: int,
        activation: str = "relu",
        gate_bias: float = -1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.features, self.activation, self.gate_bias = features, activation, gate_bias
        self.transform = Linear(features, features, device=device, dtype=dtype)
        self.gate = Linear(features, features, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and biases afresh, and let the gates start almost shut."""
        self.transform.reset_parameters()
        self.gate.reset_parameters()
        nn.init.constant_(self.gate.bias, self.gate_bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*, d) to (*, d)."""
        transform, gate = self.transform, self.gate
        return F.highway(input, transform.weight, transform.bias, gate.weight, gate.bias, self.activation)

    def extra_repr(self) -> str:
        """Return what `print(model)` shows of this layer."""
        return f"{self.features}, activation={self.activation!r}, gate_bias={self.gate_bias}"
