"""What users import to check derivatives: the doctor of theirs, and the proofs of amal's own."""

from typing import TYPE_CHECKING

from amal._lazy import lazy

if TYPE_CHECKING:
    from .doctor import assert_correct as assert_correct
    from .doctor import check as check
    from .doctor import declare as declare
    from .doctor import examine as examine
    from .proofs.cases import Case as Case
    from .proofs.matrix import SIGNS as SIGNS
    from .proofs.matrix import verdict as verdict
    from .proofs.properties import PROPERTIES as PROPERTIES
    from .proofs.table import CASES as CASES

__getattr__ = lazy(
    __name__,
    {
        **dict.fromkeys(("assert_correct", "check", "declare", "examine"), "amal.doctor"),
        "Case": "amal.proofs.cases",
        "SIGNS": "amal.proofs.matrix",
        "verdict": "amal.proofs.matrix",
        "PROPERTIES": "amal.proofs.properties",
        "CASES": "amal.proofs.table",
    },
)
