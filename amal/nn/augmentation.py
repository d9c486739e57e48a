"""Layers that change images in training, so that no two epochs show the same."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


class RandomShift(nn.Module):
    """Move each image by up to so many pixels along each axis, drawn afresh in training; what comes in is 0.

    In evaluation images stay where they are.

    Args:
        pixels: the farthest an image is moved.

    Shapes:
        input and output (n, channels, height, width).

    Raises:
        ValueError: pixels is negative.
    """

    def __init__(self, pixels: int) -> None:
        super().__init__()
        if pixels < 0:
            raise ValueError(f"RandomShift: pixels is {pixels}, expected 0 or more")
        self.pixels = pixels

    def forward(self, input: Tensor) -> Tensor:
        """Move images (n, channels, height, width) in training."""
        if not self.training or self.pixels == 0:
            return input
        n, channels, height, width = input.shape
        room = pad(input, (self.pixels,) * 4)
        down, right = torch.randint(2 * self.pixels + 1, (2, n, 1), device=input.device)
        rows = (torch.arange(height, device=input.device) + down).view(n, 1, height, 1)
        columns = (torch.arange(width, device=input.device) + right).view(n, 1, 1, width)
        channel = torch.arange(channels, device=input.device).view(1, channels, 1, 1)
        return room[torch.arange(n, device=input.device).view(n, 1, 1, 1), channel, rows, columns]

    def extra_repr(self) -> str:
        """Return what `print(model)` shows of this layer."""
        return f"pixels={self.pixels}"
