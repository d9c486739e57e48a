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
    pages = [as_page(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(results.glob("ops-*.json"))]
    text = "# Benchmarks\n\nTime and memory over torch's own operations; below 1 amal is ahead.\n\n" + "\n".join(pages)
    (results.parent / "RESULTS.md").write_text(text, encoding="utf-8")


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
