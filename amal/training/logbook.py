"""Where a run is written down: TensorBoard events, config.json and metrics.json, in one folder of its own."""

import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from amal.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Logbook(Protocol):
    """What an experiment asks of the place where it writes down what it sees.

    Tags read `group/name`, such as `loss/train`; a step counts updates or epochs. Values may be tensors on any device.
    """

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

    def child(self, name: str) -> "Logbook":
        """Return the logbook of one run among several of this experiment, such as one data set.

        Make few: above 40 runs in all, TensorBoard shows none of them until they are ticked.
        """


def log_weights(logbook: Logbook, model: nn.Module, step: int) -> None:
    """Write a histogram of each parameter of the model, under its name in the state_dict."""
    for name, parameter in model.named_parameters():
        logbook.histogram(f"parameters/{name}", parameter, step)


class RunLogbook:
    """A Logbook in a run directory: TensorBoard events there, and in a folder below for each child.

    Args:
        run_dir: an existing folder.
    """

    def __init__(self, run_dir: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter  # a second to import: not for --help

        self.run_dir = run_dir
        # A Ctrl-C at the wrong instant leaves the writer asleep until its next flush: let that be soon.
        self._writer = SummaryWriter(str(run_dir), flush_secs=5)
        self._charts: dict[str, list[Any]] = {}
        self._children: dict[str, RunLogbook] = {}

    def scalar(self, tag: str, value: Tensor | float, step: int) -> None:
        """Write one number."""
        self._writer.add_scalar(tag, value.item() if isinstance(value, Tensor) else value, step)

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Write how the entries of a tensor are distributed."""
        values = values.detach().double()
        shown = values[values.abs() < 1e19]  # TensorBoard's bins end soon after, and it fails beyond
        if shown.numel() > 0:
            self._writer.add_histogram(tag, shown.cpu(), step)

    def figure(self, tag: str, figure: "Figure", step: int) -> None:
        """Write a picture."""
        self._writer.add_figure(tag, figure, step, close=False)

    def text(self, tag: str, markdown: str) -> None:
        """Write a passage of Markdown."""
        self._writer.add_text(tag, markdown)

    def chart(self, title: str, tags: Iterable[str]) -> None:
        """Ask for one chart that shows several scalars together."""
        self._charts[title] = ["Multiline", [f"^{re.escape(tag)}$" for tag in tags]]  # TensorBoard reads patterns

    def child(self, name: str) -> "RunLogbook":
        """Return the logbook of one run among several, in a folder below this one."""
        if name not in self._children:
            self._children[name] = RunLogbook(self.run_dir / name)
        return self._children[name]

    def close(self) -> None:
        """Write what is still waiting to be written."""
        for child in self._children.values():
            child.close()
        if self._charts:
            self._writer.add_custom_scalars({"compared": self._charts})
        self._writer.close()


def open_run_dir(run_dir: Path) -> Path:
    """Make the folder of a new run and return it.

    Raises:
        UserError: the folder holds something already, or cannot be written.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        occupied = next(run_dir.iterdir(), None)
        if occupied is None:
            with tempfile.TemporaryFile(dir=run_dir):
                return run_dir
    except OSError as error:
        raise UserError(f"--run-dir {run_dir} cannot be written ({error.strerror}): choose another folder") from None
    raise UserError(
        f"--run-dir {run_dir} already holds {'a run' if (run_dir / 'config.json').exists() else occupied.name}: "
        "choose another folder, or remove that one; nothing was changed"
    )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that is there whole or not at all: to a temporary file, synced, then renamed.

    Numbers that JSON lacks (NaN, infinities) become null.
    """
    text = json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Tensor):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
