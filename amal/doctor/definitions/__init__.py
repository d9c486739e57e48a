"""The operations that the doctor knows, by name, each with every definition that a course or torch has of it.

A derivative is right or wrong only with respect to a definition. The squared error of a batch may be a mean over all
entries, a sum, or a sum for each example, averaged; a weight may be (in, out) or (out, in). Each is right, if backward
goes with it. So the doctor first finds the definition that the values follow.

A new operation is a row in the table `OPERATIONS` of a family, and one in docs/DOCTOR.md; a new definition is a row in
the table of its operation: name, words, reference, what draws its arguments, and their roles.

    entrywise("softsign", ("softsign",), functional.softsign)
    Definition("tanh", "approximated by a tanh", partial(functional.gelu, approximate="tanh"), matrix, INPUT)
"""

from . import layers, lookup_and_attention, losses, normalization, windows
from .definition import Arguments as Arguments
from .definition import Definition as Definition
from .definition import Draw as Draw
from .definition import Kink as Kink
from .definition import Operation as Operation
from .definition import use_seed as use_seed


def plain_name(name: str) -> str:
    """Return the name of a class without case, underscores, and what students write around it."""
    plain = name.lower().replace("_", "")
    for ending in ("function", "func", "fn", "op"):
        plain = plain.removesuffix(ending)
    for start in ("my", "course", "student"):
        plain = plain.removeprefix(start)
    return plain


def all_operations() -> dict[str, Operation]:
    """Return name -> operation, of all that are known."""
    families = (losses, layers, normalization, windows, lookup_and_attention)
    return {operation.name: operation for family in families for operation in family.OPERATIONS}


def find_operation(name: str) -> Operation | None:
    """Return the operation that the name of a class, or of an operation, means; None if it means none."""
    operations = all_operations()
    if name in operations:
        return operations[name]
    plain = plain_name(name)
    return next((operation for operation in operations.values() if plain in operation.aliases), None)
