"""Hand-written operations, one per file: derivation, Function, public function."""

from .linear import LinearFunction as LinearFunction
from .linear import linear as linear
from .mse_loss import MSEFunction as MSEFunction
from .mse_loss import WeightedMSEFunction as WeightedMSEFunction
from .mse_loss import mse_loss as mse_loss
