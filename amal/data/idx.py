"""MNIST and Fashion-MNIST, from the four IDX files that each was published as, plain or gzipped."""

import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import checksums
from .files import damage, find, unpack

COUNTS = {"train": 60_000, "t10k": 10_000}


def read_idx(root: Path, kind: str, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the pictures (n, 28, 28) and labels (n,) published for training, then those for test, uint8.

    Args:
        root: the folder of all data sets.
        kind: torchvision's name of this one, and of its folder.
        name: what it is called.

    Raises:
        UserError: a file is unreadable or not the original one, or is missing and cannot be downloaded.
    """
    names = [f"{part}-{what}" for part in COUNTS for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    shapes = [shape for count in COUNTS.values() for shape in ((count, 28, 28), (count,))]
    limits = [_length(shape) for shape in shapes]
    pairs = [(file, f"{file}.gz") for file in names]
    files = find(root, root / kind / "raw", pairs, limits, kind, f"{name} needs its four files, plain or gzipped")
    images, labels, test_images, test_labels = (
        _decode(path, content, shape, checksums.SHA256[f"{kind}/{file}"])
        for (path, content), shape, file in zip(files, shapes, names, strict=True)
    )
    return images, labels, test_images, test_labels


def _length(shape: tuple[int, ...]) -> int:
    """Return the bytes of a file: the magic number and the sizes, four each, then the values."""
    return 4 * (1 + len(shape)) + math.prod(shape)


def _decode(path: Path, content: bytes, shape: tuple[int, ...], checksum: str) -> Tensor:
    """Decode an IDX file: the number 0x800 + dimensions, the sizes, all big-endian, then the bytes; (*shape), uint8."""
    content = unpack(path, content, _length(shape))
    if len(content) != _length(shape):
        raise damage(path, f"{len(content)} bytes instead of {_length(shape)}")
    magic, *sizes = np.frombuffer(content, ">u4", 1 + len(shape)).tolist()
    if magic != 0x800 + len(shape):
        raise damage(path, f"it begins with {magic:#010x} instead of {0x800 + len(shape):#010x}")
    if tuple(sizes) != shape:
        raise damage(path, f"it says it is {tuple(sizes)} instead of {shape}")
    if hashlib.sha256(content).hexdigest() != checksum:
        raise damage(path, "its checksum differs from the original's")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 * (1 + len(shape))).reshape(shape).copy())
