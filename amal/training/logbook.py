"""Where a run is written down for TensorBoard: each thing once, however often the run was interrupted."""

import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from amal.errors import UserError
from amal.experiments import run_name

from .files import beginning, require_in_place, sync
from .graph import model_graph
from .projector import coloured

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Logbook(Protocol):
    """What an experiment asks of the place where it writes down what it sees.

    Tags read `group/name`, such as `loss/train`. A step counts updates of the model, the same for all that one logbook
    holds. Values may be tensors on any device. What was written of a tag and step is not written again.
    """

    folder: Path
    """Where the run lies."""

    def scalar(self, tag: str, value: Tensor | float, step: int) -> None:
        """Write one number."""

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Write how the entries of a tensor are distributed; NaN, infinite and astronomical ones are left out."""

    def figure(self, tag: str, figure: "Figure", step: int) -> None:
        """Write a picture."""

    def text(self, tag: str, markdown: str) -> None:
        """Write a passage of Markdown."""

    def chart(self, title: str, tags: Iterable[str]) -> None:
        """Ask for one chart that shows several scalars together, such as train and test."""

    def graph(self, model: nn.Module, input: Tensor) -> None:
        """Write the graph of operations of a model, as it is traced with an input."""

    def pr_curve(self, tag: str, labels: Tensor, probabilities: Tensor, step: int) -> None:
        """Write precision against recall at every threshold: labels (n) 0 or 1, the probability (n) given to 1."""

    def embedding(self, vectors: Tensor, labels: Iterable[str], thumbnails: Tensor) -> None:
        """Write points (n, d) for the projector, each with its label and its picture (n, channels, height, width)."""

    def settings(self, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Write what the run was set to and what came of it: its row in the table of hyper-parameters.

        A run with children has none: its children's are its rows.
        """

    def child(self, settings: Mapping[str, Any] | str) -> "Logbook":
        """Return the logbook of one run among several of this experiment.

        Make few: above 40 runs in all, TensorBoard shows none of them until they are ticked.

        Args:
            settings: in what it differs from the others, such as {"depth": 10}; its folder is named for that, depth=10.
        """

    def rewind(self, step: int) -> None:
        """Forget what was written of later steps, as before a training goes on from a checkpoint."""

    def flush(self) -> None:
        """Wait until the disk holds all that was written, as before a checkpoint that counts on it."""


