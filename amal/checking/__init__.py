"""The gradient doctor: what must hold of a hand-written Function, and whether it does."""

from .cases import Case as Case
from .doctor import assert_correct as assert_correct
from .doctor import check as check
from .doctor import declare as declare
from .doctor import examine as examine
from .matrix import SIGNS as SIGNS
from .matrix import verdict as verdict
from .properties import PROPERTIES as PROPERTIES
from .table import CASES as CASES
