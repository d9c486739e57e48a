"""Checkpoints: all that a training needs to go on, as files that are whole, verified and safe to open.

A file is what `torch.save` makes of plain data (numbers, text, tensors, lists, dictionaries), and its name ends with
the beginning of its SHA-256, as in torch.hub: `step-00001200-3f8a07c1d2e4b596.pt`. So one rename puts data and checksum
in place together, and the file opens with plain `torch.load(path, weights_only=True)`.
"""

import hashlib
import io
import random
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from amal.errors import UserError
from amal.files import remove_unfinished, write_whole
from amal.locks import require_in_place
from amal.seeds import generator

from . import distributed
from .fields import Saved, Unfit

_T = TypeVar("_T")
FORMAT = 1
NAME = re.compile(r"step-(\d+)-([0-9a-f]{16})\.pt")


class Checkpoints:
    """The checkpoints of one training, in a folder: the last few, newest first in line.

    Args:
        folder: where they lie; made with the first.
        keep: how many to keep. A new one is in place before an old one goes, so that there are always `keep` good ones.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def paths(self) -> list[Path]:
        """Return the files that are checkpoints by their names, the newest first."""
        found = [(int(match[1]), path) for path in self.folder.glob("*.pt") if (match := NAME.fullmatch(path.name))]
        return [path for _, path in sorted(found, reverse=True)]

    def save(self, step: int, content: Saved) -> None:
        """Write the checkpoint of a step; only the first of several processes does.

        Raises:
            UserError: it could not be written, as on a full disk. The checkpoints before it are as they were.
        """
        distributed.agreed(lambda: self._save(step, content))

    def _save(self, step: int, content: Saved) -> None:
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **content}, buffer)
        data = buffer.getvalue()
        path = self.folder / f"step-{step:08d}-{hashlib.sha256(data).hexdigest()[:16]}.pt"
        require_in_place(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_unfinished(self.folder)
            write_whole(path, data)
        except OSError as error:
            require_in_place(self.folder)
            raise UserError(
                f"the checkpoint of step {step} cannot be written ({error.strerror}); {self.last_good()}"
            ) from None
        earlier = [old for old in self.paths() if int(old.stem.split("-")[1]) < step]
        for old in set(self.paths()) - {path, *earlier[: self.keep - 1]}:  # what lies ahead was of no use at the start
            if old.is_file():
                old.unlink()

    def last_good(self) -> str:
        """Say which checkpoint can be gone on from."""
        paths = self.paths()
        return f"the last good checkpoint is {paths[0]}" if paths else "there is no checkpoint yet"

    def load(self, understand: Callable[[Saved], _T]) -> _T | None:
        """Return what the newest checkpoint that is whole and fits holds; None if there is no checkpoint at all.

        One that is damaged or does not fit is named on standard error, with what is wrong, and the one before is taken.

        Args:
            understand: takes the content of a file apart; Unfit says what is wrong with it for the training at hand.

        Raises:
            UserError: there are checkpoints, and none can be used. They are left as they are.
        """
        return distributed.agreed(lambda: self._load(understand))

    def _load(self, understand: Callable[[Saved], _T]) -> _T | None:
        paths = self.paths()
        for path in paths:
            try:
                return understand(read(path))
            except Unfit as wrong:  # noqa: PERF203 (one is read, as a rule)
                print(textwrap.shorten(f"checkpoint {path} {wrong}: it is left out", 1000), file=sys.stderr)
        if paths:
            raise UserError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be used; start again in another --run-dir"
            )
        return None


def read(path: Path) -> Saved:
    """Return the content of a checkpoint, verified. Nothing in the file is executed, whatever it holds.

    Raises:
        Unfit: something is wrong with the file.
    """
    if not path.is_file():
        raise Unfit("is not a file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unfit(f"cannot be read ({error.strerror})") from None
    match = NAME.fullmatch(path.name)
    if match is None or hashlib.sha256(data).hexdigest()[:16] != match[2]:
        raise Unfit(f"is damaged ({len(data)} bytes, and the checksum differs from the one in its name)")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a file may be wrong in any way
        raise Unfit(f"holds what is no plain data and was not opened ({type(error).__name__})") from None
    if not isinstance(content, dict) or "format" not in content:
        raise Unfit("is not one of amal's")
    if content["format"] != FORMAT:
        raise Unfit(f"is of format {content['format']}, and this version of amal reads format {FORMAT}")
    return content


def random_states() -> list[Saved]:
    """Return the random states of every process: torch's, of the CPU and of its CUDA device, Python's and NumPy's."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 (a data set may draw from it)
    mine = {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
    }
    return distributed.gathered(mine)


def restore_random_states(states: list[Saved], seed: int, step: int) -> None:
    """Put this process's random states back; a process that was not there gets one of its own."""
    mine = distributed.rank()
    if mine >= len(states):
        torch.manual_seed(generator(seed, f"process {mine}", step).initial_seed())
        return
    state = states[mine]
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
