"""Data sets as `Splits` of tensors: toy problems that are drawn, and real tables."""

from amal.seeds import generator as generator

from .splits import Split as Split
from .splits import Splits as Splits
from .splits import standardize as standardize
from .tabular import boston_housing as boston_housing
from .tabular import diabetes as diabetes
from .toy import checkerboard as checkerboard
from .toy import four_gaussians as four_gaussians
from .toy import noisy_line as noisy_line
from .toy import random_regression as random_regression
from .toy import two_gaussians as two_gaussians
