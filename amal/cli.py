"""The command `amal`: the whole package from one place. Imports nothing heavy, so that it answers at once."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from amal.check_command import check
from amal.commandline import Commands, quiet_without_reader, refuse, require_limits, terminal_width
from amal.course.labs import Stopped, as_table, at_once, run_labs
from amal.errors import UserError, did_you_mean
from amal.experiments import LABS, board_command, find_experiments

app = Commands(
    "amal",
    "Automatic differentiation and neural-network training, written by hand and proven.\n"
    "`amal --version` prints what a report of a bug begins with: versions, machine, device.",
)


@app.command
def labs(
    names: Annotated[tuple[Literal["tme1", "tme2", "tme3"], ...], tyro.conf.Positional] = LABS,
    /,
    runs: Path = Path("runs"),
    progress: bool = True,
    jobs: int = 0,
) -> None:
    """Run every experiment of the labs with its default settings, then compare with the course documents.

    Each script runs in a process of its own; one that fails does not stop the others, and the exit status is then 1.
    Several run at once, and what one prints is shown when it is done; those that measure time come last, alone.

    Args:
        names: the labs to run.
        runs: where the runs are written, each to a new folder below.
        progress: show the progress of a script that runs alone.
        jobs: scripts at once; 0 for one on each core, at most 8. With 1, each prints as it goes.
    """
    if jobs < 0:
        refuse("labs", f"--jobs {jobs}: expected at least 1, or 0 for one on each core")
    occupied = next((path for path in (runs, *runs.parents) if path.exists() and not path.is_dir()), None)
    if occupied:
        refuse("labs", f"--runs {runs}: {occupied} is no folder")
    experiments, jobs = find_experiments(names), jobs or at_once()
    if jobs > 1:
        print(f"{len(experiments)} scripts, {jobs} at once; what one prints is shown when it is done", flush=True)
    started, rows, status = time.perf_counter(), {}, 1
    try:
        for row in run_labs(experiments, runs, progress, jobs):
            rows[row.script] = row
            if row.printed:
                print(f"\n{row.experiment.number} {row.experiment.title}\n{row.printed}", end="")
            print(f"[{len(rows)}/{len(experiments)}] {row.script}: {row.seconds:.0f} s", flush=True)
    except Stopped as stop:
        status = 128 + stop.number
        told = "interrupted" if stop.number == signal.SIGINT else f"stopped by {stop}"
        print(f"amal labs: {told}{'; what the finished scripts measured:' if rows else ''}", file=sys.stderr)
    in_order = [rows[script] for script in experiments if script in rows]
    if in_order:
        print("\n" + as_table(in_order, terminal_width(), time.perf_counter() - started))
    if len(rows) < len(experiments):
        raise SystemExit(status)
    print(f"\nTo see the curves and pictures: {board_command(runs)}")
    failures = [row.script for row in in_order if row.failed]
    if failures:
        print(f"failed: {', '.join(failures)}", file=sys.stderr)
        raise SystemExit(1)


@app.command
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
        markdown: a file to write the table to, with the derivation of every operation.
        progress: show the progress.
    """
    import warnings

    from tqdm import tqdm

    from amal.proofs import matrix

    require_known("ops", "operation", names, matrix.OPERATIONS)
    if markdown and names:
        refuse("ops", "--markdown writes about all operations, so give no names")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its compiler and of deprecated arguments
        rows = [matrix.examine(op) for op in tqdm(names or matrix.OPERATIONS, disable=not progress, leave=False)]
    print(matrix.as_text(rows), matrix.LEGEND, sep="\n\n")
    if markdown:
        markdown.write_text(matrix.as_markdown(rows), encoding="utf-8")
    faults = [fault for row in rows for fault in row.faults]
    if faults:
        print("\ndoes not hold:", *faults, sep="\n", file=sys.stderr)
        raise SystemExit(1)


