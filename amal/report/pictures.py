"""The pictures of runs: chosen, and made small enough for a page."""

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache

from .charts import natural_key
from .events import Events

WIDEST = 820
"""Width in pixels: about what a page shows on a fine screen."""
COLOURS = 64
LARGEST = 40_000_000
"""Pixels of a picture that is opened: a small file may claim any number."""


@dataclass(frozen=True)
class Picture:
    """A picture on the page."""

    caption: str
    encoded: str
    """PNG in base64."""
    width: int
    height: int


def rank(
    events: Mapping[str, Events], order: Sequence[str], is_shown: Callable[[str], bool]
) -> list[tuple[str, bytes]]:
    """Return captions and pictures of a run, the most important first, one of each tag.

    Pictures of the run itself come before those of its children.

    Args:
        events: name of the child -> its events; "" is the run itself.
        order: patterns of the tags that come first.
        is_shown: whether a child is shown, by its name; the run itself always is.
    """
    entries = []
    for child in sorted(events, key=natural_key):
        for number, (tag, (step, image)) in enumerate(events[child].images.items()):
            priority = next((index for index, pattern in enumerate(order) if fnmatch(tag, pattern)), len(order))
            caption = ", ".join(filter(None, [tag, child, f"step {step}" if step else ""]))
            if not child or is_shown(child):
                entries.append(((priority, child != "", number), tag, caption, image))
    pictures: dict[str, tuple[str, bytes]] = {}
    for _, tag, caption, image in sorted(entries, key=lambda entry: entry[0]):
        pictures.setdefault(tag, (caption, image))
    return list(pictures.values())


def damage(pictures: Sequence[tuple[str, bytes]], limit: int) -> list[str]:
    """Return the captions of those among the first `limit` pictures that cannot be read."""
    return [caption for caption, image in pictures[:limit] if shrink(caption, image) is None]


def choose(budget: int, candidates: Sequence[Sequence[tuple[str, bytes]]], limit: int) -> list[list[Picture]]:
    """Return the pictures that fit into the budget: every article's first, then every second, ...

    Args:
        budget: bytes of the page for all of them.
        candidates: the ranked pictures of every article on the page.
        limit: largest number of pictures of an article.
    """
    selection: list[list[Picture]] = [[] for _ in candidates]
    for number in range(limit):
        for pictures, article in zip(candidates, selection, strict=True):
            picture = shrink(*pictures[number]) if number < len(pictures) else None
            if picture and len(picture.encoded) <= budget:
                budget -= len(picture.encoded)
                article.append(picture)
    return selection


@lru_cache(maxsize=1000)
def shrink(caption: str, image: bytes) -> Picture | None:
    """Return a picture with fewer pixels and colours; None if it cannot be read."""
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
    return Picture(caption, base64.b64encode(content.getvalue()).decode(), picture.width, picture.height)
