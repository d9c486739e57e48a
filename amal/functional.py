"""The hand-written operations under torch.nn.functional's names: `import amal.functional as F`."""

from amal.ops import linear as linear
from amal.ops import mse_loss as mse_loss
