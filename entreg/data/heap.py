"""HDF5's collections of values of any length: a damaged one keeps the HDF5 library reading for ever, so it is refused.

The library walks the objects of a collection by their sizes, and an object of size 0 is walked for ever, with no way to
interrupt it (H5HGcache.c of HDF5 1.14; the form: "Global Heap" of the HDF5 File Format Specification, III.E).
"""

from __future__ import annotations

import mmap
from pathlib import Path

SIGNATURE = b"GCOL\1"  # with its version, the only one
HEADER = 16  # bytes before the first object, and of each object before its data, for lengths of 4 and 8 bytes
SMALLEST = 4096  # bytes of a collection; the library refuses smaller ones


def is_endless(path: Path, length_bytes: int) -> bool:
    """Whether a collection anywhere in the file holds an object that ends nowhere in it.

    length_bytes: of a length in this file, 8 almost always. Reads the whole file once.
    """
    if not path.stat().st_size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(SIGNATURE)
        while start >= 0:
            size = _length(content, start, length_bytes)
            if SMALLEST <= size <= len(content) - start and not _ends(content, start, start + size, length_bytes):
                return True
            start = content.find(SIGNATURE, start + 1)
    return False


def _ends(content: mmap.mmap, start: int, end: int, length_bytes: int) -> bool:
    at = start + HEADER
    while at + HEADER <= end:
        size = _length(content, at, length_bytes)
        is_free = content[at : at + 2] == b"\0\0"  # of free space the size includes the header
        taken = size if is_free else HEADER + (size + 7) // 8 * 8
        if not HEADER <= taken <= end - at:
            return False
        at += taken
    return True


def _length(content: mmap.mmap, at: int, length_bytes: int) -> int:
    return int.from_bytes(content[at + 8 : at + 8 + length_bytes], "little")
