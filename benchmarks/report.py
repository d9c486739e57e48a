"""Write measurements down, and set them as a page."""

import json
import platform
import time
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch

from benchmarks.roofline import rates

RESULTS = Path(__file__).parent / "results"
BUDGETS = {
    "product": ("matrix products and convolutions", 1.05, 1.25),
    "entries": ("operations on every entry, losses, pooling, normalisation", 1.6, 2.5),
}
COMPILED = (1.0, 1.1)
SMALL = 2.5
TITLES = (
    *("operation", "shapes", "forward", "both", "ms ours", "ms torch"),
    *("both, compiled", "both, small", "forward, small", "bytes saved"),
)
ROOFLINE = (
    "Matrix products of this machine reach {flops:.0f} GFLOP/s, copies {bytes:.0f} GB/s, read and written, of more "
    "than caches hold: what fits there may exceed 100 %. Asked for, and done at these shares of the rates; the bound "
    "is the least time that a rate allows, over the time taken."
)


def write(kind: str, device: str, measured: dict[str, Any]) -> None:
    """Write a measurement to results/, with where and when it was made, and the page of all of them anew."""
    RESULTS.mkdir(exist_ok=True)
    result = {**machine(device), "rates": rates(device)._asdict(), **measured}
    (RESULTS / f"{kind}-{device}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    write_report(RESULTS)


def machine(device: str) -> dict[str, str]:
    """Return what the figures were measured on."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"{processor()}, {torch.get_num_threads()} threads"
    return {"device": device, "machine": name, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}


def processor() -> str:
    """Return the processor's name, where Linux tells it; its architecture elsewhere."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def write_report(results: Path) -> None:
    """Write RESULTS.md beside the folder from every measurement in it."""
    pages = [
        page(json.loads(path.read_text(encoding="utf-8")))
        for kind, page in (
            ("mnist", of_mnist),
            ("epoch", of_epoch),
            ("steps", of_steps),
            ("ops", of_ops),
            ("optim", of_optimisers),
            ("loop", of_loop),
            ("sweep", of_sweep),
            ("startup", of_startup),
        )
        for path in sorted(results.glob(f"{kind}-*.json"))
    ]
    about = (
        "Time and memory over torch's own, medians of rounds in turn; below 1 amal is ahead. In brackets, quartiles."
    )
    (results.parent / "RESULTS.md").write_text(f"# Benchmarks\n\n{about}\n\n" + "\n".join(pages), encoding="utf-8")


def as_section(title: str, result: dict[str, Any], about: str, titles: str, rows: list[str]) -> str:
    """Set a table with what it shows and where it was measured, then what the machine could do."""
    where = f"{result['machine']}; torch {result['torch']}; {result['date']}; float32."
    lines = [f"## {title} on {result['device']}", "", f"{where} {about}", "", *as_table(titles, rows)]
    return "\n".join(lines + roofline_of(result))


def as_table(titles: str, rows: list[str]) -> list[str]:
    """Set a table whose first column is words."""
    return [titles, "|---" + "|--:" * (titles.count("|") - 2) + "|", *rows, ""]


def roofline_of(result: dict[str, Any]) -> list[str]:
    """Set what each row asks of the machine beside what the machine can do; nothing where it was not counted."""
    rows = []
    for row in result["rows"]:
        if roof := row.get("roofline"):
            shares = [f"{100 * roof[f'share of {what}']:.0f} %" for what in ("product", "copy", "bound")]
            asked = f"{roof['gflop']:.3g} | {roof['gbyte']:.3g} | {in_words(roof['seconds'])}"
            rows.append(f"| {row['name']} | {asked} | {' | '.join(shares)} |")
    if not rows:
        return []
    about = ROOFLINE.format(**{name: rate / 1e9 for name, rate in result["rates"].items()})
    return [about, "", *as_table("| | GFLOP | GB | time | of products | of copying | of the bound |", rows)]


def in_words(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e6:.3g} µs"


def spread(measured: dict[str, float]) -> str:
    """Return a ratio with its quartiles."""
    return f"**{measured['ratio']:.2f}** ({measured['low']:.2f} – {measured['high']:.2f})"


def faster(measured: dict[str, float]) -> str:
    """Return how many times faster ours was, with quartiles."""
    return f"**{1 / measured['ratio']:.1f}** ({1 / measured['high']:.1f} – {1 / measured['low']:.1f})"


def of_optimisers(result: dict[str, Any]) -> str:
    """Set the optimisers' measurements."""
    networks = list(dict.fromkeys(row["network"] for row in result["rows"]))
    steps: dict[str, list[str]] = {}
    for row in result["rows"]:
        steps.setdefault(row["optimiser"], []).append(spread(row["step"]))
    about = "`python -m benchmarks.optim`: one step over one of torch's with foreach=True. Each may be 1.1."
    rows = [f"| {name} | {' | '.join(ratios)} |" for name, ratios in steps.items()]
    return as_section("Optimisers", result, about, f"| | {' | '.join(networks)} |", rows)


def of_loop(result: dict[str, Any]) -> str:
    """Set the training loop's measurements."""
    about = (
        f"`python -m benchmarks.loop`: {result['steps']} steps of `fit`, its looks left out, over the same steps in a "
        "bare loop of torch. The first may be 1.05."
    )
    rows = []
    for row in result["rows"]:
        ours, theirs = (row["epoch"][key] for key in ("ours", "theirs"))
        micro = [f"{seconds / result['steps'] * 1e6:.0f}" for seconds in (ours, theirs)]
        rows.append(f"| {row['name']} | {spread(row['epoch'])} | {' | '.join(micro)} |")
    return as_section("Training loop", result, about, "| model | ratio | µs a step, ours | bare |", rows)


def of_sweep(result: dict[str, Any]) -> str:
    """Set the sweep's measurements."""
    about = (
        "`python -m benchmarks.sweep`: the settings of experiment 2.5 trained at once, over the same runs one after "
        "another in plain eager torch. The speedup may be no less than 5."
    )
    rows = [
        f"| {row['name']} | {row['runs']} | {row['rounds']} | {faster(row['sweep'])} | {row['sweep']['ours']:.1f} | "
        f"{row['sweep']['theirs']:.1f} |"
        for row in result["rows"]
    ]
    return as_section("Sweep", result, about, "| | runs | rounds | speedup | s, at once | s, one after another |", rows)


def of_epoch(result: dict[str, Any]) -> str:
    """Set the measurements of an epoch on MNIST."""
    about = (
        "`python -m benchmarks.epoch`: an epoch of 55 000 images by `fit`, over one with the input pipeline of the "
        "PyTorch example (DataLoader, ToTensor, Normalize) and torch's own layers. The MLP's speedup may be no less "
        "than 10."
    )
    rows = [
        f"| {row['name']} | {faster(row['epoch'])} | {row['epoch']['ours']:.2f} | {row['epoch']['theirs']:.2f} |"
        for row in result["rows"]
    ]
    return as_section("Epoch on MNIST", result, about, "| | speedup | s, ours | s, usual |", rows)


def of_mnist(result: dict[str, Any]) -> str:
    """Set the race to 99 % of MNIST."""
    about = (
        "`python -m benchmarks.mnist`: seconds of training alone, in turn in one run, all 60 000 images; median, least "
        "and most, also of how many times longer than tme3.fast in the same round. The example stops when it first "
        f"reaches 99 %; accuracies are means. tme3.fast is its step *{result['step']}*. It may take no more than half "
        "of the recipe's time, a sixtieth of the example's."
    )
    rows = [
        f"| {row['name']} | **{row['seconds']:.2f}** ({row['least']:.2f} – {row['most']:.2f}) | **{row['times']:.1f}** "
        f"({row['times least']:.1f} – {row['times most']:.1f}) | {100 * row['accuracy']:.2f} % "
        f"({100 * row['lowest']:.2f} – {100 * row['highest']:.2f}) | {row['epochs']:.1f} | {row['rounds']} |"
        for row in result["rows"]
    ]
    titles = "| | s | × tme3.fast | accuracy on test | epochs | seeds |"
    return as_section("99 % of MNIST", result, about, titles, rows)


def of_steps(result: dict[str, Any]) -> str:
    """Set the steps of the course's networks."""
    about = (
        "`python -m benchmarks.steps`: forward, loss, backward and Adam over the same on torch.nn. Memory is the most "
        "that a step holds at once, beside what stood before it."
    )
    rows = []
    for row in result["rows"]:
        times = " | ".join(f"{row['step'][which] * 1e3:.2f}" for which in ("ours", "theirs"))
        peaks = " | ".join(f"{peak / 2**20:.1f}" for peak in row["peaks"])
        rows.append(f"| {row['name']} | {spread(row['step'])} | {times} | {peaks} |")
    return as_section("Steps", result, about, "| | ratio | ms, ours | ms, torch.nn | MiB, ours | MiB, torch.nn |", rows)


def of_startup(result: dict[str, Any]) -> str:
    """Set how long commands take to answer, and what they hold in memory."""
    about = "`python -m benchmarks.startup`: whole processes, medians; memory is the most that was resident."
    rows = [
        f"| `{row['command']}` | {row['seconds']:.2f} ({row['least']:.2f} – {row['most']:.2f}) | {row['mbyte']:.0f} |"
        for row in result["rows"]
    ]
    return as_section("Start-up", result, about, "| command | s | MB |", rows)


def of_ops(result: dict[str, Any]) -> str:
    """Set the operations: the table, then what it comes to."""
    about = (
        "`python -m benchmarks.ops`: *both* is forward and backward, by `torch.autograd.grad` with respect to every "
        "argument. The shapes are the realistic ones; of small ones, which take microseconds, see benchmarks/ops.py."
    )
    titles = f"| {' | '.join(TITLES)} |"
    return as_section("Operations", result, about, titles, [*map(as_row, result["rows"]), "", *summary(result["rows"])])


def as_row(row: dict[str, Any]) -> str:
    """Set one operation."""
    shapes = ", ".join("×".join(map(str, shape)) for shape in row["shapes"])
    both, compiled = row["realistic both"], row.get("compiled both")
    kept, kept_torch = row["saved bytes"], row["saved bytes torch"]
    cells = (
        row["name"],
        shapes,
        f"{row['realistic forward']['ratio']:.2f}",
        spread(both),
        f"{both['ours'] * 1e3:.2f}",
        f"{both['theirs'] * 1e3:.2f}",
        f"{compiled['ratio']:.2f}" if compiled else "",
        f"{row['small both']['ratio']:.2f}",
        f"{row['small forward']['ratio']:.2f}",
        f"{kept / kept_torch:.2f}" if kept_torch else f"{kept} against 0",
    )
    return f"| {' | '.join(cells)} |"


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Set geometric means and worst cases beside what they may be."""
    lines = ["| forward and backward | geometric mean | may be | worst | may be |", "|---|--:|--:|---|--:|"]

    def add(what: str, measured: dict[str, float], mean: float | None, most: float) -> None:
        if measured:
            worst = max(measured, key=lambda name: measured[name])
            lines.append(
                f"| {what} | {geometric_mean(measured.values()):.2f} | {mean or ''} | "
                f"{measured[worst]:.2f} ({worst}) | {most} |"
            )

    for kind, (what, mean, most) in BUDGETS.items():
        add(what, {r["name"]: r["realistic both"]["ratio"] for r in rows if r["kind"] == kind}, mean, most)
    add(
        "highway against composed",
        {r["name"]: r["realistic both"]["ratio"] for r in rows if r["kind"] == "layer"},
        None,
        1.0,
    )
    add("all, compiled", {r["name"]: r["compiled both"]["ratio"] for r in rows if "compiled both" in r}, *COMPILED)
    add("small shapes", {r["name"]: r["small both"]["ratio"] for r in rows}, None, SMALL)
    return lines
