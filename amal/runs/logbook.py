"""The logbook for TensorBoard: it writes each thing once, however often the run was interrupted."""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from amal.errors import UserError
from amal.experiments import run_name
from amal.files import first_bytes, sync
from amal.locks import require_in_place
from amal.runs.event_files import (
    GRAPH,
    LAYOUT,
    Position,
    Written,
    await_new_name,
    checkpoint_event,
    cut,
    find_tail,
    read_written,
)
from amal.runs.graph import model_graph
from amal.runs.hparams import is_sortable, table_row
from amal.runs.projector import write_points
from amal.runs.records import event_files
from amal.training.logbook import Logbook
from amal.training.signals import raise_if_stopped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RunLogbook(Logbook):
    """A Logbook in a run directory: TensorBoard events there, and in a folder below for each child.

    Args:
        folder: an existing folder.
        resume: whether to go on with what an interrupted run wrote there.
        shared: settings of this run and of all its children, for their rows in the table of
            hyper-parameters.
        columns: setting -> `number` or `text`, for those that may be both; children add to it.
    """

    def __init__(
        self,
        folder: Path,
        resume: bool = False,
        shared: Mapping[str, Any] | None = None,
        columns: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._shared = shared or {}
        self._columns = {} if columns is None else columns
        self._resume = resume
        self._records = read_written(folder) if resume else Written()
        # The resumed run does not ask again for the charts of evaluations before the checkpoint.
        self._charts = dict(self._records.charts)
        self._tail: Position | None = None
        self._purge_step: int | None = None
        self._opened: Any = None
        self._blank = True
        self._heads: dict[Path, bytes] = {}
        self._children: dict[str, RunLogbook] = {}

    def scalar(self, tag: str, value: Tensor | float, step: int) -> None:
        raise_if_stopped()
        if self._is_new(tag, step, "scalar"):
            self._writer.add_scalar(tag, value.item() if isinstance(value, Tensor) else value, step)

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        values = values.detach().double()
        entries = values[values.abs() < 1e19]  # TensorBoard's bins end soon after, and it fails beyond
        if entries.numel() > 0 and self._is_new(tag, step, "histogram"):
            self._writer.add_histogram(tag, entries.cpu(), step)

    def figure(self, tag: str, figure: "Figure", step: int) -> None:
        if self._is_new(tag, step, "picture"):
            self._writer.add_figure(tag, figure, step, close=False)

    def text(self, tag: str, markdown: str) -> None:
        if self._is_new(f"{tag}/text_summary", 0, "text"):
            self._writer.add_text(tag, markdown, 0)

    def chart(self, title: str, tags: Iterable[str]) -> None:
        # TensorBoard reads patterns, and asks for each of them of each run: one is fastest.
        self._charts[title] = ["Multiline", [f"^({'|'.join(map(re.escape, tags))})$"]]

    def graph(self, model: nn.Module, input: Tensor) -> None:
        if self._is_new(GRAPH, 0, "graph"):
            from tensorboard.compat.proto.event_pb2 import Event

            event = Event(graph_def=model_graph(model, input).SerializeToString())
            self._writer.file_writer.add_event(event)

    def pr_curve(self, tag: str, labels: Tensor, probabilities: Tensor, step: int) -> None:
        if self._is_new(tag, step, "precision-recall curve"):
            self._writer.add_pr_curve(tag, labels.cpu(), probabilities.detach().cpu(), step)

    def embedding(self, vectors: Tensor, labels: Iterable[str], thumbnails: Tensor) -> None:
        write_points(self.folder, vectors.detach().cpu(), list(labels), thumbnails.cpu())

    def settings(self, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        from torch.utils.tensorboard.summary import hparams

        if self._children:
            return
        row = table_row({**self._shared, **settings}, self._columns)
        # Without the first summary, which says what columns there are: TensorBoard takes that of one run for all.
        for summary in hparams(row, {})[1:]:  # type: ignore[no-untyped-call]
            if self._is_new(summary.value[0].tag, 0, "hparams"):
                self._writer.file_writer.add_summary(summary, 0)
        for name, value in metrics.items():
            if is_sortable(value):
                self.scalar(f"result/{name}", value, self._last_step())

    def child(self, settings: Mapping[str, Any] | str) -> "RunLogbook":
        name = settings if isinstance(settings, str) else run_name(settings)
        if name not in self._children:
            self._children[name] = RunLogbook(self.folder / name, self._resume, self._shared, self._columns)
        return self._children[name]

    def rewind(self, step: int) -> None:
        if self._resume:
            self._close()
            self._tail, is_later, is_whole = find_tail(self.folder, step)
            self._purge_step = step + 1
            if is_later:
                self._cut_tail()
            if step and not is_whole:
                print(f"{self.folder} lacks events of the first {step} steps: so do its curves", file=sys.stderr)

    def flush(self, step: int) -> None:
        self._write_layout()
        if self._opened:
            self._require_files()
            self._opened.file_writer.add_event(checkpoint_event(step))
        self._sync()

    def close(self) -> None:
        """Write what waits in memory."""
        for child in self._children.values():
            child.close()
        self._write_layout()
        try:
            self._close()
        finally:
            self._require_files()

    def _require_files(self) -> None:
        """Refuse to go on if somebody removed an event file; TensorBoard's writer makes a new one."""
        missing = [path for path, head in self._heads.items() if first_bytes(path) != head]
        for path in missing:
            path.unlink(missing_ok=True)
        if missing:
            require_in_place(self.folder)
            removed = f"{missing[0]} was removed while the run was going on"
            raise UserError(f"{removed}: what was written there is lost")

    @property
    def is_blank(self) -> bool:
        """Whether nothing but texts and graphs was written since it was opened, here or by a child."""
        return self._blank and all(child.is_blank for child in self._children.values())

    def _sync(self) -> None:
        if self._opened:
            self._opened.flush()
            sync(event_files(self.folder)[-1])
        for child in self._children.values():
            child._sync()

    def _write_layout(self) -> None:
        """Write the charts, unless the last layout has them; TensorBoard takes the last."""
        if self._charts != self._records.charts:
            from torch.utils.tensorboard.summary import custom_scalars

            if self._tail:
                self._cut_tail()
            number = sum(tag == LAYOUT for tag, _ in self._records.steps)  # the data server keeps one of each step
            self._is_new(LAYOUT, number, "custom_scalars")
            layout = custom_scalars({"compared": self._charts})  # type: ignore[no-untyped-call]
            self._writer.file_writer.add_summary(layout, number)
            self._records.charts = dict(self._charts)

    def _last_step(self) -> int:
        """Return the last step of which something was written, here or by a child."""
        steps = (step for _, step in self._records.steps)
        return max([0, *steps, *(child._last_step() for child in self._children.values())])

    def _is_new(self, tag: str, step: int, kind: str) -> bool:
        """Whether nothing was written yet of a tag and step; from now on something is.

        Raises:
            UserError: the tag is one of something else.
        """
        other = self._records.kinds.get(tag, kind)
        if other != kind:
            both = f"the tag {tag} names a {other} and a {kind}"
            raise UserError(f"{both}, of which TensorBoard shows one: rename one")
        if (tag, step) in self._records.steps:
            self._tail = None  # the run does again what lies there
            return False
        if self._tail:
            self._cut_tail()
        self._records.steps.add((tag, step))
        self._records.kinds[tag] = kind
        self._blank = self._blank and kind in ("text", "graph")
        return True

    def _cut_tail(self) -> None:
        """Cut off what was written after the checkpoint: the run writes something else now."""
        self._close()
        if self._tail:
            cut(self._tail)
        self._tail, self._records, self._heads = None, read_written(self.folder), {}

    @property
    def _writer(self) -> Any:
        """TensorBoard's writer, opened by the first thing written."""
        if self._opened is None:
            from torch.utils.tensorboard import SummaryWriter  # a second to import: not for --help

            # For a server that is open meanwhile: it drops what it read from this step on, but not at the first such
            # mark that it meets, so the first file bears one too.
            purge_step = self._purge_step if event_files(self.folder) else 0
            await_new_name(self.folder)
            # A Ctrl-C at the wrong instant leaves the writer asleep until its next flush: let that be soon.
            self._opened = SummaryWriter(str(self.folder), max_queue=1000, flush_secs=5, purge_step=purge_step)
            self._purge_step = None
            self._heads = {path: first_bytes(path) for path in event_files(self.folder)}
        return self._opened

    def _close(self) -> None:
        if self._opened:
            opened, self._opened = self._opened, None
            opened.close()
