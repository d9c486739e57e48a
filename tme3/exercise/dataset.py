"""TME 3: pictures for a DataLoader. Section 3.1 of the lab sheet.

When it is done, see what a DataLoader makes of it:

    python dataset.py
"""

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class FlatImages(Dataset[tuple[Tensor, int]]):
    """Question 3.1. Pictures as MNIST has them, given out one by one: flat, float32 in [0, 1], each with its class."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        """Take pictures (n, height, width), uint8 from 0 to 255, and their classes (n,), int64."""
        ### BEGIN SOLUTION
        self.pixels = images.flatten(1).float() / 255
        self.labels = labels
        ### END SOLUTION

    def __len__(self) -> int:
        """Return the number of pictures."""
        ### BEGIN SOLUTION
        return len(self.pixels)
        ### END SOLUTION

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one picture (height · width,) and its class, an int."""
        ### BEGIN SOLUTION
        return self.pixels[index], int(self.labels[index])
        ### END SOLUTION


def main() -> None:
    """Put scikit-learn's digits through a DataLoader."""
    from amal.data import digits

    data = digits().train
    dataset = FlatImages((data.input.squeeze(1) * 255).to(torch.uint8), data.target)
    for batch_size in (1, 32, 500):
        batches = [len(labels) for _, labels in DataLoader(dataset, batch_size, shuffle=True)]
        print(f"{len(dataset)} pictures in batches of {batch_size}: {len(batches)} batches, the last of {batches[-1]}")


if __name__ == "__main__":
    main()
