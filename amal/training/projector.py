"""Thumbnails for TensorBoard's projector, in the colours of their labels.

It can colour points by their labels, but only after it was asked to, for each run anew: here the pictures are coloured.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

LEAST = 24
"""Pixels of a thumbnail's side, at least: smaller ones are shown blurred."""


def coloured(thumbnails: Tensor, labels: Sequence[str]) -> Tensor:
    """Return thumbnails (n, 3, height, width) whose ink has the colour of the label, enlarged if they are small.

    Args:
        thumbnails: (n, 1 or 3, height, width), in [0, 1], dark on white; those of three channels keep their colours.
        labels: of each one; there are ten colours, and labels share them if there are more.
    """
    from matplotlib import colormaps  # half a second to import: not for --help

    larger = max(1, -(-LEAST // min(thumbnails.shape[-2:])))
    large = thumbnails.repeat_interleave(larger, -2).repeat_interleave(larger, -1)
    if large.shape[1] == 1:
        numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
        palette = torch.from_numpy(colormaps["tab10"](range(10))[:, :3])
        ink = palette[[numbers[label] % len(palette) for label in labels]][:, :, None, None]
        large = 1 - (1 - large) * (1 - ink).to(large)
    return pad(large, (1, 1, 1, 1), value=1.0)  # or a neighbour in the picture of all of them is seen at the edge
