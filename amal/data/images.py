"""Real pictures: scikit-learn's embedded digits, MNIST, Fashion-MNIST and USPS from their files.

Nothing is taken from a file before it is checked, and a download is moved to its place when it is whole: what is
damaged, cut short or half downloaded is an error that names it.
"""

import bz2
import gzip
import hashlib
import io
import math
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from amal.errors import UserError
from amal.seeds import generator

from .splits import Split, Splits, cut

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

IDX_COUNTS = {"train": 60_000, "t10k": 10_000}
IDX_VALIDATION = 5000
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

USPS_COUNTS = {"train": 7291, "test": 2007}
USPS_FILES = {"train": ("USPS_train.txt", "usps.bz2"), "test": ("USPS_test.txt", "usps.t.bz2")}
USPS_CACHE = b"amal: USPS, class and 256 pixels in [0, 1], float32, version 1\n"

PATIENCE = 30.0  # seconds without an answer after which there is no network
REMEDY = "delete it to have it downloaded again, or use --dataset digits, which needs no file"


@dataclass(frozen=True)
class Images(Splits):
    """Pictures of one size, and what is on them.

    In each split input is (n, channels, height, width), float32 in [0, 1], and target (n,), the int64 number of the
    class.
    """

    name: str
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture: (channels, height, width)."""
        channels, height, width = self.train.input.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Images":
        """Return the pictures on a device, in a dtype (None: as they are); class numbers stay int64."""

        def move(split: Split) -> Split:
            return Split(split.input.to(device, dtype), split.target.to(device))

        return replace(self, train=move(self.train), validation=move(self.validation), test=move(self.test))


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """A split as torch's DataLoader wants it: flat pictures (channels · height · width,) and their class."""

    def __init__(self, split: Split) -> None:
        self.pixels = split.input.flatten(1)
        self.labels = split.target

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.pixels[index], int(self.labels[index])

    def __len__(self) -> int:
        return len(self.labels)


def digits(seed: int = 0) -> Images:
    """1797 handwritten digits of 8 x 8 pixels, cut 60/20/20; embedded in scikit-learn, so no file is needed.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test set).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = torch.from_numpy(bunch.images).float().div(16).unsqueeze(1)
    splits = cut(pixels, torch.from_numpy(bunch.target).long(), seed)
    return Images(splits.train, splits.validation, splits.test, "digits", DIGITS)


def mnist(root: Path, seed: int = 0) -> Images:
    """70 000 handwritten digits of 28 x 28 pixels: 55 000 train, 5000 validation, and the 10 000 published for test.

    Args:
        root: the folder that holds MNIST/raw, with the four IDX files, plain or gzipped; what is missing is downloaded.
        seed: of the choice of the validation pictures among the 60 000 published for training.

    Raises:
        UserError: a file is unreadable or not the original one, or is missing and cannot be downloaded.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998.
    """
    return _idx_images(root, "MNIST", "MNIST", DIGITS, seed)


def fashion_mnist(root: Path, seed: int = 0) -> Images:
    """70 000 pieces of clothing, in the sizes of MNIST.

    Arguments and errors as for mnist, below FashionMNIST/raw. A plain file has no checksum here, only its header,
    size and labels are checked; so the gzipped file, which has one, is preferred where both are there.

    Source: Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017.
    """
    return _idx_images(root, "FashionMNIST", "Fashion-MNIST", CLOTHES, seed)


def usps(root: Path, seed: int = 0) -> Images:
    """9298 digits of 16 x 16 pixels from envelopes: 6562 train, 729 validation, and the 2007 published for test.

    Args:
        root: the folder that holds USPS/USPS_train.txt and USPS_test.txt, the course's files, or libsvm's usps.bz2 and
            usps.t.bz2; what is missing is downloaded. Where USPS/ is writable, what was parsed is kept there.
        seed: of the choice of the validation pictures among the 7291 published for training.

    Raises:
        UserError: a file is unreadable or damaged, or is missing and cannot be downloaded.

    Source: Hull, A database for handwritten text recognition research, 1994.
    """
    needs = "USPS needs the course's text files, or libsvm's usps.bz2 and usps.t.bz2"
    files = _find(root / "USPS", list(USPS_FILES.values()), "USPS", needs)
    tables = (_usps_table(*file, count) for file, count in zip(files, USPS_COUNTS.values(), strict=True))
    train, test = (
        Split(torch.from_numpy(table[:, 1:]).reshape(-1, 1, 16, 16), torch.from_numpy(table[:, 0]).long())
        for table in tables
    )
    order = torch.randperm(len(train), generator=generator(seed, "validation"))
    validation, rest = order.tensor_split([len(train) // 10])
    return Images(_take(train, rest), _take(train, validation), test, "USPS", DIGITS)


def _take(split: Split, which: Tensor) -> Split:
    return Split(split.input[which], split.target[which])


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is damaged ({what}): {REMEDY}")


# Files: what is there, and what is not


def _find(folder: Path, wanted: Sequence[Sequence[str]], kind: str, needs: str) -> list[tuple[Path, bytes]]:
    """Read, for each file wanted, the first of its names that is in the folder; download what is not there at all."""
    found = [_first(folder, names) for names in wanted]
    if None in found:
        missing = ", ".join(names[0] for names, file in zip(wanted, found, strict=True) if file is None)
        _download(folder, kind, f"{needs}: {missing} not there in {folder}")
        found = [_first(folder, names) for names in wanted]
    return [file for file in found if file is not None]


def _first(folder: Path, names: Sequence[str]) -> tuple[Path, bytes] | None:
    return next(filter(None, (_read(folder / name) for name in names)), None)


def _read(path: Path) -> tuple[Path, bytes] | None:
    try:
        return path, path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend that, or {REMEDY}") from None


def _torchvision(kind: str) -> Any:
    """Return torchvision's class of a data set; it is imported late because that takes seconds."""
    from torchvision import datasets  # type: ignore[import-untyped]

    return getattr(datasets, kind)


