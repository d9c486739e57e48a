"""Files that are there whole or not at all."""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut.

    To a temporary file beside it, synced, then renamed, and the folder synced.

    Raises:
        OSError: the disk is full, say. What was there before is untouched, and no temporary file is left.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", suffix=".tmp", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:  # a Ctrl-C may come when it is renamed already
            Path(file.name).unlink(missing_ok=True)
            raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the disk holds what was written to a file, or the names that a folder holds."""
    if path.is_dir() and os.name == "nt":
        return  # Windows syncs no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed while writing left in a folder."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all. Numbers that JSON lacks (NaN, infinities) become null."""
    write_whole(path, (json.dumps(plain(content), indent=2, allow_nan=False) + "\n").encode())


def plain(value: Any) -> Any:
    """Return the value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def beginning(path: Path) -> bytes:
    """Return the first bytes of a file: no two event files have the same. Nothing of one that is not there."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""
