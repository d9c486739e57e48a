"""The folder of a run: made for it, or taken up again; and left as it was found by a run that was refused."""

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from amal.errors import UserError
from amal.files import remove_unfinished, write_whole
from amal.locks import claim, release


def open_run_dir(run_dir: Path, resume: bool = False) -> Path:
    """Make the folder of a run, or take up that of a run to resume, for this process alone, and return it.

    Args:
        run_dir: the folder.
        resume: whether a run may lie there already.

    Raises:
        UserError: the folder holds something else, belongs to a run that is going on, or cannot be written.
    """
    made = [folder for folder in (run_dir, *run_dir.parents) if not folder.exists()]
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        claim(run_dir)
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


_FOUND: dict[Path, _Found] = {}
