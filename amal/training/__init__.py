"""How an experiment is configured, run, interrupted, and written down."""

from .batches import epoch_batches as epoch_batches
from .checkpoint import Checkpoints as Checkpoints
from .config import DescentConfig as DescentConfig
from .config import RunConfig as RunConfig
from .config import SweepConfig as SweepConfig
from .config import TrainingConfig as TrainingConfig
from .config import require as require
from .config import require_positive as require_positive
from .config import require_some as require_some
from .device import choose_device as choose_device
from .launch import Outcome as Outcome
from .launch import launch as launch
from .logbook import Logbook as Logbook
from .logbook import RunLogbook as RunLogbook
from .logbook import Silent as Silent
from .looks import Progress as Progress
from .looks import Row as Row
from .looks import evaluate as evaluate
from .looks import is_milestone as is_milestone
from .looks import log_row as log_row
from .looks import log_weights as log_weights
from .loop import fit as fit
from .loop import progress_bar as progress_bar
from .loop import train_step as train_step
from .stack import Member as Member
from .sweep import fit_together as fit_together
