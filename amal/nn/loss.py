"""Losses as modules, so that they can be handed around like models."""

from torch import Tensor, nn

from amal import functional as F


class MSELoss(nn.MSELoss):
    """Mean squared error, with torch.nn.MSELoss's arguments; see amal.functional.mse_loss.

    Shapes: input and target (*), equal; output a scalar, or (*) for reduction='none'.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of predictions `input` against `target`."""
        return F.mse_loss(input, target, reduction=self.reduction)
