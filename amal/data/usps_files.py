"""USPS, from the course's text files or libsvm's, and what is kept of them when they were parsed.

A file of the course's form is the original, or it is refused. Of libsvm's form others than libsvm's own go round: one
that holds other numbers is looked at more closely, and then used with a word that it could not be verified.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from . import checksums
from .files import damage, find, say_unverified, unpack

CLASSES = {
    "train": (1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644),
    "test": (359, 264, 198, 166, 200, 160, 170, 147, 166, 177),
}
"""How many pictures there are of each digit."""
FILES = {"train": ("USPS_train.txt", "usps.bz2"), "test": ("USPS_test.txt", "usps.t.bz2")}
LINE = 4096
"""Bytes that the line of a picture has at most; the longest of the course has 1041, and libsvm's are twice as long."""
CACHE = b"amal: USPS, class and 256 pixels in [0, 1], float32, version 1\n"


def read_usps(root: Path) -> Iterator[npt.NDArray[np.float32]]:
    """Yield class and pixels in [0, 1], (n, 257), of the pictures published for training, then of those for test.

    Raises:
        UserError: a file is unreadable or damaged, or is missing and cannot be downloaded.
    """
    needs = "USPS needs the course's text files, or libsvm's usps.bz2 and usps.t.bz2"
    limits = [LINE * (sum(counts) + 2) for counts in CLASSES.values()]
    files = find(root, root / "USPS", list(FILES.values()), limits, "USPS", needs)
    for (path, content), part, limit in zip(files, FILES, limits, strict=True):
        yield _table(path, content, part, limit)


def _table(path: Path, content: bytes, part: str, limit: int) -> npt.NDArray[np.float32]:
    """Return the table from a file, or from what was kept of it when it was parsed."""
    count = sum(CLASSES[part])
    key = hashlib.sha256(CACHE + content).digest()
    cache = path.with_name(f"{path.name}.cache")
    stored = _read_cache(cache, 64 + 4 * 257 * count)
    if stored[:64] == key + hashlib.sha256(stored[64:]).digest():
        table = np.frombuffer(stored, "<f4", offset=64).reshape(count, 257).astype(np.float32)
        _verify(path, content, table, part)
        return table
    table = _parse(path, content, count, limit)
    _verify(path, content, table, part)
    _keep(cache, key, table.astype("<f4").tobytes())
    return table


def _verify(path: Path, content: bytes, table: npt.NDArray[np.float32], part: str) -> None:
    """See that a table is the published one, or say what it is."""
    if hashlib.sha256(table.astype("<f4").tobytes()).hexdigest() == checksums.SHA256[f"USPS/{part}"]:
        return
    if path.suffix != ".bz2":
        raise damage(path, "its checksum differs from the original's")
    if hashlib.md5(content, usedforsecurity=False).hexdigest() == checksums.LIBSVM_MD5[path.name]:
        return
    counts = tuple(np.bincount(table[:, 0].astype(int), minlength=10).tolist())
    if counts != CLASSES[part]:
        raise damage(path, f"its digits are there {counts} times instead of {CLASSES[part]}")
    say_unverified(path, "its numbers are neither the course's, nor the file libsvm's own")


def _read_cache(cache: Path, length: int) -> bytes:
    """Return what was kept of a file; nothing where that is unreadable or of another length."""
    with suppress(OSError), cache.open("rb") as file:
        stored = file.read(length + 1)
        return stored if len(stored) == length else b""
    return b""


def _keep(cache: Path, key: bytes, content: bytes) -> None:
    """Write the cache under another name, then rename it: nobody reads half of it. Where that fails there is none."""
    part = cache.with_name(f".{cache.name}.{os.getpid()}")
    with suppress(OSError):
        if not cache.parent.stat().st_mode & 0o222:
            return  # root could write there, but the owner of the folder has said no
        try:
            part.write_bytes(key + hashlib.sha256(content).digest() + content)
            part.replace(cache)
        finally:
            part.unlink(missing_ok=True)


def _parse(path: Path, content: bytes, count: int, limit: int) -> npt.NDArray[np.float32]:
    """Parse the course's text (label, 256 values in [0, 2]) or libsvm's (label + 1, 256 index:value in [-1, 1])."""
    lines = _lines(path, unpack(path, content, limit), count)
    if path.suffix == ".bz2":
        numbers = _numbers(path, [line.replace(b":", b" ") for line in lines], count, 1 + 2 * 256)
        if not (numbers[:, 1::2] == np.arange(1, 257)).all():
            raise damage(path, "its values are not numbered from 1 to 256")
        label, value = numbers[:, 0] - 1, numbers[:, 2::2] + 1
    else:
        if not lines or lines[0].split() != [b"10", b"256"]:
            raise damage(path, "its first line is not 10 256")
        if lines[-1].strip() != b"-1":
            raise damage(path, "its last line is not -1")
        numbers = _numbers(path, lines[1:-1], count, 1 + 256)
        label, value = numbers[:, 0], numbers[:, 1:]
    unknown = ~np.isin(label, np.arange(10))
    if unknown.any():
        raise damage(path, f"picture {unknown.argmax() + 1} of {count} has an unknown label")
    invalid = ~((value >= 0) & (value <= 2)).all(1)  # so written, it holds of nan too
    if invalid.any():
        raise damage(path, f"picture {invalid.argmax() + 1} of {count} has a value out of range")
    return np.column_stack([label, value / 2]).astype(np.float32)


def _lines(path: Path, text: bytes, count: int) -> list[bytes]:
    """Return the lines of a text; refuse before they are taken apart more than there can be, or one too long."""
    ends = max(text.count(b"\n"), text.count(b"\r"))
    if ends > 2 * (count + 2):
        raise damage(path, f"{ends} lines, for {count} pictures")
    lines = text.strip().splitlines()
    longest = max(map(len, lines), default=0)
    if longest > LINE:
        raise damage(path, f"a line of {longest} bytes")
    return lines


def _numbers(path: Path, lines: list[bytes], count: int, width: int) -> npt.NDArray[np.float64]:
    if len(lines) != count:
        raise damage(path, f"{len(lines)} pictures instead of {count}")
    for number, line in enumerate(lines, 1):
        if len(line.split()) != width:
            raise damage(path, f"picture {number} of {count} is not a label and 256 values")
    try:
        return np.loadtxt(io.BytesIO(b"\n".join(lines)), comments=None, ndmin=2)
    except ValueError as error:
        raise damage(path, f"{error}".rstrip(".")) from None
