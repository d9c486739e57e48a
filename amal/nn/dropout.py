"""The layer that leaves entries out at random."""

from torch import Tensor, nn

from amal import functional as F


class Dropout(nn.Dropout):
    """Dropout, with torch.nn.Dropout's arguments; see amal.functional.dropout.

    Shapes: input and output (*), equal.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Leave entries out in training; in evaluation return the input."""
        return F.dropout(input, self.p, self.training, self.inplace)
