"""Set the measurements as a page."""

import json
from pathlib import Path
from statistics import geometric_mean
from typing import Any

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


def write_report(results: Path) -> None:
    """Write RESULTS.md beside the folder from every measurement in it."""
    pages = [
        page(json.loads(path.read_text(encoding="utf-8")))
        for kind, page in (
            ("ops", as_page),
            ("optim", of_optimisers),
            ("loop", of_loop),
            ("sweep", of_sweep),
            ("mnist", of_mnist),
            ("race", of_race),
            ("steps", of_steps),
            ("startup", of_startup),
        )
        for path in sorted(results.glob(f"{kind}-*.json"))
    ]
    text = "# Benchmarks\n\nTime and memory over torch's own; below 1 amal is ahead.\n\n" + "\n".join(pages)
    (results.parent / "RESULTS.md").write_text(text, encoding="utf-8")


def as_section(title: str, result: dict[str, Any], about: str, titles: str, rows: list[str]) -> str:
    """Set a table with what it shows and where it was measured."""
    where = f"{result['machine']}; torch {result['torch']}; {result['date']}; float32."
    rule = "|---" + "|--:" * (titles.count("|") - 2) + "|"
    return "\n".join([f"## {title} on {result['device']}", "", f"{where} {about}", "", titles, rule, *rows, ""])


def of_optimisers(result: dict[str, Any]) -> str:
    """Set the optimisers' measurements."""
    networks = list(dict.fromkeys(row["network"] for row in result["rows"]))
    steps: dict[str, list[str]] = {}
    for row in result["rows"]:
        options = ", ".join(f"{key}={value}" for key, value in row["options"].items())
        steps.setdefault(f"{row['name']}({options})", []).append(f"{row['step']['ratio']:.2f}")
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
        ratio, ours, theirs = (row["epoch"][key] for key in ("ratio", "ours", "theirs"))
        micro = [f"{seconds / result['steps'] * 1e6:.0f}" for seconds in (ours, theirs)]
        rows.append(f"| {row['name']} | **{ratio:.3f}** | {' | '.join(micro)} |")
    return as_section("Training loop", result, about, "| model | ratio | µs a step, ours | bare |", rows)


def of_sweep(result: dict[str, Any]) -> str:
    """Set the sweep's measurements."""
    about = (
        "`python -m benchmarks.sweep`: the settings of experiment 2.5 trained at once, over the same runs one after "
        f"another in plain eager torch; {result['threads']} threads. The speedup may be no less than 5."
    )
    rows = [
        f"| {row['seeds']} | {row['runs']} | **{1 / row['sweep']['ratio']:.1f}** | {row['sweep']['ours']:.1f} | "
        f"{row['sweep']['theirs']:.1f} |"
        for row in result["rows"]
    ]
    return as_section("Sweep", result, about, "| seeds | runs | speedup | s, at once | s, one after another |", rows)


def of_mnist(result: dict[str, Any]) -> str:
    """Set the measurements of an epoch on MNIST."""
    about = (
        "`python -m benchmarks.mnist`: an epoch of 55 000 images over the usual one with "
        "DataLoader, ToTensor and torch's own layers. The speedup may be no less than 10."
    )
    rows = []
    for row in result["rows"]:
        ratio, ours, theirs = (row["epoch"][key] for key in ("ratio", "ours", "theirs"))
        rows.append(f"| {row['name']} | **{1 / ratio:.1f}** | {ours:.2f} | {theirs:.2f} |")
    return as_section("Epoch on MNIST", result, about, "| MLP | speedup | s, ours | s, usual |", rows)


