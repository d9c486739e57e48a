"""The gradient doctor: examine a Function, and say in words what is wrong with it."""

from .declared import declare as declare
from .examination import assert_correct as assert_correct
from .examination import check as check
from .examination import examine as examine
