"""The gradient doctor: what must hold of anybody's hand-written Function, and whether it does."""

from typing import TYPE_CHECKING

from amal._lazy import lazy

if TYPE_CHECKING:
    from .declarations import declare as declare
    from .examination import assert_correct as assert_correct
    from .examination import check as check
    from .examination import examine as examine

__getattr__ = lazy(
    __name__,
    {
        "assert_correct": "amal.doctor.examination",
        "check": "amal.doctor.examination",
        "declare": "amal.doctor.declarations",
        "examine": "amal.doctor.examination",
    },
)
