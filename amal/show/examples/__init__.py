"""For every operation of the catalogue, an example small enough to follow on paper."""

from ._affine import AFFINE
from ._entrywise import ENTRYWISE
from ._example import Example as Example
from ._example import FixedCase as FixedCase
from ._losses import LOSSES
from ._rows import ROWS
from ._windows import WINDOWS

EXAMPLES: dict[str, Example] = {**AFFINE, **LOSSES, **ENTRYWISE, **ROWS, **WINDOWS}
