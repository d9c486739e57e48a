"""A folder for a student, or for a teacher."""

from pathlib import Path

from amal.errors import UserError

from . import source


def write(lab: str, folder: Path, solution: bool = False) -> list[Path]:
    """Write an exercise into a folder, which is made if it is not there; return the files.

    Args:
        lab: tme1, tme2 or tme3.
        folder: where to.
        solution: whether to write it solved.

    Raises:
        UserError: one of the files is there already, or they cannot be written. Then nothing is written at all.
    """
    texts = {folder / name: text for name, text in (source.solved if solution else source.to_fill_in)(lab).items()}
    there = [path.name for path in texts if path.exists() or path.is_symlink()]
    if there:
        raise UserError(
            f"{folder} already holds {', '.join(there)}: nothing was written; give another folder, or move them away"
        )
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:  # x: never over a file that has come meanwhile
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise UserError(
            f"{error.filename or folder} cannot be written ({error.strerror}): nothing was written"
        ) from None
    return written
