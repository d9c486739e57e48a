"""TME 3, section 3.1: does the Dataset give out what a network should see?"""

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from .dataset import FlatImages


def pictures() -> tuple[Tensor, Tensor]:
    """Return 7 pictures of 3 × 4 pixels from 0 to 255, and their classes."""
    images = (torch.arange(7 * 3 * 4) * 37 % 256).to(torch.uint8).reshape(7, 3, 4)
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    return images, torch.tensor([3, 1, 4, 1, 5, 9, 2])


def test_3_1_length() -> None:
    """Its length is the number of pictures."""
    found = len(FlatImages(*pictures()))
    assert found == 7, f"of 7 pictures, the length of the Dataset is {found}"


def test_3_1_picture() -> None:
    """A picture is flat and float32, from 0 to 1, row by row."""
    images, labels = pictures()
    pixels, _ = FlatImages(images, labels)[0]
    assert pixels.shape == (12,), f"a picture of 3 × 4 pixels has shape {tuple(pixels.shape)}, expected (12,)"
    assert pixels.dtype == torch.float32, f"a picture is {pixels.dtype}, expected torch.float32"
    assert float(pixels[0]) == 0, f"a pixel of 0 became {float(pixels[0]):g}, expected 0"
    assert float(pixels[1]) == 1, f"a pixel of 255 became {float(pixels[1]):g}, expected 1"
    last, _ = FlatImages(images, labels)[6]
    due = images[6].double().reshape(12)
    assert torch.allclose(last.double() * 255, due, atol=1e-3), "the pixels are not those of the picture, row by row"


def test_3_1_label() -> None:
    """A class is an int."""
    images, labels = pictures()
    dataset = FlatImages(images, labels)
    for index in range(7):
        label = dataset[index][1]
        assert isinstance(label, int), f"the class is a {type(label).__name__}, expected an int"
        assert label == int(labels[index]), f"the class of picture {index} is {label}, expected {int(labels[index])}"


def test_3_1_nothing_changed() -> None:
    """The pictures that were given stay as they are."""
    images, labels = pictures()
    _ = FlatImages(images, labels)[0]
    assert images.equal(pictures()[0]), "the pictures that were given have changed"


def test_3_1_loader() -> None:
    """A DataLoader makes batches of it."""
    batches = list(DataLoader(FlatImages(*pictures()), batch_size=3))
    shapes = [(tuple(pixels.shape), tuple(labels.shape)) for pixels, labels in batches]
    due = [((3, 12), (3,)), ((3, 12), (3,)), ((1, 12), (1,))]
    assert shapes == due, f"in batches of 3 a DataLoader gives {shapes}, expected {due}"
