"""Pooling as layers: torch.nn's layers on hand-written functions."""

from torch import Tensor, nn

from amal import functional as F


class MaxPool1d(nn.MaxPool1d):
    """Maximum of sliding windows, with torch.nn.MaxPool1d's arguments; see amal.functional.max_pool1d.

    Shapes: input (n, c, length) or (c, length), output (n, c, places) or (c, places).
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the maxima, and their positions too with return_indices."""
        return F.max_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class MaxPool2d(nn.MaxPool2d):
    """Maximum of sliding windows, with torch.nn.MaxPool2d's arguments; see amal.functional.max_pool2d.

    Shapes: input (n, c, height, width) or (c, height, width), output (n, c, rows, columns) or (c, rows, columns).
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the maxima, and their positions too with return_indices."""
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class AvgPool1d(nn.AvgPool1d):
    """Mean of sliding windows, with torch.nn.AvgPool1d's arguments; see amal.functional.avg_pool1d.

    Shapes: input (n, c, length) or (c, length), output (n, c, places) or (c, places).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the means."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(nn.AvgPool2d):
    """Mean of sliding windows, with torch.nn.AvgPool2d's arguments; see amal.functional.avg_pool2d.

    Shapes: input (n, c, height, width) or (c, height, width), output (n, c, rows, columns) or (c, rows, columns).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the means."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """Mean over a given number of windows, with torch.nn.AdaptiveAvgPool2d's arguments.

    Shapes: input (n, c, height, width) or (c, height, width), output (n, c, rows, columns) or (c, rows, columns); see
    amal.functional.adaptive_avg_pool2d.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the means."""
        return F.adaptive_avg_pool2d(input, self.output_size)