@app.command
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

    try:
        told, experiments = write_report(runs, output)
    except UserError as error:
        print(f"amal report: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(f"{output}: {told} runs, {experiments} experiments")


@app.command
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
    from amal.runs import board as tensorboard

    try:
        tensorboard.serve(runs, port, browser)
    except UserError as error:
        print(f"amal board: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command
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
    from amal.course import exercises

    try:
        files = exercises.write(lab, folder, solution)
    except UserError as error:
        print(f"amal exercise: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(f"{folder}: {', '.join(path.name for path in files)}")
    if not solution:
        print(f"Begin with {folder / 'README.md'}; see how far you are with: amal check {folder}")


app.command(check)


def is_coloured() -> bool:
    """Return whether to print colours: to a terminal, unless NO_COLOR says no (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@app.command
def show(names: Annotated[tuple[str, ...], tyro.conf.Positional] = (), /) -> None:
    """Print an operation's derivation, its code, and an example worked through with numbers.

    Everything is computed on the spot: the chain rule on paper, what `backward` returns, the slopes measured by small
    steps, and the verdict of gradcheck. Without a name, list the operations.

    Args:
        names: the operations, such as `linear mse_loss`.
    """
    from amal import show as showing

    operations = showing.operations()
    require_known("show", "operation", names, operations)
    for name in names:
        print(showing.page(name, terminal_width(), is_coloured()), end="\n\n")
    if not names:
        widest = max(map(len, operations))
        room = terminal_width() - widest - 2
        for name, first in operations.items():
            print(f"{name:<{widest}}  " + f"\n{'':{widest}}  ".join(textwrap.wrap(first, room)))


@app.command
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
    from amal.show.networks import NETWORKS, graph_of

    require_known("graph", "network", names, NETWORKS)
    if batch_size < 1:
        refuse("graph", f"--batch-size is {batch_size}, expected at least 1")
    if (dot or svg) and len(names) != 1:
        refuse("graph", "--dot and --svg write about one network, so give one name")
    if svg and not shutil.which("dot"):
        refuse("graph", "--svg needs the program `dot` of Graphviz, which is not there; --dot writes what it reads")
    for name in names:
        described = graph_of(name, batch_size)
        title = f"{name}: {NETWORKS[name]}, {batch_size} examples"
        print(title, as_text(described), sep="\n\n", end="\n\n")
        text = as_dot(described, title)
        try:
            if dot:
                dot.write_text(text, encoding="utf-8")
            if svg:
                drawn = subprocess.run(["dot", "-Tsvg"], input=text, encoding="utf-8", check=True, capture_output=True)
                svg.write_text(drawn.stdout, encoding="utf-8")
        except OSError as error:
            refuse("graph", str(error))
    if not names:
        widest = max(map(len, NETWORKS))
        print("\n".join(f"{name:<{widest}}  {what}" for name, what in NETWORKS.items()))


def require_known(command: str, kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """End with a message and the exit status 2 if a name is not among those that are known."""
    known = list(known)
    unknown = [f"{name}{did_you_mean(name, known)}" for name in names if name not in known]
    if unknown:
        refuse(command, f"no {kind} {', '.join(unknown)}; there are {', '.join(known)}")


@app.command
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
    from amal.course import mutants as known

    if not operation:
        print("\n".join(f"{of:<16} {len(variants):>3}" for of, variants in known.MUTANTS.items()))
        return
    op = known_operation(operation)
    if not show:
        widest = max(len(of.name) for of in known.MUTANTS[op])
        print("\n".join(f"{of.name:<{widest}}  {of.description}  [{', '.join(of.codes)}]" for of in known.MUTANTS[op]))
        return
    try:
        print(known.SOLUTIONS[op] if show == "right" else known.difference(op, known.find(op, show)))
    except ValueError as error:
        print(f"amal mutants: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command
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
    from amal.course import mutants as known

    op = known_operation(operation)
    require_limits("grade", time_limit, memory_limit)
    try:
        trials = grading.grade(test_file, op, time_limit, memory_limit)
        outcomes = list(tqdm(trials, total=len(known.MUTANTS[op]), disable=as_json or None, leave=False))
    except UserError as error:
        print(f"amal grade: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(grading.as_json(op, outcomes) if as_json else grading.as_text(outcomes))
    if not all(of.killed for of in outcomes):
        raise SystemExit(2 if any(of.killed is None for of in outcomes) else 1)


def known_operation(name: str) -> str:
    """Return the operation of a name, or end with a message that says which there are."""
    from amal.course import mutants as known

    operation = known.operation_of(name)
    if operation is None:
        hint = did_you_mean(name, known.MUTANTS)
        print(f"amal: no mutants of {name}{hint}; there are those of {', '.join(known.MUTANTS)}", file=sys.stderr)
        raise SystemExit(2)
    return operation


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