class RunLogbook:
    """A Logbook in a run directory: TensorBoard events there, and in a folder below for each child.

    Args:
        folder: an existing folder.
        resume: whether to go on with what an interrupted run wrote there.
        about: in Markdown, what this is and what to look at; at the top of the Text page, for each child too.
        shared: settings of this run and of all its children, for their rows in the table of hyper-parameters.
    """

    def __init__(
        self, folder: Path, resume: bool = False, about: str = "", shared: Mapping[str, Any] | None = None
    ) -> None:
        self.folder = folder
        self._about, self._shared = about, shared or {}
        self._resume = resume
        self._written = written_events(folder) if resume else set()
        self._was_empty = not self._written
        self._purge_step: int | None = None
        self._opened: Any = None
        self._begun: dict[Path, bytes] = {}
        self._charts: dict[str, list[Any]] = {}
        self._children: dict[str, RunLogbook] = {}

    def scalar(self, tag: str, value: Tensor | float, step: int) -> None:
        """Write one number."""
        if self._is_new(tag, step):
            self._writer.add_scalar(tag, value.item() if isinstance(value, Tensor) else value, step)

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Write how the entries of a tensor are distributed."""
        values = values.detach().double()
        shown = values[values.abs() < 1e19]  # TensorBoard's bins end soon after, and it fails beyond
        if shown.numel() > 0 and self._is_new(tag, step):
            self._writer.add_histogram(tag, shown.cpu(), step)

    def figure(self, tag: str, figure: "Figure", step: int) -> None:
        """Write a picture."""
        if self._is_new(tag, step):
            self._writer.add_figure(tag, figure, step, close=False)

    def text(self, tag: str, markdown: str) -> None:
        """Write a passage of Markdown."""
        if self._is_new(f"{tag}/text_summary", 0):
            self._writer.add_text(tag, markdown, 0)

    def chart(self, title: str, tags: Iterable[str]) -> None:
        """Ask for one chart that shows several scalars together."""
        self._charts[title] = ["Multiline", [f"^{re.escape(tag)}$" for tag in tags]]  # TensorBoard reads patterns

    def graph(self, model: nn.Module, input: Tensor) -> None:
        """Write the graph of operations of a model."""
        if self._is_new("__run_graph__", 0):
            from tensorboard.compat.proto.event_pb2 import Event

            drawn = Event(graph_def=model_graph(model, input).SerializeToString())
            self._writer.file_writer.add_event(drawn)

    def pr_curve(self, tag: str, labels: Tensor, probabilities: Tensor, step: int) -> None:
        """Write precision against recall at every threshold."""
        if self._is_new(tag, step):
            self._writer.add_pr_curve(tag, labels.cpu(), probabilities.detach().cpu(), step)

    def embedding(self, vectors: Tensor, labels: Iterable[str], thumbnails: Tensor) -> None:
        """Write points for the projector, in the place of those that an interrupted run may have left."""
        (self.folder / "projector_config.pbtxt").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "00000", ignore_errors=True)
        names = list(labels)
        pictures = coloured(thumbnails.cpu(), names)
        self._writer.add_embedding(vectors.detach().cpu(), names, pictures, 0, "embedding")

    def settings(self, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Write what the run was set to and what came of it."""
        from torch.utils.tensorboard.summary import hparams

        if self._children:
            return
        shown = {
            key: value if isinstance(value, (bool, int, float)) else str(value)
            for key, value in {**self._shared, **settings}.items()
        }
        # Without the first summary, which says what columns there are: TensorBoard takes that of one run for all.
        for summary in hparams(shown, {})[1:]:  # type: ignore[no-untyped-call]
            if self._is_new(summary.value[0].tag, 0):
                self._writer.file_writer.add_summary(summary, 0)
        for name, value in metrics.items():
            self.scalar(f"result/{name}", value, self._last_step())

    def child(self, settings: Mapping[str, Any] | str) -> "RunLogbook":
        """Return the logbook of one run among several, in a folder below this one."""
        name = settings if isinstance(settings, str) else run_name(settings)
        if name not in self._children:
            about = f"*{name}*, one run of\n\n{self._about}" if self._about else ""
            self._children[name] = RunLogbook(self.folder / name, self._resume, about, self._shared)
        return self._children[name]

    def rewind(self, step: int) -> None:
        """Forget what was written of later steps."""
        if self._resume:
            self._close()
            self._written = {(tag, of) for tag, of in self._written if of <= step}
            self._purge_step = step + 1
            if step and self._was_empty:
                print(f"{self.folder} holds no events of the first {step} steps: its curves lack them", file=sys.stderr)

    def flush(self) -> None:
        """Wait until the disk holds all that was written."""
        if self._opened:
            self._require_files()
            self._opened.flush()
            sync(event_files(self.folder)[-1])

    def close(self) -> None:
        """Write what is still waiting to be written."""
        for child in self._children.values():
            child.close()
        if self._charts and self._is_new("custom_scalars__config__", 0):
            self._writer.add_custom_scalars({"compared": self._charts})
        try:
            self._close()
        finally:
            self._require_files()

    def _require_files(self) -> None:
        """See that what was written is still there: TensorBoard's writer makes a file anew that somebody removed."""
        lost = [path for path, begun in self._begun.items() if beginning(path) != begun]
        for path in lost:
            path.unlink(missing_ok=True)
        if lost:
            require_in_place(self.folder)
            raise UserError(f"{lost[0]} was removed while the run was going on: what was written there is lost")

    def _last_step(self) -> int:
        """Return the last step of which something was written, here or by a child."""
        return max([0, *(step for _, step in self._written), *(each._last_step() for each in self._children.values())])

    def _is_new(self, tag: str, step: int) -> bool:
        """Whether nothing was written yet of a tag and step; from now on something is."""
        if (tag, step) in self._written:
            return False
        self._written.add((tag, step))
        return True

    @property
    def _writer(self) -> Any:
        """TensorBoard's writer, opened by the first thing written."""
        if self._opened is None:
            from torch.utils.tensorboard import SummaryWriter  # a second to import: not for --help

            # TensorBoard reads files in the order of their names, which begin with the second they were opened in.
            _into_the_past(self.folder)
            while (files := event_files(self.folder)) and _second_of(files[-1]) >= int(time.time()):
                time.sleep(0.05)
            # A Ctrl-C at the wrong instant leaves the writer asleep until its next flush: let that be soon.
            self._opened = SummaryWriter(str(self.folder), max_queue=1000, flush_secs=5, purge_step=self._purge_step)
            self._begun = {path: beginning(path) for path in event_files(self.folder)}
            if self._about:
                self.text("about", self._about)
        return self._opened

    def _close(self) -> None:
        if self._opened:
            opened, self._opened = self._opened, None
            opened.close()


class Silent:
    """The Logbook that writes nothing: of a process beside the first, or of a repetition whose mean is enough."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def child(self, settings: Mapping[str, Any] | str) -> "Silent":
        """Return a silent child."""
        return Silent(self.folder / (settings if isinstance(settings, str) else run_name(settings)))

    def _ignore(self, *_: object) -> None:
        """Write nothing."""

    scalar = histogram = figure = text = chart = graph = pr_curve = embedding = settings = rewind = flush = _ignore

    def close(self) -> None:
        """Do nothing."""


def event_files(folder: Path) -> list[Path]:
    """Return TensorBoard's files in a folder, in the order in which it reads them."""
    return sorted(folder.glob("events.out.tfevents.*"))


def written_events(folder: Path) -> set[tuple[str, int]]:
    """Return what TensorBoard would find in a folder, as tags and steps."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: set[tuple[str, int]] = set()
    for path in event_files(folder):
        for event in EventFileLoader(str(path)).Load():
            if event.HasField("session_log"):
                found = {(tag, step) for tag, step in found if step < event.step}
            if event.HasField("graph_def"):
                found.add(("__run_graph__", 0))
            found |= {(value.tag, event.step) for value in event.summary.value}
    return found


def _into_the_past(folder: Path) -> None:
    """Give event files other dates, in their order, if the clock was set back since, and they lie in the future."""
    files, now = event_files(folder), int(time.time())
    if files and _second_of(files[-1]) > now + 1:
        for age, path in enumerate(reversed(files), start=1):
            path.rename(path.with_name(path.name.replace(f".{_second_of(path):010d}.", f".{now - age:010d}.", 1)))


def _second_of(path: Path) -> int:
    """Return the time in the name of an event file, in seconds."""
    return int(path.name.split(".")[3])
