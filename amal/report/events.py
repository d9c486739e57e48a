"""What a run drew, read from its TensorBoard files: curves and pictures, and nothing else that lies there.

A file is a row of records: the length of a message (8 bytes, little-endian), a checksum of it (4), the message, and a
checksum of that (4). Most of a file are histograms and graphs; they are decoded, and passed over. A run that is going
on, or was killed, may leave the last record half-written: reading ends before it, as TensorBoard's does.
"""

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SMALL = 1000
"""Bytes of the records whose checksum is verified, all numbers among them; a picture has a checksum of its own."""


@dataclass
class Events:
    """What one folder of a run holds, its children apart."""

    scalars: dict[str, dict[int, float]] = field(default_factory=dict)
    """Tag -> step -> value; NaN and infinite ones included."""
    images: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Tag -> the last step, and the picture of it as it was written (PNG)."""
    damage: list[str] = field(default_factory=list)
    """The names of files of which a part is lost."""

    def forget(self, step: int) -> None:
        """Forget what was written of a step and of later ones, as a resumed run asks."""
        for tag, values in self.scalars.items():
            self.scalars[tag] = {at: value for at, value in values.items() if at < step}
        self.images = {tag: (at, image) for tag, (at, image) in self.images.items() if at < step}


def read_run(run_dir: Path) -> dict[str, Events]:
    """Return what a completed run drew: name of the child -> its events; "" is the run itself, and comes first."""
    found: dict[str, Events] = {}
    for folder in sorted({path.parent for path in run_dir.rglob("events.out.tfevents.*")}):
        child = folder.relative_to(run_dir).as_posix()
        events = found.setdefault("" if child == "." else child, Events())
        *earlier, last = sorted(folder.glob("events.out.tfevents.*"))
        for path in earlier:  # a kill may have cut the last record, and the run went on in another file
            events.damage += [path.name] if read_file(path, events) > 0 else []
        events.damage += [last.name] if read_file(last, events) != 0 else []
    return found


def read_file(path: Path, events: Events) -> int:
    """Add what one file holds, up to where it is damaged or ends.

    Returns:
        0 if that is all of it, -1 if the last record is cut short, 1 if it is damaged before.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    try:
        content = memoryview(path.read_bytes())
    except OSError:  # gone since it was found, or not ours to read
        return 1
    place = 0
    while place < len(content):
        if place + 12 > len(content):
            return -1
        head, checksum = bytes(content[place : place + 8]), struct.unpack_from("<I", content, place + 8)
        (length,) = struct.unpack("<Q", head)
        end = place + 12 + length
        if (masked_crc32c(head),) != checksum:
            return 1
        if end + 4 > len(content):
            return -1
        record = bytes(content[place + 12 : end])
        if length <= SMALL and (masked_crc32c(record),) != struct.unpack_from("<I", content, end):
            return 1
        try:
            event = Event.FromString(record)
        except DecodeError:
            return 1
        if event.HasField("session_log") and event.session_log.status == SessionLog.START:
            events.forget(event.step)
        for value in event.summary.value:
            add(events, value, event.step)
        place = end + 4
    return 0 if place else 1


def add(events: Events, value: Any, step: int) -> None:
    """Add one value of a message, if it is a number or a picture."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        events.scalars.setdefault(value.tag, {})[step] = value.simple_value
    elif kind == "image" and step >= events.images.get(value.tag, (-math.inf, b""))[0]:
        events.images[value.tag] = (step, value.image.encoded_image_string)
