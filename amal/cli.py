"""The command `amal`: the whole package from one place. Imports nothing heavy, so that it answers at once."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from amal.commandline import Commands, quiet_without_reader, require_limits
from amal.commands.check import check
from amal.commands.labs import labs
from amal.errors import UserError, did_you_mean
from amal.text import columns, has_colours, terminal_width


def ops(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    /,
    markdown: Path | None = None,
    progress: bool = True,
) -> None:
    """Examine the hand-written operations and print what holds of each, computed on the spot.

    All of them take some minutes. The exit status is 1 if something does not hold.

    Args:
        names: the operations to examine, such as `tanh conv2d`; all if none.
        markdown: a file to write the table to, with the derivation of every operation; with names, a file that was
            written so, of which only what is of these operations is written anew.
        progress: show the progress.
    """
    import warnings

    from tqdm import tqdm

    from amal.proofs import matrix

    require_names("operation", names, matrix.OPERATIONS)
    if markdown and names and not markdown.is_file():
        raise UserError(f"there is no {markdown} to write {', '.join(names)} into, so give no names")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its compiler and deprecated arguments
        rows = [matrix.examine(op) for op in tqdm(names or matrix.OPERATIONS, disable=not progress, leave=False)]
    print(matrix.as_text(rows), matrix.LEGEND, sep="\n\n")
    if markdown:
        document = markdown.read_text(encoding="utf-8") if names else ""
        markdown.write_text(matrix.as_markdown(rows, document), encoding="utf-8")
    faults = [fault for row in rows for fault in row.faults]
    if faults:
        print("\ndoes not hold:", *faults, sep="\n", file=sys.stderr)
        raise SystemExit(1)


def report(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = (Path("runs"),),
    /,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("report.html"),
) -> None:
    """Write one page of every experiment: what is reported beside what was measured, with curves, pictures, commands.

    It is made from run directories alone, and needs no network to be read. The exit status is 2 if nothing was written.

    Args:
        runs: folders with runs.
        output: what to write, replaced if it is there: a page (.html), or Markdown without curves and pictures (.md).
    """
    from amal.report.page import write_report

    count, experiments = write_report(runs, output)
    print(f"{output}: {count} runs, {experiments} experiments")


def board(
    runs: Annotated[Path, tyro.conf.Positional] = Path("runs"),
    /,
    port: int | None = None,
    browser: Annotated[bool, tyro.conf.arg(name="open")] = False,
) -> None:
    """Open TensorBoard on runs, for a browser on this machine; Ctrl-C stops it.

    Args:
        runs: a folder with runs, of one lab or experiment only, or a single run.
        port: to listen on; a free one if none is given.
        browser: open a browser there.
    """
    from amal.runs.board import serve

    serve(runs, port, browser)


def exercise(
    lab: Annotated[Literal["tme1", "tme2", "tme3"], tyro.conf.Positional],
    folder: Annotated[Path, tyro.conf.Positional],
    /,
    solution: bool = False,
) -> None:
    """Write a lab to fill in: signatures, docstrings, tests, and nothing of the solution.

    No file is ever overwritten: if one is there already, nothing is written, and the exit status is 2.

    Args:
        lab: which one.
        folder: where to; made if it is not there.
        solution: write it solved, for teachers.
    """
    from amal.course.exercises import write

    print(f"{folder}: {', '.join(path.name for path in write(lab, folder, solution))}")
    if not solution:
        print(f"Begin with {folder / 'README.md'}; see how far you are with: amal check {folder}")


def show(names: Annotated[tuple[str, ...], tyro.conf.Positional] = (), /) -> None:
    """Print an operation's derivation, its code, and an example worked through with numbers, if it has one.

    Everything is computed on the spot: the chain rule on paper, what `backward` returns, the slopes measured by small
    steps, and the verdict of gradcheck. Without a name, list the operations.

    Args:
        names: the operations, such as `linear mse_loss`.
    """
    from amal.show import operations, page

    headlines, width = operations(), terminal_width()
    require_names("operation", names, headlines)
    for name in names:
        print(page(name, width, has_colours()), end="\n\n")
    if not names:
        widest = max(map(len, headlines))
        print("\n".join(columns(headlines.items(), widths=(widest, width - widest - 2))))


def graph(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    /,
    batch_size: int = 64,
    dot: Path | None = None,
    svg: Path | None = None,
) -> None:
    """Draw the graph of one step of a small network: its operations, its parameters, and what is kept for backward.

    Without a name, list the networks.

    Args:
        names: one of `mlp regressor autoencoder highway lenet`, or several.
        batch_size: examples in the batch.
        dot: a file to write the graph to, for Graphviz; of one network.
        svg: a file to write the picture to, by the program `dot` of Graphviz; of one network.
    """
    from amal.graph import as_dot, as_text
    from amal.show.networks import NETWORKS, network_graph

    require_names("network", names, NETWORKS)
    if batch_size < 1:
        raise UserError(f"--batch-size is {batch_size}, expected at least 1")
    if (dot or svg) and len(names) != 1:
        raise UserError("--dot and --svg write about one network, so give one name")
    if svg and not shutil.which("dot"):
        raise UserError("--svg needs the program `dot` of Graphviz, which is not there; --dot writes what it reads")
    for name in names:
        network = network_graph(name, batch_size)
        title = f"{name}: {NETWORKS[name]}, {batch_size} examples"
        print(title, as_text(network), sep="\n\n", end="\n\n")
        text = as_dot(network, title).encode()
        try:
            if dot:
                dot.write_bytes(text)
            if svg:
                svg.write_bytes(subprocess.run(["dot", "-Tsvg"], input=text, check=True, capture_output=True).stdout)
        except OSError as error:
            raise UserError(str(error)) from None
    if not names:
        print("\n".join(columns(NETWORKS.items())))


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

    The file imports the Function under test, as in `from functions import Linear`, and pytest runs it once for the
    right one and once for each wrong one. Exit status: 0 all killed, 1 some survived, 2 the file cannot be graded, or
    a run was killed by another program or for want of memory, so that it is not known what its tests say.

    Args:
        test_file: a file of tests for pytest.
        operation: such as `linear`; `amal mutants` lists them.
        time_limit: seconds that one run may take, by the clock on the wall; a wrong variant that takes longer is
            killed, and the right one has ten times as long.
        memory_limit: GB that all processes of a run may hold together; a wrong variant that takes more is killed.
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


def require_names(kind: str, names: Iterable[str], choices: Iterable[str]) -> None:
    """Check names of a command line.

    Raises:
        UserError: a name is not among the choices.
    """
    choices = list(choices)
    unknown = [f"{name}{did_you_mean(name, choices)}" for name in names if name not in choices]
    if unknown:
        raise UserError(f"no {kind} {', '.join(unknown)}; there are {', '.join(choices)}")


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


app = Commands(
    "amal",
    "Automatic differentiation and neural-network training, written by hand and proven.\n"
    "`amal --version` prints what a report of a bug begins with: versions, machine, device.",
)
for command in (labs, ops, report, board, exercise, check, show, graph, mutants, grade):
    app.command(command)


@quiet_without_reader()
def main() -> None:
    """Answer the command line."""
    if sys.argv[1:] == ["--version"]:
        from amal.environment import as_lines

        print(as_lines())
        return
    app.cli()


if __name__ == "__main__":
    main()
