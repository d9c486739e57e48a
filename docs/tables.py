"""The two tables of figures in README.md, made from docs/RESULTS.md and benchmarks/RESULTS.md: none is typed.

python docs/tables.py       # write them into README.md
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")


def rounded(value: str, places: int) -> str:
    """Round a decimal number half up, as on paper."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def percent(value: str, places: int = 1) -> str:
    """Write a share, such as 0.9467 or 94.67 %, in percent."""
    number = Decimal(value.removesuffix(" %")) * (1 if value.endswith("%") else 100)
    return f"{rounded(str(number), places)} %"


def per_pixel(value: str) -> str:
    """Write a mean squared error of a pixel."""
    return rounded(value, 4)


def share(value: str) -> str:
    """Write a share with three digits."""
    return rounded(value, 3)


def chapter(page: str, heading: str) -> str:
    """Return what stands below the heading that begins so, up to the next heading of its level or a higher one."""
    found = re.search(rf"^(##+) {re.escape(heading)}\b.*?\n(.*?)(?=^#{{2,3}} |\Z)", page, re.MULTILINE | re.DOTALL)
    if not found:
        raise LookupError(f"no heading {heading}")
    return found[2]


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables in a text, emphasis taken off, without the rules below headers."""
    lines = [line for line in text.split("\n") if line.startswith("|") and not re.match(r"\|[-:|]+$", line)]
    return [[cell.strip().replace("**", "") for cell in line[1:-1].split("|")] for line in lines]


# ---------------------------------------------------------------------------------- what is reached


@dataclass(frozen=True)
class Run:
    """The runs of one command in docs/RESULTS.md."""

    values: dict[str, str]
    """Measure -> mean."""
    seeds: str
    """In brackets, where they are not three."""


def run_of(experiment: str, *options: str) -> Run:
    """Return the first runs of an experiment whose command has all these options."""
    parts = re.split(r"^```\n(python .*)\n```\n", chapter(RESULTS, experiment), flags=re.MULTILINE)
    for command, said in zip(parts[1::2], parts[2::2], strict=True):
        if all(f" {option} " in f"{command} " for option in options):
            (_, *columns), *body = rows(said.partition("\n<sub>")[0])
            values = {
                name if columns == ["value"] else f"{name} {column}": cell.partition(" (")[0]
                for name, *cells in body
                for column, cell in zip(columns, cells, strict=True)
            }
            inside = re.search(r"^[^|]*?(\d+) seeds inside", said)
            alone = re.search(r"^[^|]*?\bseed \d", said)
            return Run(values, f" ({inside[1]} seeds)" if inside else " (one seed)" if alone else "")
    raise LookupError(f"{experiment}: no run with {' '.join(options)}")


def reported(experiment: str, name: str) -> str:
    """Return what the documents report of a measure, as docs/RESULTS.md has it; – where they report nothing."""
    found = next(cells[1] for cells in rows(chapter(RESULTS, experiment)) if cells[0] == name)
    return found.partition(" (")[0]


@dataclass(frozen=True)
class Reached:
    """A row of the table."""

    label: str
    experiment: str
    options: Sequence[str]
    """Of the command whose runs are shown."""
    measure: str
    write: Callable[[str], str]
    compared: str = ""
    """The measure's name beside a reported figure; empty where none is reported."""
    beside: Sequence[tuple[str, str]] = ()
    """(in words, measure) of the same runs, to be shown too."""
    documents: str = "–"
    """What the documents show that is no figure."""

    def cells(self) -> tuple[str, str, str]:
        """Return the row."""
        run = run_of(self.experiment, *self.options)
        others = "".join(f"; {words} {self.write(run.values[measure])}" for words, measure in self.beside)
        measured = self.write(run.values[self.measure]) + others + run.seeds
        figure = reported(self.experiment, self.compared) if self.compared else "–"
        return self.label, self.documents if figure == "–" else self.write(figure), measured


REACHED = (
    Reached("USPS, MLP", "3.2", ["usps", "--dropout 0.5"], "accuracy test", percent, "MLP, test"),
    Reached("MNIST, MLP 784-512-256-10", "3.3", ["mnist"], "accuracy test", percent, documents="curves"),
    Reached("MNIST, LeNet", "3.18", ["mnist"], "LeNet test", lambda value: percent(value, 2)),
    Reached(
        "USPS, 1100 images to learn from, Conv1d",
        "3.15",
        ["usps", "--examples 1100"],
        "Conv1d test",
        percent,
        "Conv1d, 1100 images of USPS, test",
    ),
    Reached(
        "MNIST, tied autoencoder, sigmoid code of 30, squared error of a pixel",
        "3.5",
        ["mnist", "--code sigmoid"],
        "30 test",
        per_pixel,
        "code of 30, MSE, test",
    ),
    Reached(
        "the same of 500-100-30; ours has a linear code, and SiLU in the hidden layers",
        "3.6",
        ["mnist", "--code linear", "--hidden silu"],
        "500-100-30 test",
        per_pixel,
        "500-100-30, MSE, test",
    ),
    Reached(
        "that of 1000-500-250-30, learnt with noise (Hinton and Salakhutdinov, 2006: 0.0038, with pre-training)",
        "3.10",
        ["mnist", "--models 1000-500-250-30"],
        "1000-500-250-30 test",
        per_pixel,
    ),
    Reached(
        "MNIST, highway autoencoder, code of 30",
        "3.8",
        ["mnist", "--parts autoencoder"],
        "highway test",
        per_pixel,
        "highway, MSE, test",
        [("plain, as deep,", "plain, as deep test"), ("with as many parameters", "plain, as many parameters test")],
    ),
    Reached(
        "MNIST, 30 layers: a highway network",
        "3.8",
        ["mnist", "--parts classifier"],
        "highway, 30 layers test",
        percent,
        beside=[("a plain one", "plain, as deep, 30 layers test")],
    ),
    Reached(
        "USPS, purity of k-means on codes learnt with noise",
        "3.12",
        ["usps", "--variants noise"],
        "noise purity",
        share,
        "purity, codes learnt with noise, test",
        [("on pixels", "pixels purity")],
    ),
    Reached("checkerboard, four layers, the best setting", "2.5", [], "best test", share, "the best, test"),
)


