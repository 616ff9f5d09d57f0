"""Checksums of files, in memory and as `SHA256SUMS`, which `sha256sum --check` of GNU coreutils reads as well."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from entreg.errors import DataError
from entreg.io import digests, files

LINE = re.compile(rb"(\\?)([0-9a-f]{64})  (.+)")


def sums_of(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of those of the files below `folder` that exist, by their path below it."""
    there = [path for path in paths if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in there]
    return dict(zip(names, digests.sha256_of_each(there), strict=True))


def differing(folder: Path, sums: Mapping[str, str]) -> dict[str, str]:
    """Return what became of the files below `folder` that do not have these sums: `is missing` or `was changed`."""
    now = sums_of(folder, (folder / name for name in sums))
    return {
        name: "was changed" if name in now else "is missing" for name, digest in sums.items() if now.get(name) != digest
    }


def write(path: Path, sums: Mapping[str, str]) -> None:
    """Write the sums, a line for each file."""
    files.write(path, lambda file: file.writelines(_line(name, digest) for name, digest in sums.items()))


def read(path: Path) -> dict[str, str]:
    """Return the sums by the files' paths below the folder of `path`. Raises a DataError where it cannot be read."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    sums = {}
    for line in lines:
        parts = LINE.fullmatch(line)
        name = None if parts is None else os.fsdecode(_unescaped(parts[3]) if parts[1] else parts[3])
        if parts is None or name is None or name.startswith("/") or ".." in name.split("/"):
            raise DataError(f"{path}: is not a list of SHA-256 sums of the files beside it; {files.WAY_OUT}")
        sums[name] = parts[2].decode()
    return sums


def _line(name: str, digest: str) -> bytes:
    """Return a line; sha256sum marks one whose name holds a backslash or the end of a line, which are escaped."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return ("\\" * (escaped != name) + f"{digest}  ").encode() + os.fsencode(escaped) + b"\n"


def _unescaped(name: bytes) -> bytes:
    return re.sub(rb"\\(.)", lambda pair: {b"n": b"\n", b"r": b"\r"}.get(pair[1], pair[1]), name)