def _download(folder: Path, kind: str, problem: str) -> None:
    """Have torchvision download a data set into a folder of its own, then move the files that are missing.

    torchvision writes a file under its final name while it downloads it: interrupted there, it would leave half of it.
    """
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            for train in (True, False):
                _torchvision(kind)(temporary, train=train, download=True)
            for file in (path for path in Path(temporary).rglob("*") if path.is_file()):
                if not (folder / file.name).exists():
                    file.replace(folder / file.name)
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{problem}, and the download failed ({reason}): put them there, or name the folder with --data-root; "
            "--dataset digits needs no file"
        ) from None
    finally:
        socket.setdefaulttimeout(patience)


# MNIST and Fashion-MNIST: IDX files


def _idx_images(root: Path, kind: str, name: str, classes: tuple[str, ...], seed: int) -> Images:
    plain = [f"{part}-{what}" for part in IDX_COUNTS for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    wanted = [(file, f"{file}.gz") if kind == "MNIST" else (f"{file}.gz", file) for file in plain]
    shapes = [shape for count in IDX_COUNTS.values() for shape in ((count, 28, 28), (count,))]
    files = _find(root / kind / "raw", wanted, kind, f"{name} needs its four files, plain or gzipped")
    arrays = (_idx(path, content, shape, kind) for (path, content), shape in zip(files, shapes, strict=True))
    pixels, labels, test_pixels, test_labels = arrays
    order = torch.randperm(len(labels), generator=generator(seed, "validation"))
    validation, train = order.tensor_split([IDX_VALIDATION])

    def split(pixels: Tensor, labels: Tensor) -> Split:
        return Split(pixels.unsqueeze(1).float().div_(255), labels.long())

    return Images(
        split(pixels[train], labels[train]),
        split(pixels[validation], labels[validation]),
        split(test_pixels, test_labels),
        name,
        classes,
    )


def _idx(path: Path, content: bytes, shape: tuple[int, ...], kind: str) -> Tensor:
    """Decode an IDX file: the number 0x800 + dimensions, the sizes, all big-endian, then the bytes; (*shape), uint8."""
    if path.suffix == ".gz":
        expected = dict(_torchvision(kind).resources)[path.name]
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != expected:
            raise _damaged(path, f"{len(content)} bytes whose md5 is not {expected}")
        content = gzip.decompress(content)
    start = 4 * (1 + len(shape))
    if len(content) != start + math.prod(shape):
        raise _damaged(path, f"{len(content)} bytes instead of {start + math.prod(shape)}")
    magic, *sizes = np.frombuffer(content, ">u4", 1 + len(shape)).tolist()
    if magic != 0x800 + len(shape):
        raise _damaged(path, f"it begins with {magic:#010x} instead of {0x800 + len(shape):#010x}")
    if tuple(sizes) != shape:
        raise _damaged(path, f"it says it is {tuple(sizes)} instead of {shape}")
    if kind == "MNIST" and hashlib.sha256(content).hexdigest() != MNIST_SHA256[path.name.removesuffix(".gz")]:
        raise _damaged(path, "its checksum differs from the original's")
    values = np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
    if len(shape) == 1 and values.max() > 9:
        raise _damaged(path, f"it holds the label {values.max()}, and 9 is the last")
    return torch.from_numpy(values)


# USPS: text files


def _usps_table(path: Path, content: bytes, count: int) -> npt.NDArray[np.float32]:
    """Return class and pixels in [0, 1], (count, 257), from a file or from what was kept of it when it was parsed."""
    key = hashlib.sha256(USPS_CACHE + content).digest()
    cache = path.with_name(f"{path.name}.cache")
    try:
        kept = cache.read_bytes()
    except OSError:
        kept = b""
    if kept[:64] == key + hashlib.sha256(kept[64:]).digest():
        return np.frombuffer(kept, "<f4", offset=64).reshape(count, 257).astype(np.float32)
    table = _parse_usps(path, content, count)
    _keep(cache, key, table.astype("<f4").tobytes())
    return table


def _keep(cache: Path, key: bytes, content: bytes) -> None:
    """Write the cache under another name, then rename it: nobody reads half of it. Where that fails there is none."""
    part = cache.with_name(f".{cache.name}.{os.getpid()}")
    with suppress(OSError):
        if not cache.parent.stat().st_mode & 0o222:
            return  # root could write there, but the owner of the folder has said no
        try:
            part.write_bytes(key + hashlib.sha256(content).digest() + content)
            part.replace(cache)
        finally:
            part.unlink(missing_ok=True)


def _parse_usps(path: Path, content: bytes, count: int) -> npt.NDArray[np.float32]:
    """Parse the course's text (label, 256 values in [0, 2]) or libsvm's (label + 1, 256 index:value in [-1, 1])."""
    if path.suffix == ".bz2":
        try:
            lines = bz2.decompress(content).splitlines()
        except (OSError, ValueError) as error:
            raise _damaged(path, f"bzip2: {error}") from None
        numbers = _numbers(path, [line.replace(b":", b" ") for line in lines], count, 1 + 2 * 256)
        if not (numbers[:, 1::2] == np.arange(1, 257)).all():
            raise _damaged(path, "its values are not numbered from 1 to 256")
        label, value = numbers[:, 0] - 1, numbers[:, 2::2] + 1
    else:
        lines = content.strip().splitlines()
        if not lines or lines[0].split() != [b"10", b"256"]:
            raise _damaged(path, "its first line is not 10 256")
        if lines[-1].strip() != b"-1":
            raise _damaged(path, "its last line is not -1")
        numbers = _numbers(path, lines[1:-1], count, 1 + 256)
        label, value = numbers[:, 0], numbers[:, 1:]
    unknown = ~np.isin(label, np.arange(10))
    if unknown.any():
        raise _damaged(path, f"picture {unknown.argmax() + 1} of {count} has an unknown label")
    outside = ~((value >= 0) & (value <= 2)).all(1)  # so written, it holds of nan too
    if outside.any():
        raise _damaged(path, f"picture {outside.argmax() + 1} of {count} has a value out of range")
    return np.column_stack([label, value / 2]).astype(np.float32)


def _numbers(path: Path, lines: list[bytes], count: int, width: int) -> npt.NDArray[np.float64]:
    if len(lines) != count:
        raise _damaged(path, f"{len(lines)} pictures instead of {count}")
    for number, line in enumerate(lines, 1):
        if len(line.split()) != width:
            raise _damaged(path, f"picture {number} of {count} is not a label and 256 values")
    try:
        return np.loadtxt(io.BytesIO(b"\n".join(lines)), comments=None, ndmin=2)
    except ValueError as error:
        raise _damaged(path, f"{error}".rstrip(".")) from None