def what_is_reached() -> list[str]:
    """Return the lines of the table."""
    return table(("", "the documents report", "measured"), [row.cells() for row in REACHED])


# ---------------------------------------------------------------------------------- how fast


def benchmark(heading: str, row: str) -> list[str]:
    """Return the cells of a row of benchmarks/RESULTS.md, each without what stands in brackets."""
    found = next(cells for cells in rows(chapter(BENCHMARKS, heading)) if cells[0] == row)
    return [cell.partition(" (")[0] for cell in found[1:]]


def between(values: Sequence[str]) -> str:
    """Write the least and the greatest of some ratios; one where they are equal."""
    least, greatest = min(values, key=Decimal), max(values, key=Decimal)
    return least if least == greatest else f"{least} – {greatest}"


def how_fast() -> list[str]:
    """Return the lines of the table."""
    racers = ("tme3.fast", "the recipe of one epoch", "the PyTorch example")
    ours, recipe, example = (benchmark("99 % of MNIST", name) for name in racers)
    epoch = benchmark("Epoch on MNIST", "MLP 784-100-10, batches of 100")
    optimisers = [cell.partition(" (")[0] for row in rows(chapter(BENCHMARKS, "Optimisers"))[1:7] for cell in row[1:]]
    times, _, shares = re.split(r"^(Matrix products .*)$", chapter(BENCHMARKS, "Steps"), flags=re.MULTILINE)
    step = [
        between([row[1].partition(" (")[0] for row in rows(times) if row[0].startswith(kind)])
        for kind in ("MLP", "tied autoencoder", "highway classifier")
    ]
    [wide] = [row for row in rows(shares) if row[0] == "tied autoencoder 784-500-100-30, batch of 1000"]
    sweep = benchmark("Sweep", "5 seeds")
    checked, imported = (
        rounded(benchmark("Start-up", f"`{command}`")[0], 1)
        for command in ("amal check lab.py", "python -c 'import torch'")
    )
    return table(
        ("", "amal", "beside it"),
        [
            (
                "99 % of MNIST, seconds of training",
                f"{rounded(ours[0], 1)} (`tme3.fast`, mean of {ours[4]} seeds {ours[2]})",
                f"{rounded(recipe[0], 1)}, a well-known recipe of one epoch; {rounded(example[0], 0)}, "
                f"the PyTorch example, {example[4]} seeds",
            ),
            (
                "an epoch of MNIST, MLP 784-100-10, batches of 100",
                f"{epoch[1]} s",
                f"{rounded(epoch[2], 1)} s with the input pipeline of the PyTorch example",
            ),
            ("a step of Adam, SGD, Adadelta", between(optimisers), "1, torch's own with `foreach`"),
            (
                "a step of the MLP, the tied autoencoder, the highway network",
                ", ".join(step),
                "1, the same network on `torch.nn`",
            ),
            ("the tied autoencoder at batch 1000", f"{wide[4]} of the machine's rate of matrix products", ""),
            (
                "ten settings of the checkerboard, five seeds",
                rounded(str(1 / Decimal(sweep[2])), 2),
                "1, one after another",
            ),
            (
                "a whole `amal check` of a file",
                f"{checked} s",
                f"{imported} s, `import torch`",
            ),
        ],
    )


# ---------------------------------------------------------------------------------- into the page


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Set cells as the lines of a Markdown table."""
    first, *rest = (f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in (header, *body))
    return [first, "|---" * len(header) + "|", *rest]


def replaced(page: str, lines: Sequence[str]) -> str:
    """Return a page with these lines in the place of its table of the same header.

    Raises:
        LookupError: the page has no such table.
    """
    before, header, after = page.partition(f"{lines[0]}\n")
    if not header:
        raise LookupError(f"no table {lines[0]}")
    rest = after.split("\n")
    end = next(place for place, line in enumerate(rest) if not line.startswith("|"))
    return "\n".join([before + "\n".join(lines), *rest[end:]])


if __name__ == "__main__":
    readme = ROOT / "README.md"
    written = replaced(replaced(readme.read_text(encoding="utf-8"), what_is_reached()), how_fast())
    readme.write_text(written, encoding="utf-8")
