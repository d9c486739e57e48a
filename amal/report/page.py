"""The report: one page, or one Markdown file, made from run directories alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import amal
from amal.errors import UserError
from amal.experiments import Part, find_parts

from . import charts, numbers, pictures
from .chapters import Experiment, Share, tell
from .commands import special, without_paths
from .course import TELLING
from .events import Events, read_run
from .runs import Group, Run, find_runs, machine_of

CHARTS = 4
"""Charts of one group of runs at most."""
PICTURES = 3
"""Pictures of one group of runs at most."""
PICTURE_BYTES = 9_000_000
"""What all pictures may take; the text and the curves of a hundred runs take one or two million more."""
DRAWN_SEEDS = 5
"""Seeds of a group that are drawn, at most."""
LABS = {
    "1": "TME 1: functions and their derivatives by hand",
    "2": "TME 2: gradient descent, non-linear networks",
    "3": "TME 3: images",
}
DATA = {"mnist": "MNIST", "usps": "USPS", "fashion": "Fashion-MNIST"}
READING = (
    "R-a to R-e are the five course documents. A figure of theirs is subtracted from ours only where both are numbers "
    "of the same thing; a remark tells what is a little different.",
    "Runs with the same settings but the seed are told as one: the mean, then in brackets the lowest and the highest "
    "value. A seed draws the initial weights, the order of the examples, dropout, and which published training images "
    "are kept for validation. Of several runs with one seed, the last one counts.",
    "Test means points that nothing is chosen by: for MNIST and USPS the published test sets, 10 000 and 2007 images, "
    "for the rest a part held out. Where something is chosen, such as a learning rate or a setting, it is chosen on "
    "validation. Of MNIST's 60 000 training images 5000 are kept for that, of USPS's 7291 729; the PyTorch example "
    "keeps none and learns from all (--everything).",
    "The figures that are reported of USPS are of other, smaller cuts of it; nothing else is known of them.",
    "Times are of whole runs with all their looks at the data, on machines that may have done other work besides: "
    "read them as an order of magnitude.",
    "Commands with --dataset mnist or usps want the files too: --data-root FOLDER, or the environment variable "
    "AMAL_DATA.",
)
"""What a reader must know, in paragraphs."""


@dataclass(frozen=True)
class Drawn:
    """A share with what is drawn of it."""

    share: Share
    charts: Sequence[charts.Chart]
    pictures: Sequence[pictures.Picture]

    @property
    def group(self) -> Group:
        """The runs."""
        return self.share.group

    @property
    def measured(self) -> str:
        """What the run says of itself, where all that it says is of this experiment."""
        whole = len(self.group.runs) == 1 and len(self.share.metrics) == len(self.group.metrics)
        return without_paths(self.group.first.measured) if whole else ""

    @property
    def table(self) -> numbers.Table:
        """What they measured."""
        return numbers.table_of(self.group, self.share.metrics)


def write_report(folders: Iterable[Path], output: Path) -> tuple[int, int]:
    """Write the report of the runs in some folders; return how many runs it tells of, and how many experiments.

    Args:
        folders: where to look for runs, below too.
        output: what to write, .html or .md; its folder is made if it is not there.

    Raises:
        UserError: no runs, a folder that is not there, another suffix, or a file that cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix not in (".html", ".htm", ".md"):
        raise UserError(f"--output {output}: expected a name that ends in .html or .md")
    runs = find_runs(folders)
    content = (as_markdown if suffix == ".md" else as_html)(runs, find_parts())
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(content, encoding="utf-8", errors="replace")  # the name of a folder may be no text
    except OSError as error:
        raise UserError(f"--output {output} cannot be written ({error.strerror})") from None
    return len(runs), sum(not experiment.is_missing for experiment in tell(find_parts(), runs)[0])


def as_html(runs: Sequence[Run], parts: Iterable[Part]) -> str:
    """Return the report as a page that needs nothing else."""
    told, strangers, lost = tell(parts, runs)
    shares = [(experiment.number, share) for experiment in told for of in experiment.chapters for share in of.shares]
    shares += [("", Share(group, group.metrics, lambda _: True)) for group in strangers]
    events: dict[int, list[Mapping[str, Events]]] = {}
    for _, share in shares:
        if id(share.group) not in events:
            events[id(share.group)] = [read_run(run.folder) for run in share.group.runs[:DRAWN_SEEDS]]
    wishes = [
        pictures.ranked(events[id(share.group)][0], TELLING.get(number, ()), share.is_of) for number, share in shares
    ]
    drawn = {
        id(share): Drawn(share, charts.charts_of(events[id(share.group)], CHARTS, share.is_of), shown)
        for (_, share), shown in zip(shares, pictures.within(PICTURE_BYTES, wishes, PICTURES), strict=True)
    }
    others = [drawn[id(share)] for number, share in shares if not number]
    incomplete = dict.fromkeys(
        f"{run.name}: {'/'.join(filter(None, (child, name)))} is damaged"
        for _, share in shares
        for run, found in zip(share.group.runs, events[id(share.group)], strict=False)  # not all seeds are drawn
        for child, of in found.items()
        for name in of.damage
    )
    for (_, share), wish in zip(shares, wishes, strict=True):
        name = share.group.first.name
        incomplete |= dict.fromkeys(
            f"{name}: the picture {caption} cannot be read" for caption in pictures.unreadable(wish, PICTURES)
        )
    return _render("report.html.j2", runs, told, lost, drawn=drawn, others=others, incomplete=list(incomplete))


