"""Files that keep the hashes of images between processes: one for each folder of images."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL

from entreg.data.images import THUMBNAIL_SHAPE
from entreg.errors import brief
from entreg.io import files

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True)
class HashedImage:
    """What an image file is recognised by.

    identity: its size in bytes, the times of the last changes of its content and of its entry in the file system (ns),
        and its inode, as they were before it was read
    sha256: the hash of its content; thumbnail: the bytes of that of `images.thumbnail`; None where nobody asked for it
    """

    identity: tuple[int, int, int, int]
    sha256: str
    thumbnail: bytes | None = None


def identity_of(path: Path) -> tuple[int, int, int, int]:
    """Return what stands for a file's content as long as it stays the same, see `HashedImage`."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def path_of(folder: Path, images: str) -> Path:
    """Return the file below `folder` that keeps the hashes of the images directly in the folder `images`."""
    return folder / f"{hashlib.sha256(os.fsencode(images)).hexdigest()[:20]}.json"


def read(path: Path, images: str) -> dict[str, HashedImage]:
    """Return the hashes by the images' names; none where the file is missing, damaged, or of other images.

    images: the folder of the images
    """
    files.remove_temporary_of(path, stale=True)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept.pop("sha256") != _sha256(kept) or kept.pop("of") != _of(images):
            raise ValueError("it is damaged, or was written for other images or by another version")
        return {name: _hashed(*values) for name, values in kept["images"].items()}
    except FileNotFoundError:
        return {}
    except Exception as error:  # a file from elsewhere raises errors of many kinds
        log.info("%s: is not used, and written again: %s", path, brief(error))
        return {}


def write(path: Path, images: str, hashed: Mapping[str, HashedImage]) -> None:
    """Write the hashes of the images in the folder `images`, by name. Raises a DataError as `files.write` does."""
    kept = {
        "of": _of(images),
        "images": {
            name: [
                image.identity,
                image.sha256,
                None if image.thumbnail is None else base64.b64encode(image.thumbnail).decode(),
            ]
            for name, image in hashed.items()
        },
    }
    files.write_text(path, json.dumps(kept | {"sha256": _sha256(kept)}))


def _of(images: str) -> list[Any]:
    """Return what a file of hashes belongs to; another version of Pillow may make other thumbnails."""
    return [FORMAT, PIL.__version__, images]


def _hashed(identity: list[int], sha256: str, thumbnail: str | None) -> HashedImage:
    size, mtime_ns, ctime_ns, inode = identity
    levels = None if thumbnail is None else base64.b64decode(thumbnail, validate=True)
    if levels is not None and len(levels) != math.prod(THUMBNAIL_SHAPE):
        raise ValueError("a thumbnail in it has another size")
    return HashedImage((size, mtime_ns, ctime_ns, inode), sha256, levels)


def _sha256(kept: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()
