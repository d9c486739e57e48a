"""Real pictures: scikit-learn's embedded digits, MNIST, Fashion-MNIST and USPS from their files."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from amal.seeds import generator

from .idx import read_idx
from .splits import Split, Splits, cut
from .usps_files import read_usps

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

VALIDATION = 5000
"""Pictures of the MNISTs that are dealt out for validation."""


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

    Arguments and errors as for mnist, below FashionMNIST/raw.

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
    train, test = (
        Split(torch.from_numpy(table[:, 1:]).reshape(-1, 1, 16, 16), torch.from_numpy(table[:, 0]).long())
        for table in read_usps(root)
    )
    order = torch.randperm(len(train), generator=generator(seed, "validation"))
    validation, rest = order.tensor_split([len(train) // 10])
    return Images(_take(train, rest), _take(train, validation), test, "USPS", DIGITS)


def _take(split: Split, which: Tensor) -> Split:
    return Split(split.input[which], split.target[which])


def _idx_images(root: Path, kind: str, name: str, classes: tuple[str, ...], seed: int) -> Images:
    pixels, labels, test_pixels, test_labels = read_idx(root, kind, name)
    order = torch.randperm(len(labels), generator=generator(seed, "validation"))
    validation, train = order.tensor_split([VALIDATION])

    def split(pixels: Tensor, labels: Tensor) -> Split:
        return Split(pixels.unsqueeze(1).float().div_(255), labels.long())

    return Images(
        split(pixels[train], labels[train]),
        split(pixels[validation], labels[validation]),
        split(test_pixels, test_labels),
        name,
        classes,
    )
