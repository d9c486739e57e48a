"""Data sets that torchvision downloads, moved to their place when they are whole."""

import socket
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from amal.errors import UserError

from .root import require_root

PATIENCE = 30.0
"""Seconds without an answer after which there is no network."""


def _torchvision(kind: str) -> Any:
    """Return torchvision's class of a data set; it is imported late because that takes seconds."""
    from torchvision import datasets  # type: ignore[import-untyped]

    return getattr(datasets, kind)


def download(root: Path, folder: Path, kind: str, problem: str) -> None:
    """Have torchvision download a data set into a folder of its own, then move the files that are missing.

    torchvision writes a file under its final name while it downloads it: interrupted there, it would leave half of it.
    Where nothing is downloaded, no new folder is left.

    Args:
        root: the folder of all data sets, which must be there, unless it is the default one.
        folder: where to, below root; made.
        kind: torchvision's name of the data set.
        problem: what to say first if that fails.

    Raises:
        UserError: root is not there, or the download fails.
    """
    require_root(root, "--dataset digits")
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            for train in (True, False):
                _torchvision(kind)(temporary, train=train, download=True)
            for file in (path for path in Path(temporary).rglob("*") if path.is_file()):
                if not (folder / file.name).exists():
                    file.replace(folder / file.name)
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{problem}, and the download failed ({reason}): put them there, or name the folder with --data-root; "
            "--dataset digits needs no file"
        ) from None
    finally:
        socket.setdefaulttimeout(patience)
        for path in new:
            with suppress(OSError):  # what holds a file stays
                path.rmdir()
