"""What a run drew, read from its TensorBoard files: curves and pictures, and nothing else that lies there.

A file is a row of records: the length of a message (8 bytes, little-endian), a checksum of it (4), the message, and a
checksum of that (4). Most of a file are histograms and graphs; they are decoded, and passed over. A run that is going
on, or was killed, may leave the last record half-written: reading ends before it, as TensorBoard's does.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amal.experiments import without_number


@dataclass
class Events:
    """What one folder of a run holds, its children apart."""

    scalars: dict[str, dict[int, float]] = field(default_factory=dict)
    """Tag without the number of its experiment -> step -> value; NaN and infinite ones included."""
    images: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Tag -> the last step, and the picture of it as it was written (PNG)."""

    def forget(self, step: int) -> None:
        """Forget what was written of a step and of later ones, as a resumed run asks."""
        for tag, values in self.scalars.items():
            self.scalars[tag] = {at: value for at, value in values.items() if at < step}
        self.images = {tag: (at, image) for tag, (at, image) in self.images.items() if at < step}


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
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    for record in records(path):
        try:
            event = Event.FromString(record)
        except DecodeError:
            return
        if event.HasField("session_log") and event.session_log.status == SessionLog.START:
            events.forget(event.step)
        for value in event.summary.value:
            add(events, value, event.step)


def add(events: Events, value: Any, step: int) -> None:
    """Add one value of a message, if it is a number or a picture."""
    kind, tag = value.WhichOneof("value"), without_number(value.tag)
    if kind == "simple_value":
        events.scalars.setdefault(tag, {})[step] = value.simple_value
    elif kind == "image" and step >= events.images.get(tag, (-math.inf, b""))[0]:
        events.images[tag] = (step, value.image.encoded_image_string)


def records(path: Path) -> Iterator[bytes]:
    """Yield the messages of a file that are there whole."""
    try:
        content = memoryview(path.read_bytes())
    except OSError:  # gone since it was found, or not ours to read
        return
    place = 0
    while place + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        end = place + 12 + length
        if end + 4 > len(content):
            return
        yield bytes(content[place + 12 : end])
        place = end + 4
