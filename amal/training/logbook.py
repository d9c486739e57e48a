"""The interface of a logbook, and the logbook that writes nothing."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from amal.experiments import run_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Logbook(Protocol):
    """Where an experiment writes its curves, pictures and texts.

    Tags read `group/name`, such as `loss/train`. A step counts updates of the model, the same for
    all that one logbook holds. Values may be tensors on any device. What was written of a tag and
    step is not written again. What is written under a tag is of one kind: a UserError names one
    that is not.
    """

    folder: Path
    """Where the run lies."""

    def scalar(self, tag: str, value: Tensor | float, step: int) -> None:
        """Write one number."""

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Write how the entries of a tensor are distributed, without those that are not finite."""

    def figure(self, tag: str, figure: "Figure", step: int) -> None:
        """Write a picture."""

    def text(self, tag: str, markdown: str) -> None:
        """Write a passage of Markdown."""

    def chart(self, title: str, tags: Iterable[str]) -> None:
        """Ask for one chart that shows several scalars together, such as train and test."""

    def graph(self, model: nn.Module, input: Tensor) -> None:
        """Write the graph of operations of a model, as it is traced with an input."""

    def pr_curve(self, tag: str, labels: Tensor, probabilities: Tensor, step: int) -> None:
        """Write precision against recall: labels (n) 0 or 1, and the probability (n) of 1."""

    def embedding(self, vectors: Tensor, labels: Iterable[str], thumbnails: Tensor) -> None:
        """Write points (n, d) for the projector, with labels and pictures (n, channels, h, w)."""

    def settings(self, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Write the settings and results of the run: its row in the table of hyper-parameters.

        A run with children has none: its children's are its rows. None and numbers that are not
        finite are left out. A setting that is a number in one run and text in another gets two
        columns, or TensorBoard could not sort either.
        """

    def child(self, settings: Mapping[str, Any] | str) -> "Logbook":
        """Return the logbook of one run among several of this experiment.

        Args:
            settings: its own ones, such as {"depth": 10}; its folder is then depth=10.
        """

    def rewind(self, step: int) -> None:
        """Forget what was written after the checkpoint of a step, to resume from there."""

    def flush(self, step: int) -> None:
        """Wait until the disk holds all that was written here and by children."""


class NullLogbook:
    """The Logbook that writes nothing: of a process beside the first, or of a repetition."""

    is_blank = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def child(self, settings: Mapping[str, Any] | str) -> "NullLogbook":
        """Return another that writes nothing."""
        return NullLogbook(self.folder / (settings if isinstance(settings, str) else run_name(settings)))

    def _ignore(self, *_: object) -> None:
        """Write nothing."""

    scalar = histogram = figure = text = chart = graph = pr_curve = embedding = settings = rewind = flush = _ignore

    def close(self) -> None:
        """Do nothing."""
