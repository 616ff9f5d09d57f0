"""Building a feature store: by all ranks together, each image once, going on where a killed build was.

A store is built under `<fingerprint>.partial` and renamed when it is complete. One process builds while others wait.
Where that cannot be seen to, as on file systems that show a file to another node minutes later, both end with a good
store.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
import zlib
from pathlib import Path

import numpy as np
import torch

from entreg import files
from entreg.claims import Claim, Taken
from entreg.errors import DataError
from entreg.features.recipe import Images, Recipe
from entreg.features.store import CHECKSUMS, FeatureStore, file_name, places
from entreg.numerics import in_threads
from entreg.progress import Progress
from entreg.ranks import Ranks, Stopped

log = logging.getLogger(__name__)

TOLD_EVERY_S = 60.0  # of who waits for another builder
THERE, MISSING, STOPPED = "there", "missing", "stopped"


def open_store(images: Images, recipe: Recipe, folder: Path, ranks: Ranks) -> FeatureStore:
    """The store of these images under `folder`; built first, by all ranks together, where it does not exist.

    Several runs may call this at once: one builds, the others wait. DataError for an image that cannot be read and for
    a disk that is too small or must not be written. Stopped where the run was asked to stop meanwhile: the next one
    goes on.
    """
    final = folder / fingerprint(images, recipe)
    # every rank must come to the same conclusion, so the first one's look counts
    if ranks.gather(final.is_dir())[0]:
        return FeatureStore(final, images, recipe)
    claim, state = _claimed(final, ranks) if ranks.is_first else (None, THERE)
    try:
        state = ranks.gather(state, patient=True)[0]
        if state == STOPPED:
            raise Stopped
        if state == MISSING:
            try:
                _build(images, recipe, final, ranks)
            except (FileNotFoundError, DataError) as error:
                # under our hands: a builder that we were not shown has completed it
                if ranks.count > 1 or not final.is_dir():
                    raise (
                        error
                        if isinstance(error, DataError)
                        else DataError(f"{final}: vanished while it was built: {error}")
                    ) from error
    finally:
        if claim is not None:
            claim.release()
    return FeatureStore(final, images, recipe)


def fingerprint(images: Images, recipe: Recipe) -> str:
    """Of everything that the contents of a store depend on."""
    content = json.dumps([recipe.describe(images.sizes), images.contents, images.sizes], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:20]


def _claimed(final: Path, ranks: Ranks) -> tuple[Claim | None, str]:
    """The right to build, as soon as nobody else does, or None where the store was built meanwhile."""
    log.info("features: %s is not there; it is built when nobody else does", final)
    told = time.monotonic()
    while not final.is_dir():
        try:
            claim = Claim(final.with_name(f"{final.name}.owner"))
            if not final.is_dir():
                return claim, MISSING
            claim.release()  # completed between our look and our claim
        except Taken as taken:
            if time.monotonic() - told >= TOLD_EVERY_S:
                told = time.monotonic()
                builder = taken.owner or "another process"
                log.info("features: %s are being built by %s: waiting for them", final, builder)
            time.sleep(0.5)
        except DataError as error:
            raise DataError(f"{error}; paths.store=FOLDER keeps features elsewhere") from error
        if ranks.is_asked_to_stop:
            return None, STOPPED
    return None, THERE


def _build(images: Images, recipe: Recipe, final: Path, ranks: Ranks) -> None:
    partial = final.with_suffix(".partial")
    place, counts = places(images.sizes)
    if ranks.is_first:
        _allocate(partial, counts, len(place), recipe)
    ranks.barrier()
    recipe.backbone.to(ranks.device)
    checksums = np.fromfile(partial / CHECKSUMS, dtype=np.int64)
    rows = {size: os.open(partial / file_name(size), os.O_RDWR) for size in counts}
    table = os.open(partial / CHECKSUMS, os.O_RDWR)

    def add(i: int) -> None:
        if ranks.is_asked_to_stop:
            return
        size, position = place[i]
        data = recipe.row(images.read(i), ranks.device).contiguous().view(torch.uint8).numpy().data
        _write(rows[size], data, position * data.nbytes, partial)
        # 0 means "not there yet", so checksums are kept plus one
        _write(table, np.array([zlib.crc32(data) + 1], dtype=np.int64).data, i * 8, partial)

    try:
        # shared out first: what is done changes as soon as one rank begins
        mine = [i for i in ranks.mine(range(len(place))) if not _is_done(rows, place[i], checksums[i], recipe)]
        with Progress("features", len(mine), "image") as progress:
            for _ in in_threads(add, mine):
                progress.step()
        _flush((*rows.values(), table), partial)
    finally:
        for handle in (*rows.values(), table):
            os.close(handle)
    recipe.backbone.to("cpu")
    if any(ranks.gather(ranks.is_asked_to_stop, patient=True)):
        log.info("features: asked to stop; the next run goes on from here: %s", partial)
        raise Stopped
    if ranks.is_first:
        _complete(partial, final, recipe.describe(images.sizes) | {"images": images.names})
    ranks.barrier()


def _complete(partial: Path, final: Path, description: dict[str, object]) -> None:
    """Renames the finished store, unless another process has built the same meanwhile."""
    try:
        try:
            files.write_json(partial / "recipe.json", description)
        except DataError:
            # where claims exclude nobody, one that begins takes what we are writing for a killed process's
            files.write_json(partial / "recipe.json", description)
        os.replace(partial, final)
        log.info("features: %s complete", final)
    except (OSError, DataError) as error:
        if not final.is_dir():
            raise DataError(f"{final}: cannot be written: {error}; paths.store=FOLDER") from error
        log.info("features: %s was completed by another process", final)
        shutil.rmtree(partial, ignore_errors=True)


def _allocate(partial: Path, counts: dict[tuple[int, int], int], images: int, recipe: Recipe) -> None:
    needed = sum(count * recipe.row_bytes(size) for size, count in counts.items())
    resumed = partial.is_dir()
    try:
        partial.mkdir(parents=True, exist_ok=True)
        files.remove_temporary(partial)
        disk = shutil.disk_usage(partial)
        free = disk.free + sum(file.stat().st_blocks * 512 for file in partial.iterdir())
        log.info(
            "features: %d images, %.2f GB in %s (%.0f GB free)%s",
            images,
            needed / 1e9,
            partial.parent,
            free / 1e9,
            "; a build that was cut short goes on" if resumed else "",
        )
        if needed > free and disk.total:  # a file system in memory may not tell
            raise DataError(
                f"{partial.parent}: the features need {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are free.\n"
                "  keep them elsewhere   paths.store=FOLDER\n"
                f"  remove old ones       make clean-store STORE={partial.parents[1]}"
            )
        for size, count in counts.items():
            files.reserve(partial / file_name(size), count * recipe.row_bytes(size))
        files.reserve(partial / CHECKSUMS, images * 8)
    except OSError as error:
        if not resumed:
            shutil.rmtree(partial, ignore_errors=True)
        raise DataError(
            f"{partial}: {needed / 1e9:.2f} GB cannot be taken: {error.strerror}; paths.store=FOLDER"
        ) from error


def _is_done(
    rows: dict[tuple[int, int], int], place: tuple[tuple[int, int], int], checksum: int, recipe: Recipe
) -> bool:
    if checksum == 0:
        return False
    size, position = place
    length = recipe.row_bytes(size)
    return zlib.crc32(os.pread(rows[size], length, position * length)) + 1 == checksum


def _write(handle: int, data: memoryview, offset: int, folder: Path) -> None:
    try:
        if os.pwrite(handle, data, offset) != data.nbytes:
            raise OSError("short write")
    except OSError as error:
        raise DataError(f"{folder}: writing features failed: {error}; the next run goes on from here") from error


def _flush(handles: tuple[int, ...], folder: Path) -> None:
    try:
        for handle in handles:
            os.fsync(handle)
    except OSError as error:
        raise DataError(f"{folder}: writing features failed: {error}; the next run goes on from here") from error
