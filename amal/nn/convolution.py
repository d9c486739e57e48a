"""Convolutions that hold their parameters: torch.nn's layers on hand-written functions."""

from torch import Tensor, nn

from amal import functional as F


class Conv1d(nn.Conv1d):
    """Convolution of a signal, with torch.nn.Conv1d's arguments, initialisation and state_dict.

    Shapes: input (n, in, length) or (in, length), weight (out, in / groups, k), bias (out); see amal.functional.conv1d.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode == "zeros":
            return F.conv1d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        padded = nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return F.conv1d(padded, weight, bias, self.stride, 0, self.dilation, self.groups)


class Conv2d(nn.Conv2d):
    """Convolution of an image, with torch.nn.Conv2d's arguments, initialisation and state_dict.

    Shapes: input (n, in, height, width) or (in, height, width), weight (out, in / groups, k, k'), bias (out); see
    amal.functional.conv2d.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode == "zeros":
            return F.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        padded = nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return F.conv2d(padded, weight, bias, self.stride, 0, self.dilation, self.groups)
