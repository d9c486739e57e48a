"""The curves and pictures of a run, read from its TensorBoard files."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amal.experiments import without_number
from amal.runs.records import DamagedFile, TruncatedFile, event_files, records

SMALL = 1000
"""Largest record, in bytes, whose checksum is verified: a number; pictures have their own."""


@dataclass
class Events:
    """The content of one folder of a run, without its children."""

    scalars: dict[str, dict[int, float]] = field(default_factory=dict)
    """Tag without the number of its experiment -> step -> value; NaN and infinite values included."""
    images: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Tag -> its last step, and the picture of that step (PNG)."""
    damage: list[str] = field(default_factory=list)
    """Names of files of which a part is lost."""


def read_run(run_dir: Path) -> dict[str, Events]:
    """Return name of the child -> its events, for a completed run; the run itself is "", and first."""
    children: dict[str, Events] = {}
    for folder in sorted({path.parent for path in run_dir.rglob("events.out.tfevents.*")}):
        child = folder.relative_to(run_dir).as_posix()
        events = children.setdefault("" if child == "." else child, Events())
        files = event_files(folder)
        *earlier, last = [path for path in files if path.stat().st_size] or files  # a resumed run empties some
        for path in earlier:  # a kill may have cut the last record, and the run went on in another file
            events.damage += [path.name] if read_file(path, events) > 0 else []
        events.damage += [last.name] if read_file(last, events) != 0 else []
    return children


def read_file(path: Path, events: Events) -> int:
    """Add the content of one file, up to its end or its damage.

    Returns:
        0 if the file is whole, -1 if its last record is cut short, 1 if it is damaged before.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    try:
        for _, record in records(path, verify=SMALL):
            event = Event.FromString(record)
            for value in event.summary.value:
                add(events, value, event.step)
    except TruncatedFile:
        return -1
    except (DamagedFile, DecodeError):
        return 1
    return 0 if path.stat().st_size else 1


def add(events: Events, value: Any, step: int) -> None:
    """Add one value of a message, if it is a number or a picture."""
    kind, tag = value.WhichOneof("value"), without_number(value.tag)
    if kind == "simple_value":
        events.scalars.setdefault(tag, {})[step] = value.simple_value
    elif kind == "image" and step >= events.images.get(tag, (-math.inf, b""))[0]:
        events.images[tag] = (step, value.image.encoded_image_string)
