"""Unpacking an archive from elsewhere: what it names stays in its folder, and it cannot fill the disk."""

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
MOST_TIMES = 100  # an archive's own size; photos and their maps do not compress like that
SKIPPED = ("__MACOSX", ".svn", ".DS_Store", "Thumbs.db")  # what systems put beside people's files
ANEW = "\n  download it anew    remove it"
ELSEWHERE = "\n  have it elsewhere   data.root=FOLDER (ood.NAME.root=FOLDER where it is out of domain)"


@contextmanager
def unpacked(archive: Path, wanted: str) -> Iterator[Path]:
    """The folder or file `wanted` of a zip archive, whole, in a temporary folder beside the archive: to be moved away.

    What else the archive holds is left out, and so is what systems put beside people's files. DataError: it is no zip
    archive or damaged; a name leaves its folder; it holds links or devices, or more than the limits above or than the
    disk has room for. Then, and after the `with`, nothing of it is left.
    """
    partial = archive.with_name(f".{archive.name}.unpacking")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    try:
        _unpack(archive, wanted, partial)
        yield partial / wanted
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unpack(archive: Path, wanted: str, partial: Path) -> None:
    name = ""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = list(_members(archive, opened))
            _refuse_excess(archive, [member for member, _ in members])
            folder = PurePosixPath(wanted).parts
            chosen = [(member, parts) for member, parts in members if parts[: len(folder)] == folder]
            if not chosen:
                raise DataError(f"{archive} holds no {wanted}{ANEW}")
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
    except Exception as error:  # whatever zipfile stumbles over
        raise DataError(f"{archive} cannot be unpacked: {name}{brief(error)}{ANEW}") from error


def _members(archive: Path, opened: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, tuple[str, ...]]]:
    """Each file with the parts of its name. DataError for a name or kind that no published data set has."""
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
        raise DataError(f"{archive} is not unpacked: it holds {count:,} files, at most {MOST_FILES:,} are{ANEW}")
    if size > most:
        raise DataError(
            f"{archive} is not unpacked: {packed:,} bytes would become {size:,}, more than any published set's{ANEW}"
        )
    free = shutil.disk_usage(archive.parent).free
    if size > free > 0:  # a file system in memory may not tell
        raise DataError(
            f"{archive} is not unpacked: it needs {size / 1e9:.2f} GB, {free / 1e9:.2f} GB are free{ELSEWHERE}"
        )


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """One file; zipfile reads no more of it than it declares, and compares its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, open(path, "xb") as file:  # x: no name twice
        shutil.copyfileobj(source, file, 1 << 20)