def of_race(result: dict[str, Any]) -> str:
    """Set the race to 99 % of MNIST."""
    about = (
        f"`python -m benchmarks.race`: seconds of training alone, in turn in one run, {result['threads']} threads, all "
        "60 000 images; median, least and most. The example stops when it first reaches 99 %; accuracies are means. "
        f"tme3.fast is its step *{result['step']}*. It may take no more than half of the recipe's time, a sixtieth of "
        "the example's."
    )
    ours = next(row for row in result["rows"] if row["name"] == "tme3.fast")
    rows = [
        f"| {row['name']} | **{row['seconds']:.2f}** ({row['least']:.2f} – {row['most']:.2f}) | "
        f"{row['seconds'] / ours['seconds']:.1f} | {100 * row['accuracy']:.2f} % ({100 * row['lowest']:.2f} – "
        f"{100 * row['highest']:.2f}) | {row['epochs']:.1f} | {row['rounds']} |"
        for row in result["rows"]
    ]
    titles = "| | s | times tme3.fast | accuracy on test | epochs | seeds |"
    return as_section("99 % of MNIST", result, about, titles, rows)


def of_steps(result: dict[str, Any]) -> str:
    """Set the steps of the course's networks, with their rooflines."""
    flops, copied = result["rates"]["flops"] / 1e9, result["rates"]["bytes"] / 1e9
    about = (
        "`python -m benchmarks.steps`: forward, loss, backward and Adam over the same on torch.nn; "
        f"{result['threads']} threads. The machine multiplies large matrices at {flops:.0f} GFLOP/s and copies "
        f"{copied:.0f} GB/s, read and written; the shares are ours. *Of the bound*: the least time that either rate "
        "allows, over the time taken."
    )
    rows = []
    for row in result["rows"]:
        roof, ratio = row["roofline"], row["step"]
        shares = [f"{100 * roof[f'share of {what}']:.0f} %" for what in ("product", "copy", "bound")]
        rows.append(
            f"| {row['name']} | **{ratio['ratio']:.2f}** | {ratio['ours'] * 1e3:.2f} | {ratio['theirs'] * 1e3:.2f} | "
            f"{roof['gflop']:.2f} | {roof['gbyte']:.2f} | {' | '.join(shares)} |"
        )
    titles = "| network | ratio | ms, ours | ms, torch.nn | GFLOP | GB | of products | of copying | of the bound |"
    return as_section("Steps", result, about, titles, rows)


def of_startup(result: dict[str, Any]) -> str:
    """Set how long commands take to answer, and what they hold in memory."""
    about = "`python -m benchmarks.startup`: whole processes, medians; memory is the most that was resident."
    rows = [
        f"| `{row['command']}` | {row['seconds']:.2f} ({row['least']:.2f} – {row['most']:.2f}) | {row['mbyte']:.0f} |"
        for row in result["rows"]
    ]
    return as_section("Start-up", result, about, "| command | s | MB |", rows)


def as_page(result: dict[str, Any]) -> str:
    """Set one device's measurements: the table, then what it comes to."""
    lines = [
        f"## Operations on {result['device']}",
        "",
        f"{result['machine']}; torch {result['torch']}; {result['date']}; float32. `python -m benchmarks.ops` calls "
        "ours and torch's in turn; each figure is the median of the ratios. *Both* is forward and backward, by "
        "`torch.autograd.grad` with respect to every argument. The shapes are the realistic ones; of small ones, which "
        "take microseconds, see benchmarks/ops.py.",
        "",
        f"| {' | '.join(TITLES)} |",
        f"|---|---{'|--:' * (len(TITLES) - 2)}|",
        *map(as_row, result["rows"]),
        "",
        *summary(result["rows"]),
        "",
    ]
    return "\n".join(lines)


def as_row(row: dict[str, Any]) -> str:
    """Set one operation."""
    shapes = ", ".join("×".join(map(str, shape)) for shape in row["shapes"])
    both, compiled = row["realistic both"], row.get("compiled both")
    kept, kept_torch = row["saved bytes"], row["saved bytes torch"]
    cells = (
        row["name"],
        shapes,
        f"{row['realistic forward']['ratio']:.2f}",
        f"**{both['ratio']:.2f}**",
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
