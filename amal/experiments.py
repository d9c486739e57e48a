"""Which experiments there are: the scripts of the labs, each declared by its own docstring and nowhere else.

A module of tme1, tme2 or tme3 is an experiment when its docstring begins

    Experiment 1.4: linear regression against scikit-learn.

    Reported: R² 0.52, against 0.47 for scikit-learn (R-e 1.3.1).

Docstrings are read, not imported: `amal labs` must list a script that does not even import.
"""

import ast
import importlib.util
import re
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Final

LABS: Final = ("tme1", "tme2", "tme3")


@dataclass(frozen=True)
class Experiment:
    """What a script says of itself."""

    number: str
    """Its place in the course, such as 1.4."""
    title: str
    reported: str
    """What the course documents report."""


def declared(docstring: str | None) -> Experiment | None:
    """Return the experiment that a module's docstring declares; None where it declares none."""
    head = re.match(r"Experiment (\d+\.\d+): (.+?)\.\n", docstring or "")
    body = re.search(r"^Reported: (.+?)(?:\n\n|\Z)", docstring or "", re.MULTILINE | re.DOTALL)
    return Experiment(head[1], head[2], " ".join(body[1].split())) if head and body else None


def new_run_dir(script: str, runs: Path = Path("runs")) -> Path:
    """Return a folder not there yet for a run of a script: runs/<lab>/<experiment>/<date and time>."""
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names = chain([now], (f"{now}-{number}" for number in count(2)))  # for two runs in one second
    folders = (runs.joinpath(*script.split("."), name) for name in names)
    return next(folder for folder in folders if not folder.exists())


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
