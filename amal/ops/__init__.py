"""Hand-written operations, one per file: derivation, Function, public function."""

from .gelu import GELUFunction as GELUFunction
from .gelu import gelu as gelu
from .leaky_relu import LeakyReLUFunction as LeakyReLUFunction
from .leaky_relu import leaky_relu as leaky_relu
from .linear import LinearFunction as LinearFunction
from .linear import linear as linear
from .mse_loss import MSEFunction as MSEFunction
from .mse_loss import WeightedMSEFunction as WeightedMSEFunction
from .mse_loss import mse_loss as mse_loss
from .relu import ReLUFunction as ReLUFunction
from .relu import relu as relu
from .sigmoid import SigmoidFunction as SigmoidFunction
from .sigmoid import sigmoid as sigmoid
from .silu import SiLUFunction as SiLUFunction
from .silu import silu as silu
from .tanh import TanhFunction as TanhFunction
from .tanh import tanh as tanh
from .threshold import ThresholdFunction as ThresholdFunction
from .threshold import threshold as threshold
