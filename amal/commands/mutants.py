"""The commands `amal mutants` and `amal grade`: wrong variants of an operation, and the tests that kill them."""

from pathlib import Path
from typing import Annotated

import tyro

from amal.commandline import require_limits
from amal.errors import UserError, did_you_mean
from amal.text import columns


def mutants(
    operation: Annotated[str, tyro.conf.Positional] = "",
    /,
    show: str = "",
) -> None:
    """List the wrong variants of an operation that the package knows; without an operation, what there is.

    Args:
        operation: such as `linear`.
        show: the name of a variant to print, its change marked; `right` prints the solution.
    """
    from amal.course.mutants import MUTANTS, SOLUTIONS, difference, find

    if not operation:
        print("\n".join(columns(((name, str(len(variants))) for name, variants in MUTANTS.items()), "<>")))
        return
    op = find_operation(operation)
    if show:
        try:
            print(SOLUTIONS[op] if show == "right" else difference(op, find(op, show)))
        except ValueError as error:
            raise UserError(str(error)) from None
        return
    rows = ((mutant.name, f"{mutant.description}  [{', '.join(mutant.codes)}]") for mutant in MUTANTS[op])
    print("\n".join(columns(rows)))


def grade(
    test_file: Annotated[Path, tyro.conf.Positional],
    operation: Annotated[str, tyro.conf.Positional],
    /,
    time_limit: float = 20.0,
    memory_limit: float = 4.0,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Say which wrong variants of an operation a file of tests kills.

    The file imports the Function under test, as in `from functions import Linear`, and pytest runs
    it once for the right one and once for each wrong one. Exit status: 0 all killed, 1 some
    survived, 2 the file cannot be graded, or a run was killed by another program or for want of
    memory, so that it is not known what its tests say.

    Args:
        test_file: a file of tests for pytest.
        operation: such as `linear`; `amal mutants` lists them.
        time_limit: seconds that one run may take, by the clock on the wall; a wrong variant that
            takes longer is killed, and the right one has ten times as long.
        memory_limit: GB that all processes of a run may hold together; a wrong variant that takes
            more is killed.
        as_json: print JSON.
    """
    from tqdm import tqdm

    from amal.course import grading
    from amal.course.mutants import MUTANTS

    op = find_operation(operation)
    require_limits(time_limit, memory_limit)
    trials = grading.grade(test_file, op, time_limit, memory_limit)
    outcomes = list(tqdm(trials, total=len(MUTANTS[op]), disable=as_json or None, leave=False))
    print(grading.as_json(op, outcomes) if as_json else grading.as_text(outcomes))
    verdicts = {outcome.killed for outcome in outcomes}
    if verdicts - {True}:
        raise SystemExit(2 if None in verdicts else 1)


def find_operation(name: str) -> str:
    """Return the operation with mutants that a name means.

    Raises:
        UserError: there is none.
    """
    from amal.course.mutants import MUTANTS, operation_of

    operation = operation_of(name)
    if operation is None:
        raise UserError(f"no mutants of {name}{did_you_mean(name, MUTANTS)}; there are those of {', '.join(MUTANTS)}")
    return operation
