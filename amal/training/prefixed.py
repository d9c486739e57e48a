"""A logbook whose tags begin with a name, for TensorBoard to keep them apart from others."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .logbook import Logbook

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class PrefixedLogbook:
    """A Logbook that writes to another one, with a name before every tag and the title of every chart.

    TensorBoard draws what has the same tag in one chart, whichever run it comes from. Losses in
    different units, or of different experiments, need tags of their own: with the name 1.4,
    `loss/train` becomes `1.4 loss/train`.

    The metrics of `settings` keep their names, for all runs to share the columns of one table.

    Args:
        logbook: what is written to.
        name: of the experiment, or of one of its data sets or parts, such as `1.4` or `diabetes`.
    """

    def __init__(self, logbook: Logbook, name: str) -> None:
        self.folder: Path = logbook.folder
        self._logbook, self._name = logbook, name
        self.graph, self.embedding, self.settings = logbook.graph, logbook.embedding, logbook.settings
        self.rewind, self.flush = logbook.rewind, logbook.flush

    def _tag(self, tag: str) -> str:
        return f"{self._name} {tag}"

    def scalar(self, tag: str, value: Tensor | float, step: int) -> None:
        self._logbook.scalar(self._tag(tag), value, step)

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        self._logbook.histogram(self._tag(tag), values, step)

    def figure(self, tag: str, figure: "Figure", step: int) -> None:
        self._logbook.figure(self._tag(tag), figure, step)

    def text(self, tag: str, markdown: str) -> None:
        self._logbook.text(self._tag(tag), markdown)

    def chart(self, title: str, tags: Iterable[str]) -> None:
        self._logbook.chart(self._tag(title), map(self._tag, tags))

    def pr_curve(self, tag: str, labels: Tensor, probabilities: Tensor, step: int) -> None:
        self._logbook.pr_curve(self._tag(tag), labels, probabilities, step)

    def child(self, settings: Mapping[str, Any] | str) -> "PrefixedLogbook":
        return PrefixedLogbook(self._logbook.child(settings), self._name)
