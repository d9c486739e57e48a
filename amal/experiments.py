"""The experiments: scripts of the labs, each declared by its own docstring and nowhere else.

A module of tme1, tme2 or tme3 is an experiment when its docstring begins

    Experiment 1.4: linear regression against scikit-learn.

    Reported: R² 0.52, against 0.47 for scikit-learn (R-e 1.3.1).

    In TensorBoard: Custom scalars, the loss; Images, the slider of `fit`.

One whose results are times says, in a paragraph "Alone: ...", that nothing must run beside it.

A script may carry several of the course's experiments. Each further one has a paragraph, with the options that make a
run one of it, and what is reported of it, if anything is:

    Also 3.6: three layers or more (--models "*-*-*"). Reported: 0.0127 / 0.0131 on train / test (MNIST, R-a TP3).

Docstrings are read, not imported: `amal labs` must list a script that does not even import.
"""

import ast
import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Final

LABS: Final = ("tme1", "tme2", "tme3")
LONGEST = 100
"""Characters that settings may add to the name of a folder."""


@dataclass(frozen=True)
class Experiment:
    """What a script declares."""

    number: str
    """Its place in the course, such as 1.4."""
    title: str
    reported: str
    """What the course documents report."""
    look: str = ""
    """What to look at in TensorBoard, in which order, the steps separated by semicolons."""
    alone: bool = False
    """Whether it measures time, so that nothing may run beside it."""


@dataclass(frozen=True)
class Part:
    """One of the course's experiments, as one script carries it."""

    number: str
    """Its place in the course, such as 3.6."""
    title: str
    reported: str
    """What the course documents report of it; empty if nothing."""
    script: str
    """The module, such as tme3.autoencoder."""
    set_up: tuple[str, ...]
    """How the script does it, in paragraphs."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options of this experiment -> the values, of which a run has one; "True" for a bare option."""
    is_first: bool = True
    """Whether the script's docstring begins with it."""


def read_experiment(docstring: str | None) -> Experiment | None:
    """Return the experiment that a module's docstring declares, if any."""
    head = re.match(r"Experiment (\d+\.\d+): (.+?)\.\n", docstring or "")
    reported, look, alone = (_paragraph(docstring or "", name) for name in ("Reported", "In TensorBoard", "Alone"))
    return Experiment(head[1], head[2], reported, look, bool(alone)) if head and reported else None


def _paragraph(docstring: str, name: str) -> str:
    """Return the paragraph that begins with a name, in one line; empty where there is none."""
    match = re.search(rf"^{name}: (.+?)(?:\n\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return " ".join(match[1].split()) if match else ""


def new_run_dir(script: str, runs: Path = Path("runs"), settings: Mapping[str, object] | None = None) -> Path:
    """Return a new folder for a run: runs/<lab>/<experiment>/<date and time>_<settings>.

    So runs are in the order of time, and each names the settings that are not the default ones.
    """
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    name = f"{now}_{run_name(settings)[:LONGEST]}" if settings else now
    names = chain([name], (f"{name}-{number}" for number in count(2)))  # for two runs in one second
    folders = (runs.joinpath(*script.split("."), name) for name in names)
    return next(folder for folder in folders if not folder.exists())


def board_command(runs: Path) -> str:
    """Return the command that opens TensorBoard on a folder, with an `amal` that can be called."""
    script = Path(sys.executable).with_name("amal")
    program = "amal"
    if not shutil.which("amal"):
        program = os.path.relpath(script) if script.exists() else "python -m amal"
    return f"{program} board {shlex.quote(str(runs))}"


def run_name(settings: Mapping[str, object]) -> str:
    """Return the name of the run with these settings, such as depth=10-seed=0, to be typed without quotes."""
    return "-".join(f"{_as_word(key)}={_as_word(value)}" for key, value in settings.items())


def without_number(tag: str) -> str:
    """Return a tag without the number of its experiment: `loss/train` of `1.4 loss/train`."""
    return re.sub(r"^\d+\.\d+ ", "", tag)


def digits(number: int, others: Iterable[int]) -> str:
    """Return a number with as many digits as the longest of the others: so names sort as numbers."""
    return f"{number:0{max(len(str(other)) for other in others)}}"


def _as_word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return "+".join(map(_as_word, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^\w.+]+|_", "-", text).strip("-")


def find_parts(labs: tuple[str, ...] = LABS) -> list[Part]:
    """Return every experiment of the course, once for each script that carries it, in order."""
    carried = [part for script, text in _docstrings(labs) for part in parts(script, text)]
    return sorted(carried, key=lambda part: (place(part.number), not part.is_first, part.script))


def parts(script: str, docstring: str) -> Iterator[Part]:
    """Yield the experiments that a script's docstring declares."""
    first = read_experiment(docstring)
    if first is None:
        return
    paragraphs = [paragraph for paragraph in docstring.split("\n\n")[1:] if not paragraph.startswith("    ")]
    joined = [" ".join(paragraph.split()) for paragraph in paragraphs]
    set_up = tuple(
        text for text in joined if not text.startswith(("Also ", "Reported: ", "In TensorBoard: ", "Alone: "))
    )
    yield Part(first.number, first.title, first.reported.removesuffix("."), script, set_up)
    for text in joined:
        also = re.fullmatch(r"Also (\d+\.\d+): (.+?)(?: \((--[^)]+)\))?\.(?: Reported: (.+))?", text)
        if also:
            number, title, options, reported = also.groups("")
            yield Part(number, title, reported.removesuffix("."), script, set_up, _options(options), is_first=False)


def place(number: str) -> tuple[int, ...]:
    """Return the place of an experiment in the course, to sort by: 3.9 comes before 3.10."""
    return tuple(int(part) for part in number.split("."))


def _options(line: str) -> dict[str, tuple[str, ...]]:
    """Read the options of an experiment: `--models A B --table` -> models: A, B; table: True."""
    options: dict[str, tuple[str, ...]] = {}
    for word in shlex.split(line):
        if word.startswith("--"):
            name = word[2:].replace("-", "_")
            options[name] = ()
        else:
            options[name] += (word,)
    return {name: values or ("True",) for name, values in options.items()}


def _docstrings(labs: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield every module of the labs with its docstring."""
    for lab in labs:
        package = importlib.util.find_spec(lab)
        for folder in (package and package.submodule_search_locations) or ():
            for path in Path(folder).glob("*.py"):
                yield f"{lab}.{path.stem}", ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def find_experiments(labs: tuple[str, ...] = LABS) -> dict[str, Experiment]:
    """Return the scripts of the labs, as module name -> experiment, in the order of the course."""
    pairs = ((script, read_experiment(text)) for script, text in _docstrings(labs))
    experiments = {script: experiment for script, experiment in pairs if experiment}
    return dict(sorted(experiments.items(), key=lambda entry: place(entry[1].number)))
