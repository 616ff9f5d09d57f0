"""What images are recognised by, kept beside the feature stores, so that a file which did not change is not read again.

A file is taken for unchanged where its path, size, times and inode are those that it had when it was read. An
evaluation reads every byte all the same.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from entreg.data import hash_file, images
from entreg.data.hash_file import HashedImage
from entreg.data.leakage import ImageHashes
from entreg.errors import DataError
from entreg.io import digests

log = logging.getLogger(__name__)

FOLDER = "image_hashes"  # in that of the stores
# File systems keep times in steps of up to two seconds. What changed this shortly before it was read may change once
# more without another time, so that it is not kept
SETTLED_NS = 2_000_000_000


class KnownHashes:
    """The hashes of image files, each of which a process reads at most once."""

    def __init__(self, store: Path | None = None, *, reads_every_byte: bool = False, writes: bool = True) -> None:
        """Know hashes from memory and, where a store is given, from the files below it.

        reads_every_byte: whether files are read even where they seem unchanged; thumbnails of the same bytes are known
        writes: whether `keep` writes; one of several ranks does
        """
        self._folder = None if store is None else store / FOLDER
        self._reads_every_byte, self._writes = reads_every_byte, writes
        self._found: dict[Path, HashedImage] = {}
        self._settled: set[Path] = set()
        self._new: set[Path] = set()  # settled ones that are not kept yet
        self._kept: dict[str, dict[str, HashedImage]] = {}  # by the folder of images, and by name

    def sha256(self, paths: Sequence[Path]) -> list[str]:
        """Return the SHA-256 of image files. Raises a DataError that names one that cannot be read."""
        settled_before = time.time_ns() - SETTLED_NS
        identities = {path: _identity_of(path) for path in dict.fromkeys(paths) if path not in self._found}
        unread = {}
        for path, identity in identities.items():
            kept = None if self._reads_every_byte else self._kept_of(path)
            if kept is not None and kept.identity == identity:
                self._found[path] = kept
            else:
                unread[path] = kept
        settled = {path for path, identity in identities.items() if max(identity[1:3]) < settled_before}
        for (path, kept), digest in zip(unread.items(), digests.sha256_of_each(unread), strict=True):
            thumbnail = kept.thumbnail if kept is not None and kept.sha256 == digest else None
            self._found[path] = HashedImage(identities[path], digest, thumbnail)
        self._settled |= settled
        if not self._reads_every_byte:
            self._new |= settled.intersection(unread)
        return [self._found[path].sha256 for path in paths]

    def of(self, paths: Sequence[Path]) -> ImageHashes:
        """Return the SHA-256 and the thumbnails of image files. Raises a DataError where one is no image."""
        sums = self.sha256(paths)
        for path in self._without_thumbnail(paths):
            kept = self._kept_of(path)
            if kept is not None and kept.sha256 == self._found[path].sha256:
                self._found[path] = dataclasses.replace(self._found[path], thumbnail=kept.thumbnail)
        without = self._without_thumbnail(paths)
        with ThreadPoolExecutor() as pool:
            for path, thumbnail in zip(without, pool.map(images.thumbnail, without), strict=True):
                self._found[path] = dataclasses.replace(self._found[path], thumbnail=thumbnail.tobytes())
        self._new |= self._settled.intersection(without)
        thumbnails = b"".join(self._found[path].thumbnail or b"" for path in paths)
        return ImageHashes(sums, np.frombuffer(thumbnails, np.uint8).reshape(len(paths), *images.THUMBNAIL_SHAPE))

    def keep(self) -> None:
        """Write what was computed, for the next process; a file that cannot be written is not needed."""
        new: dict[str, dict[str, HashedImage]] = defaultdict(dict)
        if self._folder is None or not self._writes:
            return
        for path in self._new:
            folder, name = _place_of(path)
            new[folder][name] = self._found[path]
        self._new.clear()
        for folder, of_folder in new.items():
            path = hash_file.path_of(self._folder, folder)
            all_kept = hash_file.read(path, folder) | of_folder  # another process may have added some
            self._kept[folder] = {name: image for name, image in all_kept.items() if Path(folder, name).exists()}
            try:
                hash_file.write(path, folder, self._kept[folder])
            except DataError as error:
                log.info("hashes of images are computed again next time: %s", error)

    def _without_thumbnail(self, paths: Sequence[Path]) -> list[Path]:
        return [path for path in dict.fromkeys(paths) if self._found[path].thumbnail is None]

    def _kept_of(self, path: Path) -> HashedImage | None:
        if self._folder is None:
            return None
        folder, name = _place_of(path)
        if folder not in self._kept:
            self._kept[folder] = hash_file.read(hash_file.path_of(self._folder, folder), folder)
        return self._kept[folder].get(name)


def _place_of(path: Path) -> tuple[str, str]:
    """Return the folder of an image, as an absolute path, and its name there."""
    folder, name = os.path.split(path.absolute())
    return folder, name


def _identity_of(path: Path) -> tuple[int, int, int, int]:
    try:
        return hash_file.identity_of(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
