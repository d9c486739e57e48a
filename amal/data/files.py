"""Files of data sets: read up to a bound, unpacked up to a bound, and what is said of one that is wrong or unknown.

Nothing is taken from a file before it is checked. No file is read, nor unpacked, beyond what its data set can hold: a
kilobyte may unpack to gigabytes.
"""

import bz2
import gzip
import io
import sys
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from amal.errors import UserError

from .downloads import download

REMEDY = "delete it to have it downloaded again, or use --dataset digits, which needs no file"
PACKING = 4096
"""Bytes that a packed file may be longer than its content, at most."""


def find(
    root: Path, folder: Path, choices: Sequence[Sequence[str]], limits: Sequence[int], kind: str, needs: str
) -> list[tuple[Path, bytes]]:
    """Read, for each file, the first of its names that is in the folder; download what is not there at all.

    Args:
        root: the folder of all data sets.
        folder: that of this one, below it.
        choices: of each file, the names that it may have.
        limits: bytes that each may hold, unpacked.
        kind: torchvision's name of the data set.
        needs: what to say of files that are missing.

    Raises:
        UserError: a file is unreadable or too long, or is missing and cannot be downloaded.
    """

    def look() -> list[tuple[Path, bytes] | None]:
        return [_first(folder, names, limit + PACKING) for names, limit in zip(choices, limits, strict=True)]

    contents = look()
    if None in contents:
        missing = ", ".join(names[0] for names, file in zip(choices, contents, strict=True) if file is None)
        download(root, folder, kind, f"{needs}: {missing} not there in {folder}")
        contents = look()
    return [file for file in contents if file is not None]


def _first(folder: Path, names: Sequence[str], limit: int) -> tuple[Path, bytes] | None:
    for name in names:
        content = read(folder / name, limit, REMEDY)
        if content is not None:
            return folder / name, content
    return None


def read(path: Path, limit: int, remedy: str) -> bytes | None:
    """Return what a file holds; None where it is not there.

    Raises:
        UserError: it cannot be read, or is longer than the limit, in bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend that, or {remedy}") from None
    if len(content) > limit:
        raise UserError(f"{path} is damaged (more than {limit} bytes): {remedy}")
    return content


def unpack(path: Path, content: bytes, limit: int) -> bytes:
    """Return the content of a .gz or .bz2 file, and that of any other as it is.

    Raises:
        UserError: it is damaged, or unpacks to more bytes than the limit; no more than that is ever unpacked.
    """
    if path.suffix not in (".gz", ".bz2"):
        return content
    packed = io.BytesIO(content)
    try:
        with gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else bz2.BZ2File(packed) as file:
            whole = file.read(limit + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise damage(path, f"{'gzip' if path.suffix == '.gz' else 'bzip2'}: {error}") from None
    if len(whole) > limit:
        raise damage(path, f"it unpacks to more than {limit} bytes")
    return whole


def damage(path: Path, what: str) -> UserError:
    """Return the error of a file that is not what was published."""
    return UserError(f"{path} is damaged ({' '.join(what.split())}): {REMEDY}")


@cache
def say_unverified(path: Path, why: str) -> None:
    """Say on standard error, once a process, that a file is used whose content is not known."""
    print(f"{path} could not be verified: {why}", file=sys.stderr)
