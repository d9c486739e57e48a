"""Layers: thin modules that hold the parameters and call amal.functional; and the course's models made of them."""

from torch.nn import Flatten as Flatten
from torch.nn import Sequential as Sequential

from .augmentation import RandomShift as RandomShift
from .autoencoder import Autoencoder as Autoencoder
from .autoencoder import Denoising as Denoising
from .convolution import Conv1d as Conv1d
from .convolution import Conv2d as Conv2d
from .embedding import Embedding as Embedding
from .highway import Highway as Highway
from .layers import *  # noqa: F403 (made of the operations)
from .linear import Linear as Linear
from .linear import TiedLinear as TiedLinear
from .models import conv1d_network as conv1d_network
from .models import conv2d_network as conv2d_network
from .models import fast_network as fast_network
from .models import highway_network as highway_network
from .models import lenet as lenet
from .models import mlp as mlp
from .models import reference_example as reference_example
from .normalization import BatchNorm1d as BatchNorm1d
from .normalization import BatchNorm2d as BatchNorm2d
from .normalization import LayerNorm as LayerNorm
