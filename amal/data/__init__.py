"""Data sets as `Splits` of tensors: toy problems that are drawn, real tables, and pictures."""

from amal.seeds import generator as generator

from .images import ImageDataset as ImageDataset
from .images import Images as Images
from .images import digits as digits
from .images import fashion_mnist as fashion_mnist
from .images import mnist as mnist
from .images import usps as usps
from .root import default_root as default_root
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
