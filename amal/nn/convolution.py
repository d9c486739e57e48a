"""Convolutions that hold their parameters: torch.nn's layers on hand-written functions."""

from torch import Tensor, nn

from amal import _torch
from amal import functional as F


class Conv1d(nn.Conv1d):
    """Convolution of a signal, with torch.nn.Conv1d's arguments, initialisation and state_dict.

    Shapes: input (n, in, length) or (in, length), weight (out, in / groups, k), bias (out); see amal.functional.conv1d.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Fill up the input where the layer is not to pad with zeros, and convolve."""
        if self.padding_mode == "zeros":
            return F.conv1d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        padded = nn.functional.pad(input, _torch.reversed_padding(self), mode=self.padding_mode)
        return F.conv1d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Conv2d(nn.Conv2d):
    """Convolution of an image, with torch.nn.Conv2d's arguments, initialisation and state_dict.

    Shapes: input (n, in, height, width) or (in, height, width), weight (out, in / groups, k, k'), bias (out); see
    amal.functional.conv2d.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Fill up the input where the layer is not to pad with zeros, and convolve."""
        if self.padding_mode == "zeros":
            return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        padded = nn.functional.pad(input, _torch.reversed_padding(self), mode=self.padding_mode)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
