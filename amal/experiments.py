"""Which experiments there are: the scripts of the labs, each declared by its own docstring and nowhere else.

A module of tme1, tme2 or tme3 is an experiment when its docstring begins

    Experiment 1.4: linear regression against scikit-learn.

    Reported: R² 0.52, against 0.47 for scikit-learn (R-e 1.3.1).

    In TensorBoard: Custom scalars, the loss; Images, the slider of `fit`.

Docstrings are read, not imported: `amal labs` must list a script that does not even import.
"""

import ast
import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Final

LABS: Final = ("tme1", "tme2", "tme3")
LONGEST = 100
"""Characters that settings may add to the name of a folder."""


@dataclass(frozen=True)
class Experiment:
    """What a script says of itself."""

    number: str
    """Its place in the course, such as 1.4."""
    title: str
    reported: str
    """What the course documents report."""
    look: str = ""
    """What to look at in TensorBoard, in which order, the steps separated by semicolons."""


def declared(docstring: str | None) -> Experiment | None:
    """Return the experiment that a module's docstring declares; None where it declares none."""
    head = re.match(r"Experiment (\d+\.\d+): (.+?)\.\n", docstring or "")
    reported, look = (_paragraph(docstring or "", name) for name in ("Reported", "In TensorBoard"))
    return Experiment(head[1], head[2], reported, look) if head and reported else None


def _paragraph(docstring: str, name: str) -> str:
    """Return the paragraph that begins with a name, in one line; empty where there is none."""
    found = re.search(rf"^{name}: (.+?)(?:\n\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def new_run_dir(script: str, runs: Path = Path("runs"), settings: Mapping[str, object] | None = None) -> Path:
    """Return a folder not there yet for a run of a script: runs/<lab>/<experiment>/<date and time>_<settings>.

    So runs lie in the order of time, and each says in what it differs from the default.
    """
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    name = f"{now}_{run_name(settings)[:LONGEST]}" if settings else now
    names = chain([name], (f"{name}-{number}" for number in count(2)))  # for two runs in one second
    folders = (runs.joinpath(*script.split("."), name) for name in names)
    return next(folder for folder in folders if not folder.exists())


def board_command(runs: Path) -> str:
    """Return the line that opens TensorBoard on a folder, with the program of this installation if it has no other."""
    beside = Path(sys.executable).with_name("amal")
    program = "amal" if shutil.which("amal") else os.path.relpath(beside) if beside.exists() else "python -m amal"
    return f"{program} board {shlex.quote(str(runs))}"


def run_name(settings: Mapping[str, object]) -> str:
    """Return the name of the run with these settings, such as depth=10-seed=0, to be typed without quotes."""
    return "-".join(f"{_as_word(key)}={_as_word(value)}" for key, value in settings.items())


def digits(number: int, others: Iterable[int]) -> str:
    """Return a number with as many digits as the longest of the others has, for names to sort as the numbers do."""
    return f"{number:0{max(len(str(other)) for other in others)}}"


def _as_word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return "+".join(map(_as_word, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^\w.+]+|_", "-", text).strip("-")


def find_experiments(labs: tuple[str, ...] = LABS) -> dict[str, Experiment]:
    """Return the scripts of the labs, as module name -> experiment, in the order of the course."""
    found = {}
    for lab in labs:
        package = importlib.util.find_spec(lab)
        for folder in (package and package.submodule_search_locations) or ():
            for path in Path(folder).glob("*.py"):
                experiment = declared(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))))
                if experiment:
                    found[f"{lab}.{path.stem}"] = experiment
    return dict(sorted(found.items(), key=lambda entry: [int(part) for part in entry[1].number.split(".")]))
