"""Where the files of data sets lie, unless a command line says otherwise."""

import os
from pathlib import Path

from amal.errors import UserError, nearest

DEFAULT = Path("data")


def default_root() -> Path:
    """Return the folder that $AMAL_DATA names, or else data."""
    return Path(os.environ.get("AMAL_DATA", DEFAULT))


def require_root(root: Path, instead: str) -> None:
    """Raise UserError unless the folder of the data sets is there, or is the default one, which is made when needed.

    Args:
        root: as $AMAL_DATA or --data-root names it.
        instead: the option that asks for a data set without files.
    """
    if root == DEFAULT or os.path.lexists(root):
        return
    base = next(parent for parent in root.absolute().parents if parent.exists())
    first, *rest = root.absolute().relative_to(base).parts
    near = nearest(first, _folders_in(base))
    suggestion = base.joinpath(near, *rest) if near else base
    hint = f" (did you mean {suggestion if root.is_absolute() else os.path.relpath(suggestion)}?)" if near else ""
    raise UserError(
        f"--data-root {root} is not there{hint}: name the folder of the data sets, or make it first to have them "
        f"downloaded there; {instead} needs no file"
    )


def _folders_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if path.is_dir()]
    except OSError:  # not ours to read: then there is nothing to guess
        return []
