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
    """Lock the folder for this process; the kernel unlocks it when the process ends.

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
    """See that the folder of the run that a path lies in is still the one that this process locked.

    Raises:
        UserError: somebody removed the folder, put another in its place, or removed its
            config.json.
    """
    for folder, descriptor in _LOCKS.items():
        try:
            is_inside = path.resolve().is_relative_to(folder)
            missing = None if os.path.samestat(os.stat(folder), os.fstat(descriptor)) else folder
            if missing is None and not (folder / "config.json").exists():
                missing = folder / "config.json"
        except OSError:  # the folder is gone, or the one from which the path leads there
            is_inside, missing = True, folder
        if is_inside and missing:
            raise UserError(f"{missing} was removed while the run was going on: what was written there is lost")


def is_locked(folder: Path) -> bool:
    """Whether a process has locked the folder, as every run does until it ends."""
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
    """Unlock the folder."""
    with contextlib.suppress(KeyError):
        os.close(_LOCKS.pop(folder.resolve()))


_LOCKS: dict[Path, int] = {}


def _release_all() -> None:
    while _LOCKS:
        os.close(_LOCKS.popitem()[1])


if hasattr(os, "register_at_fork"):
    # A DataLoader's workers outlive a killed run by seconds, and would keep its lock.
    os.register_at_fork(after_in_child=_release_all)
