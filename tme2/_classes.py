"""What the classifications of this session share: labels 0 and 1, accuracy, means over seeds, what is written down."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from amal.data import Split, Splits
from amal.plots import decision_frontier
from amal.training import Logbook, Member, Row, is_milestone, log_row, log_weights


def zero_one(data: Splits) -> Splits:
    """Turn the labels ±1 into the 1 and 0 that a probability is compared with."""

    def relabel(split: Split) -> Split:
        return replace(split, target=(split.target + 1) / 2)

    return Splits(relabel(data.train), relabel(data.validation), relabel(data.test))


def accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the share of the examples on the right side: a probability above a half is a logit above 0."""
    return ((logits > 0) == (target > 0.5)).double().mean()


def mean_history(members: Sequence[Member]) -> list[Row]:
    """Return the mean, over members that differ in their seeds, of what each look found."""
    looks = zip(*(member.progress.history for member in members), strict=True)
    return [{key: fmean(row[key] for row in rows) for key in rows[0]} for rows in looks]


def watch(logbook: Logbook, model: nn.Module, data: Splits, row: Row, epochs: int) -> None:
    """At milestones, write how the weights are distributed, and draw the frontier as it is."""
    if not is_milestone(row["epoch"], epochs):
        return
    log_weights(logbook, model, int(row["step"]))
    title = f"Test set, epoch {row['epoch']:.0f}: {row['accuracy/test']:.1%} right"
    logbook.figure(
        "frontier", decision_frontier(data.test.input, 2 * data.test.target - 1, model, title), int(row["step"])
    )


def write_run(logbook: Logbook, rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
    """Write the curves of one run of a sweep, and its line in the table of hyper-parameters."""
    for row in rows:
        log_row(logbook, row)
    logbook.settings(settings, {f"accuracy_{part}": rows[-1][f"accuracy/{part}"] for part in ("train", "test")})


def compared(rows: Mapping[str, Row], reported: Mapping[str, tuple[float, float]], what: str) -> str:
    """Return a table in Markdown: the last accuracies of each setting beside the reported ones, "–" where none are."""
    lines = [f"| {what} | reported train | test | measured train | test |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        known = " | ".join(f"{value:.3f}" for value in reported[name]) if name in reported else "– | –"
        lines.append(f"| {name} | {known} | {row['accuracy/train']:.3f} | {row['accuracy/test']:.3f} |")
    return "\n".join(lines)


def seeded(seed: int, make: Any, *args: Any) -> nn.Module:
    """Return the model that `make` makes with the initial weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(*args)
