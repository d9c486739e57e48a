"""Losses as modules, so that they can be handed around like models."""

from torch import Tensor, nn

from amal import functional as F


class MSELoss(nn.Module):
    """Mean squared error, with torch.nn.MSELoss's arguments; see amal.functional.mse_loss.

    Shapes: input and target (*), equal; output a scalar, or (*) for reduction='none'.
    """

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.size_average, self.reduce, self.reduction = size_average, reduce, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of predictions `input` against `target`."""
        return F.mse_loss(input, target, self.size_average, self.reduce, self.reduction)
