"""The report: one page, or one Markdown file, made from run directories alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import amal
from amal.errors import UserError
from amal.experiments import Part, find_parts

from . import charts, numbers, pictures
from .chapters import Experiment, Result, arrange
from .commands import shorten_paths, special_options
from .course import PICTURE_ORDER
from .events import Events, read_run
from .runs import Group, Run, find_runs, machine_kind

CHARTS = 4
"""Largest number of charts of one group of runs."""
PICTURES = 3
"""Largest number of pictures of one group of runs."""
PICTURE_BYTES = 9_000_000
"""Budget for all pictures; text and curves of a hundred runs take one or two million more."""
SEEDS = 5
"""Largest number of seeds of a group whose curves are shown."""
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
"""Advice to the reader, in paragraphs."""


@dataclass(frozen=True)
class Article:
    """A result with its charts and pictures."""

    result: Result
    charts: Sequence[charts.Chart]
    pictures: Sequence[pictures.Picture]

    @property
    def group(self) -> Group:
        """The runs."""
        return self.result.group

    @property
    def measured(self) -> str:
        """The run's own sentence, if all of it belongs to this experiment."""
        is_whole = len(self.group.runs) == 1 and len(self.result.metrics) == len(self.group.metrics)
        return shorten_paths(self.group.first.measured) if is_whole else ""

    @property
    def table(self) -> numbers.Table:
        """The measures."""
        return numbers.metrics_table(self.group, self.result.metrics)


Results = Sequence[tuple[str, Result]]
"""Results, each with the number of its experiment; "" for a script that is none."""
Illustrate = Callable[[Results], tuple[list[Article], list[str]]]


