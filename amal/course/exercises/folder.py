"""A folder for a student, or for a teacher."""

from pathlib import Path

from amal.errors import UserError

from . import source


def write(lab: str, folder: Path, solution: bool = False) -> list[Path]:
    """Write an exercise into a folder, a new one if need be; return the files.

    Args:
        lab: tme1, tme2 or tme3.
        folder: the folder.
        solution: whether to write it solved.

    Raises:
        UserError: one of the files exists, or they cannot be written. Then nothing is written at all.
    """
    texts = {
        folder / name: text for name, text in (source.solution_files if solution else source.to_fill_in)(lab).items()
    }
    present = [path.name for path in texts if path.exists() or path.is_symlink()]
    if present:
        raise UserError(
            f"{folder} already holds {', '.join(present)}: nothing was written; give another folder, or move them away"
        )
    files: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:  # x: never over a file that has come meanwhile
                files.append(path)
                file.write(text)
    except OSError as error:
        for path in files:
            path.unlink(missing_ok=True)
        raise UserError(
            f"{error.filename or folder} cannot be written ({error.strerror}): nothing was written"
        ) from None
    return files
