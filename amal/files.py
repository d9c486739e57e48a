"""Files that are written whole or not at all."""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, even if the power is cut meanwhile.

    It is written to a temporary file beside it, which is synced and renamed; then the folder is
    synced.

    Raises:
        OSError: the disk is full, say. What was there before is untouched, and no temporary file is
            left.
    """
    prefix = f".{path.name}-"
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, suffix=".tmp", delete=False) as file:
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
    """Write a JSON file, whole or not at all. NaN and infinities, which JSON lacks, become null."""
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


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, none if it is absent. No two event files have the same."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""
