"""Hashes of files' contents."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from entreg.errors import DataError

PART_BYTES = 1 << 17  # read at a time; a larger part leaves the processor's cache before it is hashed


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as hexadecimal digits."""
    return digest_of(path, "sha256")


def digest_of(path: Path, algorithm: str) -> str:
    """Return the hash of a file's content as hexadecimal digits, computed with an algorithm of hashlib."""
    return _digest_of(path, algorithm, memoryview(bytearray(PART_BYTES)))


def sha256_of_each(paths: Iterable[Path]) -> list[str]:
    """Return the SHA-256 of several files. Raises a DataError that names one that cannot be read."""
    paths, workers = list(paths), os.cpu_count() or 1
    digests = [""] * len(paths)
    with ThreadPoolExecutor(workers) as pool:  # a share for each, since handing over a small file takes as long as it
        for i, share in enumerate(pool.map(_sha256_of_share, (paths[i::workers] for i in range(workers)))):
            digests[i::workers] = share
    return digests


def _sha256_of_share(paths: Sequence[Path]) -> list[str]:
    part = memoryview(bytearray(PART_BYTES))  # one for all, since allocating it takes as long as hashing a small file
    digests = []
    for path in paths:
        try:
            digests.append(_digest_of(path, "sha256", part))
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return digests


def _digest_of(path: Path, algorithm: str, part: memoryview) -> str:
    """Return the hash of a file; part: where its bytes are read to."""
    digest = hashlib.new(algorithm)
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while count := os.readv(handle, [part]):
            digest.update(part[:count])
    finally:
        os.close(handle)
    return digest.hexdigest()
