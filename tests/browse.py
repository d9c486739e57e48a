"""Look at a real run in TensorBoard, in a real browser, page by page: does each show data?

    python tests/browse.py                           as many runs as `make` leaves, made up for it
    python tests/browse.py runs --pictures shots     every page of runs that are there, each page to shots/<page>.png

Starts `amal board`, opens the first address that it prints in headless Chromium, clicks one of TensorBoard's tabs after
the other, and nothing else, waits until what each should show is there, and counts the coloured pixels, for an axis
without a curve is no chart. Exit status 1 if a page shows nothing.
"""

import argparse
import contextlib
import io
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from browser import Browser

from amal.experiments import find_experiments
from amal.nn import Linear
from amal.plots import image_grid
from amal.runs import RunLogbook
from amal.runs.board import VIEWS
from amal.runs.launcher import LOOK
from amal.runs.run_info import RunInfo
from amal.training import PrefixedLogbook, log_row
from amal.training.evaluation import PARTS

ROOT = Path(__file__).parent.parent
PATIENCE = 120
"""Seconds that a page may take to show something, on a machine that has much else to do."""
WIDTH = 1900
"""Of the window, in pixels: there is room for all tabs."""
LEFT, TOP, RIGHT = 400, 140, 1190
"""What lies outside is TensorBoard's own: its bar, the runs at the left, the settings at the right."""
IN_VIEW = "(box => box.width > 5 && box.top < innerHeight && box.bottom > 0)(each.getBoundingClientRect())"
CURVES = f"all('path.line').filter(each => (each.getAttribute('d') || '').length > 20 && {IN_VIEW}).length"


@dataclass(frozen=True)
class Page:
    """A page of TensorBoard."""

    shown: str
    """In JavaScript, how much of what it should show is there; `all(selector)` finds elements."""
    coloured: int = 0
    """How many pixels have a colour, at least."""


PAGES = {
    "text": Page("all('code').filter(each => each.innerText.includes('python -m')).length"),
    "time series": Page("all('scalar-card line-chart canvas, image-card img').length", 300),
    "scalars": Page(CURVES, 300),
    "custom scalars": Page(CURVES, 300),
    "images": Page("all('img').filter(each => each.naturalWidth > 100).length", 300),
    "graphs": Page("all('g.node').length - 1"),  # the drawing itself is one
    "distributions": Page("all('path.area').filter(each => each.getAttribute('d')).length", 300),
    "histograms": Page("all('path.outline').filter(each => each.getAttribute('d')).length", 300),
    "PR curves": Page(CURVES, 300),
    "hparams": Page("all('vaadin-grid-cell-content').filter(each => /^[0-9]/.test(each.innerText)).length"),
    "projector": Page("+all('.numDataPoints')[0].innerText.match(/[0-9]+/)[0]", 300),
}
"""Name on the tab -> what is there, in the order in which they are visited; the first is where `amal board` begins."""


def complaints(runs, folder=None, patience=PATIENCE):
    """Return what is wrong with each page, None if nothing is; write their pictures to a folder, if one is given."""
    with board(runs) as (address, _), Browser(WIDTH) as browser:
        first = address + next(iter(VIEWS.values()))
        tab, found = browser.open(first), {}
        for name, page in PAGES.items():
            if name == "projector":  # which TensorBoard finds a while later, and then has a tab in a page opened anew
                tab = browser.open(first)
            found[name] = complaint(browser, tab, name, page, folder, patience)
        return found


def complaint(browser, tab, name, page, folder, patience):
    label = f"all('[role=tab]').filter(each => each.innerText.trim().toLowerCase() === '{name.lower()}')"
    if not browser.count(tab, f"{label}.length", 1, patience):
        return "has no tab"
    browser.click(tab, f"{label}[0]", 1)
    shown = browser.count(tab, page.shown, 1, patience)
    picture = browser.picture(tab)
    for _ in range(20):  # a drawing may come a while after what it is of
        if coloured(picture) >= page.coloured or shown < 1:
            break
        browser.count(tab, "0", 1, 0.5)
        picture = browser.picture(tab)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name.replace(' ', '-')}.png").write_bytes(picture)
    if shown < 1:
        return "shows nothing"
    return "is grey" if coloured(picture) < page.coloured else None


def coloured(picture):
    """Return how many pixels in the middle of a picture have a colour."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=int)[TOP:, LEFT:RIGHT]
    return int((pixels.max(2) - pixels.min(2) > 30).sum())


@contextlib.contextmanager
def board(runs, *options):
    """Run `amal board` as its user would; yield the address that it prints and the process, and stop it by Ctrl-C."""
    command = [sys.executable, "-m", "amal", "board", str(runs), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        said = ""
        while "Ctrl-C stops it" not in said:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said += line
        yield re.search(r"http://127\.0\.0\.1:\d+", said)[0], process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def make_run(folder):
    """Train a classifier for two epochs: the run that has something for every page."""
    command = [sys.executable, "-m", "tme3.classifier", "--epochs", "2", "--no-progress", "--run-dir", str(folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)


def make_many(folder):
    """Write runs of every experiment, as `make` does, each with two children; return how many there are.

    Only the last experiment has something for every page, as in the labs.
    """
    experiments = find_experiments()
    last = list(experiments)[-1]
    for script, experiment in experiments.items():
        lab, name = script.split(".")
        (folder / lab / name / "run").mkdir(parents=True)
        book = RunLogbook(folder / lab / name / "run", shared={"experiment": f"{experiment.number} {name}"})
        book.text(f"{LOOK}/{experiment.number} {name}", RunInfo(script, [], experiment).description())
        numbered = PrefixedLogbook(book, experiment.number)
        for lr in (0.01, 0.1):
            write(numbered.child({"lr": lr}), lr, everything=script == last)
        book.close()
    return 3 * len(experiments)


def write(logbook, lr, everything):
    """Write a run that is made up."""
    random = torch.Generator().manual_seed(0)
    for step in range(20):
        log_row(logbook, {"step": step, **{f"loss/{part}": 1 / (1 + lr * step) for part in PARTS}})
    logbook.settings({"lr": lr}, {"loss_test": lr})
    if everything:
        classes, images = torch.arange(8) % 2, torch.rand(8, 1, 4, 4, generator=random)
        logbook.histogram("parameters/weight", torch.randn(100, generator=random), 0)
        logbook.histogram("parameters/weight", torch.randn(100, generator=random), 1)
        logbook.figure("images", image_grid(images, list("01010101"), "made up"), 0)
        logbook.graph(Linear(16, 2), images.flatten(1))
        logbook.pr_curve("precision and recall", classes, torch.rand(8, generator=random), 0)
        logbook.embedding(images.flatten(1), map(str, classes.tolist()), images)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", type=Path, help="a folder of runs; made up if none is given")
    parser.add_argument("--pictures", type=Path, help="a folder to write the pages to")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if not asked.runs:
            make_many(Path(scratch))
        found = complaints(asked.runs or Path(scratch), asked.pictures)
    for name, wrong in found.items():
        print(f"{name:<16} {wrong or 'shows data'}")
    raise SystemExit(any(found.values()))


if __name__ == "__main__":
    main()
