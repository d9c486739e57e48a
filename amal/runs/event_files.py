"""What lies in a run's event files, and how they are cut back to a checkpoint.

TensorBoard's readers disagree about values that a later file takes back: its Python server, its data server and its
EventAccumulator each drop others. So nothing is taken back: what was written after a checkpoint is cut off the files
before the training goes on from there, and one reader sees what any other does. A file keeps its name: a TensorBoard
that is open meanwhile waits for ever for one that is gone.
"""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from amal.files import sync

from .records import DamagedFile, TruncatedFile, event_files, records

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

GRAPH = "__run_graph__"
LAYOUT = "custom_scalars__config__"
KINDS = {"simple_value": "scalar", "histo": "histogram", "image": "picture", "pr_curves": "precision-recall curve"}


@dataclass
class Written:
    """What the event files of a folder hold."""

    steps: set[tuple[str, int]] = field(default_factory=set)
    """Each tag and step."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Tag -> what is written under it, such as `scalar`."""
    charts: dict[str, list[Any]] = field(default_factory=dict)
    """Title of a chart -> its kind and patterns of its tags, as the last layout has them."""


class Position(NamedTuple):
    """A place between two records."""

    path: Path
    byte: int


def read_written(folder: Path) -> Written:
    """Return what TensorBoard finds in a folder."""
    contents = Written()
    for _, event in _events(folder):
        if event.HasField("graph_def"):
            contents.steps.add((GRAPH, 0))
            contents.kinds[GRAPH] = "graph"
        for value in event.summary.value:
            contents.steps.add((value.tag, event.step))
            contents.kinds.setdefault(value.tag, _kind(value))
            if value.tag == LAYOUT:
                contents.charts = _charts(value.tensor.string_val[0])
    return contents


def checkpoint_event(step: int) -> "Event":
    """Return the event that says that all before it belongs to the checkpoint of a step."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    return Event(step=step, session_log=SessionLog(status=SessionLog.CHECKPOINT))


class Tail(NamedTuple):
    """What was written after a checkpoint."""

    begin: Position | None
    """None if there is nothing."""
    is_later: bool
    """Whether a later step is among it."""
    is_whole: bool
    """Whether the files reach up to the checkpoint."""


def find_tail(folder: Path, step: int) -> Tail:
    """Return what was written after the checkpoint of a step."""
    from tensorboard.compat.proto.event_pb2 import SessionLog

    tail: Position | None = None
    is_later = is_whole = False
    begin = Position(folder, 0)
    for end, event in _events(folder, verify=True):
        if end.path != begin.path:
            begin = Position(end.path, 0)
        if event is None:  # damaged from here on: one reader goes on behind that, another does not
            return Tail(tail if is_whole else begin, True, is_whole)
        if event.session_log.status == SessionLog.CHECKPOINT and event.step <= step:
            tail, is_later, is_whole = end, False, event.step == step
        elif event.step > step and event.summary.value and not is_later:
            tail, is_later = tail or begin, True
        begin = end
    return Tail(tail, is_later, is_whole)


def cut(position: Position) -> None:
    """Cut off what lies behind a position, in its file and in later ones; a kill meanwhile leaves a shorter tail."""
    for path in reversed(event_files(position.path.parent)):
        if path >= position.path:
            os.truncate(path, position.byte if path == position.path else 0)
            sync(path)


def await_new_name(folder: Path) -> None:
    """Wait until a file opened now comes last: names begin with the second, and TensorBoard reads them in order.

    If the clock was set back since, and files lie in the future, they get other dates, in their order.
    """
    files, now = event_files(folder), int(time.time())
    if files and _second(files[-1]) > now + 1:
        for age, path in zip(range(len(files), 0, -1), files, strict=True):  # a kill meanwhile leaves them in order
            path.rename(path.with_name(path.name.replace(f".{_second(path):010d}.", f".{now - age:010d}.", 1)))
    while (files := event_files(folder)) and _second(files[-1]) >= int(time.time()):
        time.sleep(0.05)


def _second(path: Path) -> int:
    """Return the time in the name of an event file, in seconds."""
    return int(path.name.split(".")[3])


def _events(folder: Path, verify: bool = False) -> Iterator[tuple[Position, Any]]:
    """Yield the events of a folder, each with where its record ends; of a damaged file those before the damage.

    Args:
        folder: with event files.
        verify: whether to look at checksums, and to yield None where a file is damaged, with the place before that.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    for path in event_files(folder):
        place = Position(path, 0)
        try:
            for end, message in records(path, sys.maxsize if verify else 0):
                event = Event.FromString(message)
                place = Position(path, end)
                yield place, event
        except TruncatedFile:  # by a kill
            continue
        except (DamagedFile, DecodeError):
            if verify:
                yield place, None


def _kind(value: Any) -> str:
    """Return what a value of a summary is, in words."""
    name = value.metadata.plugin_data.plugin_name or value.WhichOneof("value") or "nothing"
    return KINDS.get(name, name)


def _charts(layout: bytes) -> dict[str, list[Any]]:
    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    charts = (chart for category in Layout.FromString(layout).category for chart in category.chart)
    return {chart.title: ["Multiline", list(chart.multiline.tag)] for chart in charts}
