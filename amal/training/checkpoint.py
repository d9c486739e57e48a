"""Checkpoints: all that a training needs to go on, in files that are whole and safe to open.

A file is what `torch.save` makes of plain data (numbers, text, tensors, lists, dictionaries), and
its name ends with the beginning of its SHA-256, as in torch.hub:
`step-00001200-3f8a07c1d2e4b596.pt`. So one rename puts data and checksum in place together, and the
file opens with plain `torch.load(path, weights_only=True)`. state.py says which fields it has.
"""

import hashlib
import io
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from amal.errors import UserError
from amal.files import remove_unfinished, write_whole
from amal.locks import require_in_place

from . import distributed
from .fields import CheckpointError, Saved
from .state import State, upgrade

_T = TypeVar("_T")
NAME = re.compile(r"step-(\d+)-([0-9a-f]{16})\.pt")


class Checkpoints:
    """The checkpoints of one training, in a folder: the last few, newest first in line.

    Args:
        folder: where they lie; made with the first.
        keep: how many to keep. A new one is in place before an old one goes.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def paths(self) -> list[Path]:
        """Return the files that are checkpoints by their names, the newest first."""
        matches = [(NAME.fullmatch(path.name), path) for path in self.folder.glob("*.pt")]
        steps = [(int(match[1]), path) for match, path in matches if match]
        return [path for _, path in sorted(steps, reverse=True)]

    def save(self, step: int, state: State) -> None:
        """Write the checkpoint of a step; only the first of several processes does.

        Raises:
            UserError: it could not be written, as on a full disk. The checkpoints before it are as
                they were.
        """
        distributed.run_on_first(lambda: self._save(step, state))

    def _save(self, step: int, state: State) -> None:
        buffer = io.BytesIO()
        torch.save(state.content(), buffer)
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
        # What lies ahead could not be used when this training began.
        for old in set(self.paths()) - {path, *earlier[: self.keep - 1]}:
            if old.is_file():
                old.unlink()

    def last_good(self) -> str:
        """Say which checkpoint can be gone on from."""
        paths = self.paths()
        return f"the last good checkpoint is {paths[0]}" if paths else "there is no checkpoint yet"

    def load(self, parse: Callable[[Saved], _T]) -> _T | None:
        """Return what the newest usable checkpoint holds; None if there is no checkpoint at all.

        One that is damaged or does not fit is named on standard error, with what is wrong, and the
        one before is taken.

        Args:
            parse: takes the content of a file apart; its CheckpointError says why this training
                cannot resume from it.

        Raises:
            UserError: there are checkpoints, and none can be used. They are left as they are.
        """
        return distributed.run_on_first(lambda: self._load(parse))

    def _load(self, parse: Callable[[Saved], _T]) -> _T | None:
        paths = self.paths()
        for path in paths:
            try:
                return parse(read(path))
            except CheckpointError as error:  # noqa: PERF203 (one is read, as a rule)
                line = f"checkpoint {path} {error}: it is left out"
                print(textwrap.shorten(line, 1000), file=sys.stderr)
        if paths:
            raise UserError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be used; start again in another --run-dir"
            )
        return None


def read(path: Path) -> Saved:
    """Return the content of a checkpoint, verified, in today's format. No code in it is run.

    Raises:
        CheckpointError: something is wrong with the file.
    """
    if not path.is_file():
        raise CheckpointError("is not a file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror})") from None
    match = NAME.fullmatch(path.name)
    if match is None or hashlib.sha256(data).hexdigest()[:16] != match[2]:
        raise CheckpointError(f"is damaged ({len(data)} bytes, and the checksum differs from the one in its name)")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a file may be wrong in any way
        raise CheckpointError(f"holds what is no plain data and was not opened ({type(error).__name__})") from None
    return upgrade(content)