def write_report(folders: Iterable[Path], output: Path) -> tuple[int, int]:
    """Write the report of the runs in some folders; return its numbers of runs and experiments.

    Args:
        folders: where to look for runs, below too.
        output: what to write, .html or .md; its folder is made if it does not exist.

    Raises:
        UserError: no runs, a folder that does not exist, another suffix, or a file that cannot be
            written.
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
    return len(runs), sum(bool(experiment.results) for experiment in arrange(find_parts(), runs)[0])


def as_html(runs: Sequence[Run], parts: Iterable[Part]) -> str:
    """Return the report as a page that needs nothing else."""
    return _render("report.html.j2", runs, list(parts), _with_pictures)


def as_markdown(runs: Sequence[Run], parts: Iterable[Part]) -> str:
    """Return the report as Markdown: everything except the curves and the pictures."""
    return _render(
        "report.md.j2", runs, list(parts), lambda results: ([Article(result, (), ()) for _, result in results], [])
    )


def _with_pictures(results: Results) -> tuple[list[Article], list[str]]:
    """Return an article for each result, and sentences about what cannot be read."""
    events: dict[int, list[Mapping[str, Events]]] = {}
    for _, result in results:
        if id(result.group) not in events:
            events[id(result.group)] = [read_run(run.folder) for run in result.group.runs[:SEEDS]]
    candidates = [
        pictures.rank(events[id(result.group)][0], PICTURE_ORDER.get(number, ()), result.is_shown)
        for number, result in results
    ]
    articles = [
        Article(result, charts.select_charts(events[id(result.group)], CHARTS, result.is_shown), image)
        for (_, result), image in zip(results, pictures.choose(PICTURE_BYTES, candidates, PICTURES), strict=True)
    ]
    damage = [
        f"{run.name}: {'/'.join(filter(None, (child, file)))} is damaged"
        for _, result in results
        for run, children in zip(result.group.runs, events[id(result.group)], strict=False)  # some seeds only
        for child, child_events in children.items()
        for file in child_events.damage
    ]
    damage += [
        f"{result.group.first.name}: the picture {caption} cannot be read"
        for (_, result), images in zip(results, candidates, strict=True)
        for caption in pictures.damage(images, PICTURES)
    ]
    return articles, list(dict.fromkeys(damage))


def _render(template: str, runs: Sequence[Run], parts: Sequence[Part], illustrate: Illustrate) -> str:
    import jinja2

    experiments, other_groups, other_unfinished = arrange(parts, runs)
    results = [(experiment.number, result) for experiment in experiments for result in experiment.results]
    others = [("", Result(group, group.metrics, lambda _: True)) for group in other_groups]
    articles, damage = illustrate([*results, *others])
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("amal.report"),
        autoescape=template.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"cell": _cell, "id": id}
    return environment.get_template(template).render(
        version=amal.__version__,
        reading=READING,
        labs=LABS,
        experiments=experiments,
        articles={id(article.result): article for article in articles},
        other_articles=articles[len(results) :],
        other_unfinished=other_unfinished,
        damage=damage,
        count=len(runs),
        completed=sum(run.status == "completed" for run in runs),
        first={part.script: part.number for part in parts if part.is_first},
        headline=headline,
        describe=describe,
        provenance=provenance,
        special_options=special_options,
        size=charts,
    )


def headline(experiment: Experiment) -> list[tuple[str, str, str]]:
    """Return the main results of an experiment: quantity, number, better or worse by how much.

    Of several settings the one with most seeds speaks, then the one run last: never the best one.
    """
    selection: dict[str, numbers.Comparison] = {}
    for comparison in experiment.comparisons:
        title, seeds = comparison.figure.title, len(comparison.group.runs)
        if not title.endswith(", train") and (title not in selection or seeds >= len(selection[title].group.runs)):
            selection[title] = comparison
    if selection:
        return [
            (title, comparison.measured, f"{comparison.difference}, {comparison.verdict}".strip(", "))
            for title, comparison in selection.items()
        ]
    result = max(reversed(experiment.results), key=lambda result: len(result.group.runs), default=None)
    if result is None:
        return []
    group = result.group
    if len(result.metrics) < len(group.metrics):
        tests = [name for name in result.metrics if name.endswith("_test")] or result.metrics
        data = describe(group).split(", ")[0]
        return [
            (f"{data}: {name.replace('_', ', ')}", numbers.format_mean(group.values(name)), "") for name in tests[:4]
        ]
    which = f" (seed {group.first.seed} of {len(group.runs)})" if len(group.runs) > 1 else ""
    return [("", shorten_paths(group.first.measured) + which, "")]


def describe(group: Group) -> str:
    """Return the data and the seeds of a group of runs."""
    data = group.first.config.get("dataset", ())
    names = [DATA.get(str(name), str(name)) for name in (data if isinstance(data, list) else [data])] if data else []
    inner = group.first.config.get("seeds")
    suffix = f", {inner} seeds inside the run" if isinstance(inner, int) and inner > 1 else ""
    seeds = ", ".join(map(str, group.seeds))
    return ", ".join([*names, f"{'seeds' if len(group.seeds) > 1 else 'seed'} {seeds}"]) + suffix


def provenance(group: Group) -> str:
    """Return the versions, the machine and the time of a group of runs."""
    programs = []
    for name in ("torch", "amal", "python"):
        versions = dict.fromkeys(run.environment.get(name, "?") for run in group.runs)
        programs.append(f"{name.replace('python', 'Python')} {' and '.join(versions)}")
    machines = dict.fromkeys(machine_kind(run.environment) for run in group.runs)
    times = numbers.format_times(run.seconds for run in group.runs)
    each = " each" if len(group.runs) > 1 else ""
    return f"{', '.join(programs)}; {' and '.join(machines)}; {times}{each}"


def _cell(text: object) -> str:
    """Return a text as it may stand in Markdown, in a table too: nothing in it is markup."""
    line = escape(" ".join(str(text).split()), quote=False)
    for sign in "\\`*[]|":
        line = line.replace(sign, f"\\{sign}")
    return line
