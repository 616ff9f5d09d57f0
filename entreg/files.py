"""Files that are either whole or not there: written under a temporary name, flushed, renamed."""

from __future__ import annotations

import csv
import errno
import glob
import hashlib
import io
import json
import os
import re
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from entreg.errors import DataError, brief

# what file systems answer that cannot take space beforehand (NFS before 4.2, CephFS, older Lustre, ramfs)
NOT_SUPPORTED = {errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}

MOST_YAML = 1_000_000  # characters of a saved file

WAY_OUT = "restore it, or leave its run out"  # where a file of a run cannot be read


def write(path: Path, save: Callable[[BinaryIO], Any]) -> None:
    """Lets `save` write to a temporary file beside `path`, which then takes its place; its folder is made where need
    be.

    DataError names the file where the disk is full or where it must not be written.
    """
    with _written_beside(path, save) as temporary:
        os.replace(temporary, path)


def create(path: Path, text: str) -> bool:
    """Writes a file that is not there; False where there is one already. DataError as for `write`.

    Of several processes that try at once one succeeds, on network file systems too.
    """
    with _written_beside(path, lambda file: file.write(text.encode())) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return False
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
        return True


@contextmanager
def _written_beside(path: Path, save: Callable[[BinaryIO], Any]) -> Iterator[Path]:
    """A temporary file in the folder of `path`, with what `save` writes, flushed; removed at the end."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                save(file)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """What the system says, in its few words: HDF5 puts many others in their place, over several lines."""
    return os.strerror(error.errno) if error.errno else brief(error)


def write_text(path: Path, text: str) -> None:
    """The text, UTF-8."""
    write(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Indented JSON; NaN is refused, since other languages cannot read it."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def check_zip(path: Path) -> None:
    """ValueError where a member of a zip archive does not match its checksum; zipfile's errors where it is none."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} does not match")


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    return digest_of(path, "sha256")


def digest_of(path: Path, algorithm: str) -> str:
    """Hash a file's content by an algorithm of hashlib; hexadecimal digits."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def read_yaml(path: Path) -> Any:
    """Plain containers and values; interpolations stay the strings that they are. DataError names what cannot be read.

    A file from elsewhere must not choose what is done while it is read: tags and aliases, which a short file can
    multiply to any size, are refused.
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


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, and with the numbers that Hydra writes, such as 1e-05."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds an alias (*name)")
        return super().compose_node(parent, index)


_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_json(path: Path) -> Any:
    """DataError names a file that cannot be read as JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {brief(error)}; {WAY_OUT}") from error


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A table with all keys that a row has as header; None, or a key that a row lacks, is an empty field."""
    text = io.StringIO()
    header = dict.fromkeys(key for row in rows for key in row)
    table = csv.DictWriter(text, fieldnames=list(header), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def reserve(path: Path, size: int) -> None:
    """Makes the file `size` bytes long, keeping what it holds; where the file system can, the space is really taken.

    A full disk is then found now and not in the middle of hours of work. OSError where that is so.
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
    """Removes what a killed process has left of unfinished writes in a folder and below it.

    Nobody must be writing there.
    """
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def temporary_of(path: Path) -> list[Path]:
    """The unfinished writes of one file that there are now."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"))
