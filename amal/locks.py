"""The folder of a run, which belongs to one process at a time."""

import contextlib
import os
from pathlib import Path

from amal.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has no such locks: two runs in one folder are not seen there
    fcntl = None  # type: ignore[assignment]


def claim(folder: Path) -> None:
    """Take the folder for this process until it ends.

    The lock is the kernel's: it ends with the process, however that ends.

    Raises:
        UserError: the folder belongs to a run that is going on.
    """
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


def is_locked(folder: Path) -> bool:
    """Whether a process holds the folder, as every run holds its own until it ends."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def release(folder: Path) -> None:
    """Give the folder back."""
    with contextlib.suppress(KeyError):
        os.close(_LOCKS.pop(folder.resolve()))


_LOCKS: dict[Path, int] = {}


def _release_all() -> None:
    while _LOCKS:
        os.close(_LOCKS.popitem()[1])


if hasattr(os, "register_at_fork"):  # a DataLoader's workers outlive a killed run by seconds, and hold what it held
    os.register_at_fork(after_in_child=_release_all)
