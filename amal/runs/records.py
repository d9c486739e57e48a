"""The records of TensorBoard's event files, and the byte at which each ends.

A file is a row of records: the length of a message (8 bytes, little-endian), a checksum of it (4),
the message, and a checksum of that (4). A run that is going on, or was killed, may leave the last
record half-written, and a power cut zeros after it: reading ends before these, as TensorBoard's does.

Why not TensorBoard's own reader: it ends in silence where a file is damaged, and does not say at
which byte, where `--resume` cuts the file and which `amal report` names. And it computes every
checksum, in Python: 0.23 s for a megabyte, whose reading takes a millisecond (tensorboard 2.21).
"""

import struct
from collections.abc import Iterator
from pathlib import Path


def event_files(folder: Path) -> list[Path]:
    """Return TensorBoard's files in a folder, in the order in which it reads them."""
    return sorted(folder.glob("events.out.tfevents.*"))


class DamagedFile(Exception):
    """A file is damaged before its last record."""


class TruncatedFile(Exception):
    """The last record of a file is not whole."""


def records(path: Path, verify: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the whole messages of a file, each with the byte at which its record ends.

    Args:
        path: the file.
        verify: size in bytes of the largest record whose checksum is verified; unless it is 0, the
            checksums of all lengths are.

    Raises:
        DamagedFile: a checksum differs, or the file cannot be read; if `verify`.
        TruncatedFile: the last record is not whole; if `verify`.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError:  # removed meanwhile, or of another user
        if verify:
            raise DamagedFile from None
        return
    end = 0
    while end + 16 <= len(content):
        (length,) = struct.unpack_from("<Q", content, end)
        begin, end = end + 12, end + 12 + length + 4
        if verify and not _is_intact(content, begin - 12, 8):
            raise DamagedFile
        if length == 0 or end > len(content):
            break
        if length <= verify and not _is_intact(content, begin, length):
            raise DamagedFile
        yield end, bytes(content[begin : end - 4])
    if verify and end != len(content):
        raise TruncatedFile


def _is_intact(content: memoryview, begin: int, length: int) -> bool:
    """Whether some bytes have the checksum that follows them."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    (checksum,) = struct.unpack_from("<I", content, begin + length)
    return bool(masked_crc32c(bytes(content[begin : begin + length])) == checksum)
