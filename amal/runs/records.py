"""The records of TensorBoard's event files, read fast: a checksum in Python costs a hundred times the reading.

A file is a row of records: the length of a message (8 bytes, little-endian), a checksum of it (4), the message, and a
checksum of that (4). A run that is going on, or was killed, may leave the last record half-written, and a power cut
zeros after it: reading ends before these, as TensorBoard's does.
"""

import struct
from collections.abc import Iterator
from pathlib import Path


def event_files(folder: Path) -> list[Path]:
    """Return TensorBoard's files in a folder, in the order in which it reads them."""
    return sorted(folder.glob("events.out.tfevents.*"))


class Damaged(Exception):
    """A file is damaged before its last record."""


class CutShort(Exception):
    """The last record of a file is not whole."""


def records(path: Path, verify: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the messages of a file that are there whole, each with the byte at which its record ends.

    Args:
        path: the file.
        verify: bytes of the largest record whose checksum is looked at (a fifth of a second for a megabyte); the
            checksums of lengths are, if it is not 0.

    Raises:
        Damaged: a checksum is another, or the file cannot be read; if `verify`.
        CutShort: the last record is not whole; if `verify`.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError:  # gone since it was found, or not ours to read
        if verify:
            raise Damaged from None
        return
    end = 0
    while end + 16 <= len(content):
        (length,) = struct.unpack_from("<Q", content, end)
        begin, end = end + 12, end + 12 + length + 4
        if verify and not _fits(content, begin - 12, 8):
            raise Damaged
        if length == 0 or end > len(content):
            break
        if length <= verify and not _fits(content, begin, length):
            raise Damaged
        yield end, bytes(content[begin : end - 4])
    if verify and end != len(content):
        raise CutShort


def _fits(content: memoryview, begin: int, length: int) -> bool:
    """Whether some bytes have the checksum that stands behind them."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    (checksum,) = struct.unpack_from("<I", content, begin + length)
    return bool(masked_crc32c(bytes(content[begin : begin + length])) == checksum)
