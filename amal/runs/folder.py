"""The folder of a run: a new one, or one to resume; a run that is refused leaves it as it was."""

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from amal.errors import UserError
from amal.files import remove_unfinished, write_whole
from amal.locks import claim, release


def open_run_dir(run_dir: Path, resume: bool = False) -> Path:
    """Make the folder of a run, or take up that of a run to resume, and lock it; return it.

    Args:
        run_dir: the folder.
        resume: whether a run may lie there already.

    Raises:
        UserError: the folder holds something else, belongs to a run that is going on, or cannot be
            written.
    """
    new = [folder for folder in (run_dir, *run_dir.parents) if not folder.exists()]
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        claim(run_dir)
        occupant = next((path for path in run_dir.iterdir() if not path.name.endswith(".tmp")), None)
        is_run = (run_dir / "config.json").exists()
        if occupant is None or (resume and is_run):
            remove_unfinished(run_dir)
            with tempfile.TemporaryFile(dir=run_dir):
                _SNAPSHOTS[run_dir] = _Snapshot(new, set(run_dir.rglob("*")), _config(run_dir))
                return run_dir
    except OSError as error:
        _remove(new)
        raise UserError(f"--run-dir {run_dir} cannot be written ({error.strerror}): choose another folder") from None
    if resume:
        raise UserError(f"--run-dir {run_dir} holds {occupant.name} but no run to resume: choose another folder")
    raise UserError(
        f"--run-dir {run_dir} already holds {'a run' if is_run else occupant.name}: choose another folder, "
        + ("go on with that run (--resume), " if is_run else "")
        + "or remove that one; nothing was changed"
    )


def withdraw(run_dir: Path) -> None:
    """Leave the folder as it was before open_run_dir: empty, absent, or with the run to resume."""
    snapshot = _SNAPSHOTS.pop(run_dir)
    if snapshot.config is not None:
        write_whole(run_dir / "config.json", snapshot.config)
    new = set(run_dir.rglob("*")) - snapshot.paths
    for path in sorted(new, reverse=True):  # the content of a folder before the folder
        path.rmdir() if path.is_dir() else path.unlink()
    release(run_dir)
    _remove(snapshot.new)


@dataclass(frozen=True)
class _Snapshot:
    """What the folder of a run held before it was opened."""

    new: list[Path]
    """The folders that were made for it, the innermost first."""
    paths: set[Path]
    config: bytes | None
    """The content of config.json."""


def _config(run_dir: Path) -> bytes | None:
    path = run_dir / "config.json"
    return path.read_bytes() if path.exists() else None


def _remove(folders: list[Path]) -> None:
    """Remove folders, those that are empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


_SNAPSHOTS: dict[Path, _Snapshot] = {}
