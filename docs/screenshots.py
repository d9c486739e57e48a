"""Take the pictures of TensorBoard from the newest runs, in Chromium: `make`, then `python docs/screenshots.py`."""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browse import CURVES, board  # noqa: E402
from browser import Browser  # noqa: E402

FIT = "all('.button-text').filter(each => each.innerText === 'Fit to screen')[0]"


@dataclass(frozen=True)
class Shot:
    """A page of a lab, or of an experiment's newest run, and what to click there."""

    runs: str
    place: str
    ready: str
    """In JavaScript, what is 1 or more when the page is there."""
    clicks: tuple[tuple[str, int], ...] = ()
    """In JavaScript, the element to click, and how often."""


SHOTS = {
    "dashboard": Shot("tme1", "/#custom_scalars&_smoothingWeight=0", f"{CURVES} - 20"),
    "projector": Shot("tme3/classifier", "/#projector", "+all('.numDataPoints')[0].innerText.match(/[0-9]+/)[0]"),
    "board_about": Shot("tme3/classifier", "/#text", "all('code').length"),
    "board_graph": Shot(
        "tme3/convolution",
        "/#graphs",
        "all('g.node.meta').length",
        (
            ("all('g.node.meta').filter(each => /Linear/.test(each.textContent))[0]", 2),
            (FIT, 1),
            ("all('g.node.op').filter(each => /Linear$/.test(each.textContent.trim()))[0].querySelector('ellipse')", 1),
        ),
    ),
    "board_sweep": Shot(
        "tme2/checkerboard",
        "/#hparams",
        "all('vaadin-grid-cell-content').length",
        (("all('paper-tab').filter(each => /PARALLEL/i.test(each.innerText))[0]", 1),),
    ),
}


def main() -> None:
    """Write every picture to docs/img, or those that are named on the command line."""
    with Browser(1400, 860) as browser:
        for name in sys.argv[1:] or SHOTS:
            shot = SHOTS[name]
            runs = ROOT / "runs" / shot.runs
            runs = max(runs.iterdir()) if "/" in shot.runs else runs
            with board(runs.relative_to(ROOT)) as (address, _):
                page = browser.open(address + shot.place)
                browser.count(page, shot.ready, 1, 30)
                for element, times in (("document.body", 0), *shot.clicks):
                    browser.click(page, element, times)
                    browser.count(page, "0", 1, 3)  # what moves has stopped then
                picture = Image.open(io.BytesIO(browser.picture(page))).convert("RGB").quantize(256)
                picture.save(ROOT / "docs" / "img" / f"{name}.png", optimize=True)
                browser.close(page)
            print(f"docs/img/{name}.png from {runs.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
