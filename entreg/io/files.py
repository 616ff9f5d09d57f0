"""Atomic files: each is written under a temporary name, flushed to the disk and renamed, so none is ever partial."""

from __future__ import annotations

import csv
import errno
import glob
import io
import json
import os
import re
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from entreg.errors import DataError, brief, escaped

# the errors of file systems that cannot allocate space in advance (NFS before 4.2, CephFS, older Lustre, ramfs)
NOT_SUPPORTED = {errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")  # the name under which a file is written, see `write`

STALE_S = 300.0  # no write takes so long

MOST_YAML = 1_000_000  # characters of a saved file

WAY_OUT = "restore it, or leave its run out"  # the advice where a file of a run cannot be read


def write(path: Path, save: Callable[[BinaryIO], Any]) -> None:
    """Let `save` write to a temporary file beside `path`, then rename it to `path`. The folder is created if missing.

    Raises a DataError that names the file where it cannot be written, for example because the disk is full.
    """
    with _written_beside(path, save) as temporary:
        temporary.replace(path)


def create(path: Path, text: str) -> bool:
    """Write a file and return True, or return False where the file already exists.

    Where several processes try at once, exactly one succeeds, also on network file systems. Raises a DataError as
    `write` does.
    """
    with _written_beside(path, lambda file: file.write(text.encode())) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        except OSError:  # the file system has no links
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return False
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
        return True


@contextmanager
def _written_beside(path: Path, save: Callable[[BinaryIO], Any]) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path` with what `save` writes, flushed; remove it at the end."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                save(file)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """Return the system's own short message, which HDF5 replaces by several lines of its own."""
    return os.strerror(error.errno) if error.errno else brief(error)


def write_text(path: Path, text: str) -> None:
    """Write the text as UTF-8."""
    write(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON. Raises a ValueError for NaN, which other languages cannot read."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def check_zip(path: Path) -> None:
    """Raise a ValueError where a member of a zip archive does not match its checksum.

    Raises zipfile's errors where the file is not an archive.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} does not match")


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds as plain containers and values; interpolations stay strings.

    A file from an unknown source must not choose what is run while it is read, so tags are refused. Aliases are refused
    as well, because a short file can multiply them to any size. Raises a DataError where the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > MOST_YAML:
            raise ValueError(f"it is longer than {MOST_YAML} characters")
        return yaml.load(text, _PlainLoader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise DataError(f"{path}: cannot be read as YAML: {line}{brief(error.problem)}; {WAY_OUT}") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read as YAML: {brief(error)}; {WAY_OUT}") from error


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """A loader of YAML that refuses aliases and reads the numbers that Hydra writes, such as 1e-05."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node, unless it is an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds an alias (*name)")
        return super().compose_node(parent, index)


_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises a DataError that names the file where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {brief(error)}; {WAY_OUT}") from error


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a table whose header holds every key of every row. None and missing keys become empty fields.

    Control characters in texts are escaped, so that each row is one line.
    """
    text = io.StringIO()
    header = dict.fromkeys(key for row in rows for key in row)
    table = csv.DictWriter(text, fieldnames=list(header), lineterminator="\n")
    table.writeheader()
    table.writerows(
        {key: escaped(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows
    )
    write_text(path, text.getvalue())


def reserve(path: Path, size: int) -> None:
    """Extend a file to `size` bytes and keep its content. Where the file system can, the space is really allocated.

    A full disk is thus noticed now, and not after hours of work. Raises an OSError where the disk is full.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if os.fstat(handle).st_size < size:
            try:
                os.posix_fallocate(handle, 0, size)
            except AttributeError:  # macOS has no such call
                os.ftruncate(handle, size)
            except OSError as error:
                if error.errno not in NOT_SUPPORTED:
                    raise
                os.ftruncate(handle, size)
    finally:
        os.close(handle)


def remove_temporary(folder: Path) -> None:
    """Remove the unfinished writes that a killed process has left directly in a folder.

    No process may be writing there.
    """
    for path in folder.glob(".*.tmp"):
        if TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def remove_temporary_of(path: Path, *, stale: bool = False) -> None:
    """Remove the unfinished writes of one file that killed processes have left. What cannot be removed stays.

    stale: remove only those that no living process can still be writing
    """
    for leftover in temporary_of(path):
        with suppress(OSError):
            if not stale or time.time() - leftover.stat().st_mtime > STALE_S:
                leftover.unlink()


def temporary_of(path: Path) -> list[Path]:
    """Return the temporary files of all unfinished writes of one file."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"))
