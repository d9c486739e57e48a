"""The layer that holds the parameters of an affine map."""

from math import sqrt

from torch import Tensor, nn

from amal import functional as F


class Linear(nn.Linear):
    """y = x Wᵀ + b, with torch.nn.Linear's arguments, initialisation and state_dict; see amal.functional.linear.

    Weight and bias are drawn from U(−1/√in, 1/√in), as torch.nn.Linear draws them.

    Shapes: input (*, in_features), output (*, out_features), weight (out_features, in_features), bias (out_features).
    """

    def reset_parameters(self) -> None:
        """Draw weight and bias afresh."""
        if self.weight.numel() > 0:  # torch warns of a weight without entries
            super().reset_parameters()
        else:
            _draw_bias(self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*, in_features) to (*, out_features)."""
        return F.linear(input, self.weight, self.bias)


class TiedLinear(nn.Module):
    """y = x W + b with the weight W of another Linear, transposed: a decoder that shares its encoder's weight.

    The weight stays the encoder's: one parameter, one gradient that adds up from both uses, one state_dict entry. Only
    the bias is this layer's own. Keep the encoder in the same model, so that it is trained, moved and saved there.

    Args:
        encoder: the layer whose weight (out, in) is shared.
        bias: whether there is a b.

    Shapes:
        input (*, out), output (*, in), bias (in), where the encoder maps (*, in) to (*, out).
    """

    def __init__(self, encoder: nn.Linear, bias: bool = True) -> None:
        super().__init__()
        self._encoder = (encoder,)  # in a tuple: a module seen here would be registered, and saved, twice
        self.in_features, self.out_features = encoder.out_features, encoder.in_features
        if bias:
            weight = encoder.weight
            self.bias: nn.Parameter | None = nn.Parameter(weight.new_empty(self.out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    @property
    def weight(self) -> Tensor:
        """The encoder's weight, transposed: (in, out)."""
        return self._encoder[0].weight.t()

    def reset_parameters(self) -> None:
        """Draw the bias afresh, as Linear does; the weight is the encoder's to draw."""
        _draw_bias(self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*, out) to (*, in)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return what `print(model)` shows of this layer."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _draw_bias(bias: Tensor | None, in_features: int) -> None:
    if bias is not None:
        bound = 1 / sqrt(in_features) if in_features > 0 else 0.0
        nn.init.uniform_(bias, -bound, bound)
