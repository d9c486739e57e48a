"""Layers: thin modules that hold the parameters and call amal.functional."""

from .linear import Linear as Linear
from .loss import MSELoss as MSELoss
