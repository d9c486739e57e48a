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


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the messages of a file that are there whole, each with the byte at which its record ends."""
    try:
        content = memoryview(path.read_bytes())
    except OSError:  # gone since it was found, or not ours to read
        return
    end = 0
    while end + 16 <= len(content):
        (length,) = struct.unpack_from("<Q", content, end)
        begin, end = end + 12, end + 12 + length + 4
        if length == 0 or end > len(content):
            return
        yield end, bytes(content[begin : end - 4])