def as_markdown(runs: Sequence[Run], parts: Iterable[Part]) -> str:
    """Return the report as Markdown: everything but the curves and the pictures."""
    told, strangers, lost = tell(parts, runs)
    drawn = {id(share): Drawn(share, (), ()) for of in told for chapter in of.chapters for share in chapter.shares}
    others = [Drawn(Share(group, group.metrics, lambda _: True), (), ()) for group in strangers]
    return _render("report.md.j2", runs, told, lost, drawn=drawn, others=others)


def _render(name: str, runs: Sequence[Run], told: Sequence[Experiment], lost: Sequence[Run], **rest: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("amal.report"),
        autoescape=name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"cell": _cell, "id": id}
    return environment.get_template(name).render(
        version=amal.__version__,
        reading=READING,
        labs={lab: (title, [of for of in told if of.number.split(".")[0] == lab]) for lab, title in LABS.items()},
        missing=[experiment for experiment in told if experiment.is_missing],
        count=len(runs),
        completed=sum(run.status == "completed" for run in runs),
        lost=lost,
        headline=headline,
        about=about,
        made_with=made_with,
        special=special,
        first={chapter.part.script: of.number for of in told for chapter in of.chapters if chapter.part.is_first},
        chart_size=charts,
        **rest,
    )


def headline(experiment: Experiment) -> list[tuple[str, str, str]]:
    """Return what to say of an experiment in a line or two: of what, the number, better or worse by how much.

    Of several settings the one that was run with most seeds speaks, then the one run last: never the best one.
    """
    chosen: dict[str, numbers.Comparison] = {}
    for entry in experiment.comparisons:
        name = entry.figure.what
        if not name.endswith(", train") and (
            name not in chosen or len(entry.group.runs) >= len(chosen[name].group.runs)
        ):
            chosen[name] = entry
    if chosen:
        return [(name, of.measured, f"{of.difference}, {of.verdict}".strip(", ")) for name, of in chosen.items()]
    shares = [share for chapter in experiment.chapters for share in chapter.shares]
    telling = max(reversed(shares), key=lambda share: len(share.group.runs), default=None)
    if telling is None:
        return []
    group = telling.group
    if len(telling.metrics) < len(group.metrics):
        tests = [name for name in telling.metrics if name.endswith("_test")] or telling.metrics
        data = about(group).split(", ")[0]
        return [(f"{data}: {name.replace('_', ', ')}", numbers.spread(group.values(name)), "") for name in tests[:4]]
    which = f" (seed {group.first.seed} of {len(group.runs)})" if len(group.runs) > 1 else ""
    return [("", without_paths(group.first.measured) + which, "")]


def about(group: Group) -> str:
    """Return the data and the seeds of a group of runs."""
    data = group.first.config.get("dataset", ())
    names = [DATA.get(str(name), str(name)) for name in (data if isinstance(data, list) else [data])] if data else []
    inner = group.first.config.get("seeds")
    within = f", {inner} seeds inside the run" if isinstance(inner, int) and inner > 1 else ""
    seeds = ", ".join(map(str, group.seeds))
    return ", ".join([*names, f"{'seeds' if len(group.seeds) > 1 else 'seed'} {seeds}"]) + within


def made_with(group: Group) -> str:
    """Return the versions, the machine and the time of a group of runs."""
    told = []
    for name in ("torch", "amal", "python"):
        versions = dict.fromkeys(run.environment.get(name, "?") for run in group.runs)
        told.append(f"{name.replace('python', 'Python')} {' and '.join(versions)}")
    machines = dict.fromkeys(machine_of(run.environment) for run in group.runs)
    each = " each" if len(group.runs) > 1 else ""
    return f"{', '.join(told)}; {' and '.join(machines)}; {numbers.seconds(run.seconds for run in group.runs)}{each}"


def _cell(text: object) -> str:
    """Return a text as it may stand in Markdown, in a table too: nothing in it is markup."""
    line = escape(" ".join(str(text).split()), quote=False)
    for sign in "\\`*[]|":
        line = line.replace(sign, f"\\{sign}")
    return line
