"""Look at a real run in TensorBoard, in a real browser, page by page: does each show data?

    python tests/browse.py                           a run of tme3.classifier, made for it
    python tests/browse.py runs --pictures shots     every page of runs that are there, each page to shots/<page>.png

Starts `amal board`, renders each page in headless Chromium, waits until what it should show is there, and counts the
coloured pixels, for an axis without a curve is no chart. Exit status 1 if a page shows nothing.
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

from browser import Browser

ROOT = Path(__file__).parent.parent
PATIENCE = 25
"""Seconds that a page may take to show something."""
LEFT, TOP, RIGHT = 400, 140, 1190
"""What lies outside is TensorBoard's own: its bar, the runs at the left, the settings at the right."""
CURVES = "all('path.line').filter(each => (each.getAttribute('d') || '').length > 20).length"


@dataclass(frozen=True)
class Page:
    """A page of TensorBoard."""

    place: str
    """After the address."""
    shown: str
    """In JavaScript, how much of what it should show is there; `all(selector)` finds elements."""
    coloured: int = 0
    """How many pixels have a colour, at least."""


PAGES = {
    "time series": Page("/?smoothing=0#timeseries", "all('scalar-card line-chart canvas').length", 300),
    "scalars": Page("/#scalars&_smoothingWeight=0", CURVES, 300),
    "custom scalars": Page("/#custom_scalars&_smoothingWeight=0", CURVES, 300),
    "images": Page("/#images", "all('img').filter(each => each.naturalWidth > 100).length", 300),
    "histograms": Page("/#histograms", "all('path.outline').filter(each => each.getAttribute('d')).length", 300),
    "hparams": Page(
        "/#hparams", "all('vaadin-grid-cell-content').filter(each => /^[0-9]/.test(each.innerText)).length"
    ),
    "projector": Page("/#projector", "+all('.numDataPoints')[0].innerText.match(/[0-9]+/)[0]", 300),
    "PR curves": Page("/#pr_curves", CURVES, 300),
    "graphs": Page("/#graphs", "all('g.node').length - 1"),  # the drawing itself is one
    "text": Page("/#text", "all('code').filter(each => each.innerText.includes('python -m')).length"),
}


def complaints(runs, folder=None, patience=PATIENCE):
    """Return what is wrong with each page, None if nothing is; write their pictures to a folder, if one is given."""
    with board(runs) as (address, _), Browser() as browser:
        return {name: complaint(browser, address, name, page, folder, patience) for name, page in PAGES.items()}


def complaint(browser, address, name, page, folder, patience):
    tab = browser.open(address + page.place)
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
    browser.close(tab)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", type=Path, help="a folder of runs; a new run if none is given")
    parser.add_argument("--pictures", type=Path, help="a folder to write the pages to")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if not asked.runs:
            make_run(Path(scratch) / "run")
        found = complaints(asked.runs or Path(scratch), asked.pictures)
    for name, wrong in found.items():
        print(f"{name:<16} {wrong or 'shows data'}")
    raise SystemExit(any(found.values()))


if __name__ == "__main__":
    main()
