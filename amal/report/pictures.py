"""Pictures of a run, chosen and made small enough for a page."""

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache

from .charts import natural
from .events import Events

WIDEST = 820
"""Pixels: about as wide as a page shows them on a fine screen."""
COLOURS = 64
LARGEST = 40_000_000
"""Pixels of a picture that is opened: a file of some bytes may claim any number."""


@dataclass(frozen=True)
class Picture:
    """A picture on the page."""

    caption: str
    encoded: str
    """PNG in base64."""
    width: int
    height: int


def ranked(
    events: Mapping[str, Events], telling: Sequence[str], wanted: Callable[[str], bool]
) -> list[tuple[str, bytes]]:
    """Return captions and pictures of a run, the most telling first, one of each tag.

    What sums up a run comes before what one of its children drew.

    Args:
        events: name of the child -> its events; "" is the run itself.
        telling: patterns of tags that come first.
        wanted: whether a child is shown, by its name; the run itself always is.
    """
    found = []
    for child in sorted(events, key=natural):
        for turn, (tag, (step, image)) in enumerate(events[child].images.items()):
            place = next((place for place, pattern in enumerate(telling) if fnmatch(tag, pattern)), len(telling))
            caption = ", ".join(filter(None, [tag, child, f"step {step}" if step else ""]))
            if not child or wanted(child):
                found.append(((place, child != "", turn), tag, caption, image))
    shown: dict[str, tuple[str, bytes]] = {}
    for _, tag, caption, image in sorted(found, key=lambda entry: entry[0]):
        shown.setdefault(tag, (caption, image))
    return list(shown.values())


def unreadable(wishes: Sequence[tuple[str, bytes]], each: int) -> list[str]:
    """Return the captions of the pictures that one place should have shown, and that cannot be read."""
    return [caption for caption, image in wishes[:each] if small(caption, image) is None]


def within(budget: int, wishes: Sequence[Sequence[tuple[str, bytes]]], each: int) -> list[list[Picture]]:
    """Return the pictures that fit into so many bytes: everybody's first one, then everybody's second one, and so on.

    Args:
        budget: bytes of the page for all of them.
        wishes: the ranked pictures of every place on the page.
        each: how many pictures one place shows at most.
    """
    shown: list[list[Picture]] = [[] for _ in wishes]
    for turn in range(each):
        for wish, place in zip(wishes, shown, strict=True):
            picture = small(*wish[turn]) if turn < len(wish) else None
            if picture and len(picture.encoded) <= budget:
                budget -= len(picture.encoded)
                place.append(picture)
    return shown


@lru_cache(maxsize=1000)
def _shrunk(image: bytes) -> tuple[str, int, int] | None:
    """Return a picture with fewer pixels and colours, in base64, and its size; None if it cannot be read."""
    from PIL import Image

    content = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # LARGEST is stricter
            opened = Image.open(io.BytesIO(image), formats=["PNG"])
        with opened:
            if opened.width * opened.height > LARGEST:
                return None
            picture = opened.convert("RGB")
        if picture.width > WIDEST:
            size = WIDEST, max(1, picture.height * WIDEST // picture.width)
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(content, "PNG")
    except Exception:  # a picture may be wrong in any way
        return None
    return base64.b64encode(content.getvalue()).decode(), picture.width, picture.height


def small(caption: str, image: bytes) -> Picture | None:
    """Return a picture for the page; None if it cannot be read."""
    shrunk = _shrunk(image)
    return Picture(caption, *shrunk) if shrunk else None
