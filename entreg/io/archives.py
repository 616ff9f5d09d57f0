"""Unpacking archives from unknown sources: no member leaves the target folder, and none can fill the disk."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from entreg.errors import DataError, brief
from entreg.progress import Progress

MOST_FILES = 100_000
MOST_BYTES = 50 * 10**9
MOST_TIMES = 100  # the archive's own size; photos and their maps do not compress like that
SKIPPED = ("__MACOSX", ".svn", ".DS_Store", "Thumbs.db")  # files that systems put beside people's own
ANEW = "\n  download it again   remove it"
ELSEWHERE = "\n  have it elsewhere   data.root=FOLDER (ood.NAME.root=FOLDER where it is out of domain)"


@contextmanager
def unpacked(archive: Path, wanted: str) -> Iterator[Path]:
    """Unpack the folder or file `wanted` of a zip archive into a temporary folder, and yield its path there.

    The caller moves it away; what is left is removed at the end. The temporary folder lies beside the archive. Other
    members of the archive are not unpacked, nor are the files that operating systems add.

    Raises a DataError where the file is not a zip archive or is damaged, where a member's name leads out of the folder,
    where it holds links or devices, and where it exceeds the limits above or the free space on the disk.
    """
    partial = unpacking(archive)
    shutil.rmtree(partial, ignore_errors=True)  # a killed process may have left it
    try:
        _unpack(archive, wanted, partial)
        yield partial / wanted
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def unpacking(archive: Path) -> Path:
    """Return the temporary folder into which an archive is unpacked."""
    return archive.with_name(f".{archive.name}.unpacking")


def _unpack(archive: Path, wanted: str, partial: Path) -> None:
    name = ""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = list(_members(archive, opened))
            _refuse_excess(archive, [member for member, _ in members])
            folder = PurePosixPath(wanted).parts
            chosen = [(member, parts) for member, parts in members if parts[: len(folder)] == folder]
            if not chosen:
                raise DataError(f"{archive} does not contain {wanted}{ANEW}")
            with Progress(f"unpacking {archive.name}", len(chosen), "file") as progress:
                for member, parts in chosen:
                    name = f"{brief('/'.join(parts))}: "
                    _write(opened, member, partial.joinpath(*parts))
                    progress.step()
    except DataError:
        raise
    except OSError as error:
        reason = error.strerror or brief(error)
        raise DataError(f"{archive} cannot be unpacked: {name}{reason}{ANEW}{ELSEWHERE}") from error
    except Exception as error:  # zipfile raises errors of many kinds for a damaged file
        raise DataError(f"{archive} cannot be unpacked: {name}{brief(error)}{ANEW}") from error


def _members(archive: Path, opened: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, tuple[str, ...]]]:
    """Yield each file with the parts of its name. Raises a DataError for an unsafe name or kind of member."""
    for member in opened.infolist():
        name = member.orig_filename.replace("\\", "/")
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        kind = stat.S_IFMT(member.external_attr >> 16)
        if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in parts or re.search(r"[\0-\x1f]", name):
            raise DataError(
                f"{archive} is not unpacked: it names {brief(repr(name))}, which may lie outside its folder{ANEW}"
            )
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"{archive} is not unpacked: {brief(repr(name))} is a link or a device{ANEW}")
        if not (name.endswith("/") or any(part in SKIPPED or part.startswith("._") for part in parts)):
            yield member, parts


def _refuse_excess(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    count, size, packed = len(members), sum(member.file_size for member in members), archive.stat().st_size
    most = min(MOST_BYTES, MOST_TIMES * packed)
    if count > MOST_FILES:
        raise DataError(f"{archive} is not unpacked: it holds {count:,} files, and {MOST_FILES:,} is the limit{ANEW}")
    if size > most:
        raise DataError(
            f"{archive} is not unpacked: its {packed:,} bytes would become {size:,}, more than any published set has"
            f"{ANEW}"
        )
    free = shutil.disk_usage(archive.parent).free
    if size > free > 0:  # a file system in memory may report 0
        raise DataError(
            f"{archive} is not unpacked: it needs {size / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free{ELSEWHERE}"
        )


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Unpack one file. zipfile reads no more bytes than the archive declares, and compares the checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, path.open("xb") as file:  # x: a name that occurs twice is an error
        shutil.copyfileobj(source, file, 1 << 20)
