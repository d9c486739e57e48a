"""How a model is fitted: the loop, evaluation, checkpoints, sweeps, several processes."""

from .batches import epoch_batches as epoch_batches
from .batches import steps_per_epoch as steps_per_epoch
from .checkpoint import Checkpoints as Checkpoints
from .config import DescentConfig as DescentConfig
from .config import RunConfig as RunConfig
from .config import SweepConfig as SweepConfig
from .config import TrainingConfig as TrainingConfig
from .config import require as require
from .config import require_positive as require_positive
from .config import require_some as require_some
from .device import choose_device as choose_device
from .evaluation import Row as Row
from .evaluation import evaluate as evaluate
from .evaluation import is_milestone as is_milestone
from .evaluation import log_row as log_row
from .evaluation import log_weights as log_weights
from .logbook import Logbook as Logbook
from .logbook import NullLogbook as NullLogbook
from .loop import fit as fit
from .prefixed import PrefixedLogbook as PrefixedLogbook
from .progress_bars import progress_bar as progress_bar
from .state import Progress as Progress
from .step import train_step as train_step
from .sweep import fit_together as fit_together
from .together import Member as Member
