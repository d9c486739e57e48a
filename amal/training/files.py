"""Files that are there whole or not at all, and the folder of a run, which belongs to one process at a time."""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from amal.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has no such locks: two runs in one folder are not seen there
    fcntl = None  # type: ignore[assignment]


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


def open_run_dir(run_dir: Path, resume: bool = False) -> Path:
    """Make the folder of a run, or take up that of a run to resume, for this process alone, and return it.

    The lock is the kernel's: it ends with the process, however that ends.

    Args:
        run_dir: the folder.
        resume: whether a run may lie there already.

    Raises:
        UserError: the folder holds something else, belongs to a run that is going on, or cannot be written.
    """
    made = [folder for folder in (run_dir, *run_dir.parents) if not folder.exists()]
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        _lock(run_dir)
        held = next((path for path in run_dir.iterdir() if not path.name.endswith(".tmp")), None)
        is_run = (run_dir / "config.json").exists()
        if held is None or (resume and is_run):
            remove_unfinished(run_dir)
            with tempfile.TemporaryFile(dir=run_dir):
                _FOUND[run_dir] = _Found(made, set(run_dir.rglob("*")), _config(run_dir))
                return run_dir
    except OSError as error:
        _remove(made)
        raise UserError(f"--run-dir {run_dir} cannot be written ({error.strerror}): choose another folder") from None
    if resume:
        raise UserError(f"--run-dir {run_dir} holds {held.name} but no run to resume: choose another folder")
    raise UserError(
        f"--run-dir {run_dir} already holds {'a run' if is_run else held.name}: choose another folder, "
        + ("go on with that run (--resume), " if is_run else "")
        + "or remove that one; nothing was changed"
    )


def withdraw(run_dir: Path) -> None:
    """Leave a run's folder as open_run_dir found it: empty, gone again, or with the run that was to be resumed."""
    found = _FOUND.pop(run_dir)
    if found.config is not None:
        write_whole(run_dir / "config.json", found.config)
    for path in sorted(set(run_dir.rglob("*")) - found.paths, reverse=True):  # what a folder holds before the folder
        path.rmdir() if path.is_dir() else path.unlink()
    release(run_dir)
    _remove(found.made)


@dataclass(frozen=True)
class _Found:
    """What was there when the folder of a run was opened."""

    made: list[Path]
    """The folders that were made for it, the innermost first."""
    paths: set[Path]
    config: bytes | None
    """What config.json held."""


def _config(run_dir: Path) -> bytes | None:
    path = run_dir / "config.json"
    return path.read_bytes() if path.exists() else None


def _remove(made: list[Path]) -> None:
    """Remove folders, as far as nothing is in them."""
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _lock(folder: Path) -> None:
    """Take the folder for this process until it ends."""
    if fcntl is None:
        return
    descriptor = _LOCKS.pop(folder.resolve(), None) or os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(f"--run-dir {folder} belongs to a run that is going on: choose another folder") from None
    _LOCKS[folder.resolve()] = descriptor


def require_in_place(path: Path) -> None:
    """See that the run that a path lies in is still where this process took it: there may be another one by now.

    Raises:
        UserError: somebody removed the folder, put another in its place, or removed its config.json.
    """
    for folder, descriptor in _LOCKS.items():
        try:
            ours = path.resolve().is_relative_to(folder)
            gone = None if os.path.samestat(os.stat(folder), os.fstat(descriptor)) else folder
            if gone is None and not (folder / "config.json").exists():
                gone = folder / "config.json"
        except OSError:  # the folder is gone, or the one from which the path leads there
            ours, gone = True, folder
        if ours and gone:
            raise UserError(f"{gone} was removed while the run was going on: what was written there is lost")


def beginning(path: Path) -> bytes:
    """Return the first bytes of a file: no two event files have the same. Nothing of one that is not there."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""


def release(folder: Path) -> None:
    """Give the folder back."""
    with contextlib.suppress(KeyError):
        os.close(_LOCKS.pop(folder.resolve()))


_LOCKS: dict[Path, int] = {}
_FOUND: dict[Path, _Found] = {}


def _release_all() -> None:
    while _LOCKS:
        os.close(_LOCKS.popitem()[1])


if hasattr(os, "register_at_fork"):  # a DataLoader's workers outlive a killed run by seconds, and hold what it held
    os.register_at_fork(after_in_child=_release_all)
