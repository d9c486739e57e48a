"""The hand-written operations under torch.nn.functional's names: `import amal.functional as F`."""

from amal.ops import gelu as gelu
from amal.ops import leaky_relu as leaky_relu
from amal.ops import linear as linear
from amal.ops import mse_loss as mse_loss
from amal.ops import relu as relu
from amal.ops import sigmoid as sigmoid
from amal.ops import silu as silu
from amal.ops import tanh as tanh
from amal.ops import threshold as threshold
