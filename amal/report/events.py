"""What a run drew, read from its TensorBoard files: curves and pictures, and nothing else that lies there.

Most of a file are histograms and graphs; they are decoded, and passed over.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amal.experiments import without_number
from amal.records import records


@dataclass
class Events:
    """What one folder of a run holds, its children apart."""

    scalars: dict[str, dict[int, float]] = field(default_factory=dict)
    """Tag without the number of its experiment -> step -> value; NaN and infinite ones included."""
    images: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Tag -> the last step, and the picture of it as it was written (PNG)."""


def read_run(run_dir: Path) -> dict[str, Events]:
    """Return what a run drew: name of the child -> its events; "" is the run itself, and comes first."""
    found: dict[str, Events] = {}
    for path in sorted(run_dir.rglob("events.out.tfevents.*"), key=lambda path: (path.parent, path.name)):
        child = path.parent.relative_to(run_dir).as_posix()
        read_file(path, found.setdefault("" if child == "." else child, Events()))
    return found


def read_file(path: Path, events: Events) -> None:
    """Add what one file holds, up to where it is damaged or ends."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    for _, record in records(path):
        try:
            event = Event.FromString(record)
        except DecodeError:
            return
        for value in event.summary.value:
            add(events, value, event.step)


def add(events: Events, value: Any, step: int) -> None:
    """Add one value of a message, if it is a number or a picture."""
    kind, tag = value.WhichOneof("value"), without_number(value.tag)
    if kind == "simple_value":
        events.scalars.setdefault(tag, {})[step] = value.simple_value
    elif kind == "image" and step >= events.images.get(tag, (-math.inf, b""))[0]:
        events.images[tag] = (step, value.image.encoded_image_string)
