"""Non-linearities as modules, with torch.nn's arguments; input and output have one shape (*)."""

from torch import Tensor, nn

from amal import functional as F


class Tanh(nn.Tanh):
    """tanh of every entry; see amal.functional.tanh."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.tanh(input)


class Sigmoid(nn.Sigmoid):
    """The logistic sigmoid of every entry; see amal.functional.sigmoid."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.sigmoid(input)


class ReLU(nn.ReLU):
    """Negative entries become zero; see amal.functional.relu."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.relu(input, self.inplace)


class LeakyReLU(nn.LeakyReLU):
    """Negative entries are multiplied by a small slope; see amal.functional.leaky_relu."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class Threshold(nn.Threshold):
    """Entries that do not exceed a threshold become a value; see amal.functional.threshold."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.threshold(input, self.threshold, self.value, self.inplace)


class GELU(nn.GELU):
    """Every entry times the chance that a normal number is smaller; see amal.functional.gelu."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.gelu(input, self.approximate)


class SiLU(nn.SiLU):
    """Every entry times its sigmoid; see amal.functional.silu."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.silu(input, self.inplace)


class Softmax(nn.Softmax):
    """Numbers become probabilities along a dimension; see amal.functional.softmax."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(nn.LogSoftmax):
    """Numbers become log-probabilities along a dimension; see amal.functional.log_softmax."""

    def forward(self, input: Tensor) -> Tensor:
        """Map input (*) to (*)."""
        return F.log_softmax(input, self.dim, _stacklevel=5)
