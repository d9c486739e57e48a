"""Thumbnails for TensorBoard's projector, in the colours of their labels.

It can colour points by their labels, but only after it was asked to, for each run anew: here the
pictures are coloured.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from amal.files import write_whole

LEAST = 24
"""Pixels of a thumbnail's side, at least: smaller ones are shown blurred."""


def write_points(folder: Path, vectors: Tensor, labels: Sequence[str], thumbnails: Tensor) -> None:
    """Write the points that the projector shows of a run, in the place of those it showed.

    Args:
        folder: of the run.
        vectors: (n, d).
        labels, thumbnails: as for `coloured`.
    """
    from matplotlib.image import imsave
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    config = folder / "projector_config.pbtxt"
    config.unlink(missing_ok=True)  # or it would name files that are half-written
    (folder / "projector").mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "projector/points.tsv", vectors, "%.7g", "\t")
    lines = "".join(f"{' '.join(label.split())}\n" for label in labels)
    (folder / "projector/labels.tsv").write_text(lines, encoding="utf-8")
    pictures = colour(thumbnails, labels)
    imsave(folder / "projector/sprite.png", _square(pictures).numpy())

    content = ProjectorConfig()
    embedding = content.embeddings.add(
        tensor_name="embedding", tensor_path="projector/points.tsv", metadata_path="projector/labels.tsv"
    )
    embedding.sprite.image_path = "projector/sprite.png"
    embedding.sprite.single_image_dim.extend([pictures.shape[3], pictures.shape[2]])
    write_whole(config, str(content).encode())


def _square(pictures: Tensor) -> Tensor:
    """Return pictures (n, channels, h, w) as one of (rows h, columns w, channels), rows = columns."""
    n, channels, height, width = pictures.shape
    side = math.isqrt(n - 1) + 1
    padded = pad(pictures, (0, 0, 0, 0, 0, 0, 0, side * side - n)).clamp(0, 1)
    rows = padded.reshape(side, side, channels, height, width).permute(0, 3, 1, 4, 2)
    return rows.reshape(side * height, side * width, channels)


def colour(thumbnails: Tensor, labels: Sequence[str]) -> Tensor:
    """Return thumbnails (n, 3, height, width) in the colours of their labels, enlarged if small.

    Args:
        thumbnails: (n, 1 or 3, height, width), in [0, 1], dark on white; those of three channels
            keep their colours.
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
    # With a margin: TensorBoard would show a line of the neighbour in the sprite.
    return pad(large, (1, 1, 1, 1), value=1.0)
