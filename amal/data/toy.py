"""Problems made up for the labs: the course's 2-D toys, a noisy line, a random regression. None needs a file.

Every function draws from its own generator: the same arguments always give the same numbers.
"""

import torch
from torch import Tensor

from amal.seeds import generator

from .splits import Split, Splits, cut


def two_gaussians(n: int = 1000, variance: float = 0.1, noise: float = 0.02, seed: int = 0) -> Splits:
    """Two classes that a line separates: gaussians around (1, 1), label +1, and (-1, -1), label -1.

    Args:
        n: number of points in all, half of each class.
        variance: of each coordinate of a gaussian (not its standard deviation).
        noise: standard deviation of the gaussian noise then added to each point.
        seed: of the drawing.

    Returns:
        Splits with input (n, 2) and target (n, 1), float32.

    Source: the course's `gen_arti`, type 0.
    """
    return _gaussians([(1, 1, 1), (-1, -1, -1)], n, variance, noise, seed)


def four_gaussians(n: int = 1000, variance: float = 0.1, noise: float = 0.02, seed: int = 0) -> Splits:
    """Two classes that no line separates: gaussians around (±1, ±1), label the sign of the centre's product.

    Arguments and result as for two_gaussians, a quarter of the points around each centre.

    Source: the course's `gen_arti`, type 1 (the classical exclusive or).
    """
    return _gaussians([(1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)], n, variance, noise, seed)


def checkerboard(n: int = 1000, noise: float = 0.02, seed: int = 0) -> Splits:
    """Two classes on the 64 cells of a board: points uniform on [-4, 4]², label the parity of ⌈x⌉ + ⌈y⌉.

    An odd sum is labelled +1, an even one -1; the noise is added after the label is read, so points near an edge may
    lie on the wrong side. Arguments and result as for two_gaussians.

    Source: the course's `gen_arti`, type 2.
    """
    random = generator(seed, "points")
    points = 8 * torch.rand(n, 2, generator=random) - 4
    label = 2 * (points.ceil().sum(1, keepdim=True) % 2) - 1
    return cut(points + noise * torch.randn(n, 2, generator=random), label, seed)


def noisy_line(n: int = 1000, slope: float = 2.0, intercept: float = 1.0, noise: float = 1.15, seed: int = 0) -> Splits:
    """Points around a line: x uniform on [-1, 1], y = slope x + intercept + gaussian noise.

    With the defaults the line explains about half of the variance of y, as in the course documents (R² near 0.5).

    Args:
        n: number of points in all.
        slope, intercept: of the line.
        noise: standard deviation of the gaussian noise on y.
        seed: of the drawing.

    Returns:
        Splits with input (n, 1) and target (n, 1), float32.
    """
    random = generator(seed, "points")
    x = 2 * torch.rand(n, 1, generator=random) - 1
    return cut(x, slope * x + intercept + noise * torch.randn(n, 1, generator=random), seed)


def random_regression(n: int = 50, features: int = 13, outputs: int = 3, seed: int = 0) -> Splits:
    """Gaussian inputs and targets that have nothing to do with each other: there is nothing to learn but the noise.

    Args:
        n: number of examples in each of the three splits (the course's sheet has 50).
        features, outputs: sizes of an input and of a target (13 and 3 on the sheet).
        seed: of the drawing.

    Returns:
        Splits with input (n, features) and target (n, outputs), float32.

    Source: TME 1, question 7.
    """
    random = generator(seed, "points")

    def draw() -> Split:
        return Split(torch.randn(n, features, generator=random), torch.randn(n, outputs, generator=random))

    return Splits(draw(), draw(), draw())


def _gaussians(centres: list[tuple[int, int, int]], n: int, variance: float, noise: float, seed: int) -> Splits:
    """Draw n points around centres (x, y, label), as evenly as n allows."""
    random = generator(seed, "points")
    which = torch.arange(n) % len(centres)
    table = torch.tensor(centres, dtype=torch.float32)
    centre, label = table[which, :2], table[which, 2:]

    def normal(deviation: float) -> Tensor:
        return deviation * torch.randn(n, 2, generator=random)

    return cut(centre + normal(variance**0.5) + normal(noise), label, seed)
