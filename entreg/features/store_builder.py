"""Building a feature store: all ranks together compute each image once, and continue a build that was killed.

A store is built in `<fingerprint>.partial` and renamed when it is complete. One run builds it while others wait. Where
leases cannot ensure that, as on file systems that show a file to another node minutes later, both runs still get a good
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

from entreg.distributed.hardware import return_freed_memory
from entreg.distributed.ranks import Ranks, Stopped
from entreg.distributed.threads import in_threads
from entreg.errors import DataError
from entreg.features.recipe import Images, Recipe
from entreg.features.store import CHECKSUMS, COMPACT, FeatureStore, file_name, places
from entreg.io import files
from entreg.io.leases import Lease, LeaseHeld, remove_leftovers
from entreg.progress import Progress

log = logging.getLogger(__name__)

TOLD_EVERY_S = 60.0  # how often a run that waits for another one says so
THERE, MISSING, STOPPED = "there", "missing", "stopped"


def open_store(images: Images, recipe: Recipe, folder: Path, ranks: Ranks) -> FeatureStore:
    """Return the store of these images under `folder`. All ranks build it together where it does not exist.

    Several runs may call this at once: one builds the store, and the others wait. Raises a DataError where an image
    cannot be read, and where the disk is too small or cannot be written to. Raises Stopped where the run was asked to
    stop in the meantime; the next run continues the build.
    """
    final = folder / (fingerprint(images, recipe) + (COMPACT if recipe.layout.has_relus else ""))
    # every rank must come to the same conclusion, so that of the first rank is used
    found = ranks.gather(find(images, recipe, folder))[0]
    if found is not None:
        if ranks.is_first:
            remove_leftovers(found)
        return FeatureStore(found, images, recipe if found == final else recipe.uncompacted())
    lease, state = _lease_on(final, ranks) if ranks.is_first else (None, THERE)
    try:
        state = ranks.gather(state, patient=True)[0]
        if state == STOPPED:
            raise Stopped
        if state == MISSING:
            try:
                _build(images, recipe, final, ranks)
            except (FileNotFoundError, DataError) as error:
                # another builder, which this run could not see, may have completed the store in the meantime
                if ranks.world_size > 1 or not final.is_dir():
                    raise (error if isinstance(error, DataError) else DataError(_removed(final))) from error
    finally:
        if lease is not None:
            lease.release()
    return FeatureStore(final, images, recipe)


def find(images: Images, recipe: Recipe, folder: Path) -> Path | None:
    """Return the complete store of these images under `folder`, also one of an earlier version; None where none is."""
    name = fingerprint(images, recipe)
    names = [name + COMPACT, name] if recipe.layout.has_relus else [name]
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def fingerprint(images: Images, recipe: Recipe) -> str:
    """Return the fingerprint of everything that the contents of a store depend on."""
    content = json.dumps([recipe.describe(images.sizes), images.contents, images.sizes], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:20]


def _lease_on(final: Path, ranks: Ranks) -> tuple[Lease | None, str]:
    """Return the lease on a store as soon as no other run holds it, or None where the store was built meanwhile."""
    log.info("features: %s does not exist; it is built unless another run is building it", final)
    told = time.monotonic()
    while not final.is_dir():
        try:
            lease = Lease(final.with_name(f"{final.name}.owner"))
            if not final.is_dir():
                return lease, MISSING
            lease.release()  # another run has completed the store since the check
        except LeaseHeld as held:
            if time.monotonic() - told >= TOLD_EVERY_S:
                told = time.monotonic()
                builder = held.owner or "another process"
                log.info("features: %s is being built by %s: waiting for it", final, builder)
            time.sleep(0.5)
        except DataError as error:
            raise DataError(f"{error}; paths.store=FOLDER stores features elsewhere") from error
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
        row = recipe.layout.row(recipe.row(images.read(i), ranks.device))
        data = row.contiguous().view(torch.uint8).numpy().data
        _write(rows[size], data, position * data.nbytes, partial)
        # 0 means that the row is missing, so 1 is added to checksums
        _write(table, np.array([zlib.crc32(data) + 1], dtype=np.int64).data, i * 8, partial)

    try:
        # images are divided among the ranks first, because the missing ones change as soon as one rank begins
        missing = [i for i in ranks.shard(range(len(place))) if not _is_done(rows, place[i], checksums[i], recipe)]
        with Progress("features", len(missing), "image") as progress:
            for _ in in_threads(add, missing):
                progress.step()
        _flush((*rows.values(), table), partial)
    finally:
        for handle in (*rows.values(), table):
            os.close(handle)
    recipe.backbone.to("cpu")
    return_freed_memory()
    if any(ranks.gather(ranks.is_asked_to_stop, patient=True)):
        log.info("features: asked to stop; the next run continues the build in %s", partial)
        raise Stopped
    if ranks.is_first:
        _complete(partial, final, recipe.describe(images.sizes) | {"images": images.names})
    ranks.barrier()


def _complete(partial: Path, final: Path, description: dict[str, object]) -> None:
    """Rename the finished store, unless another process has built the same one meanwhile."""
    try:
        if not (partial / CHECKSUMS).is_file() and not final.is_dir():
            raise FileNotFoundError(partial)
        try:
            files.write_json(partial / "recipe.json", description)
        except DataError:
            # where leases do not exclude other runs, one that begins removes our temporary file as a killed process's
            files.write_json(partial / "recipe.json", description)
        partial.replace(final)
        log.info("features: %s complete", final)
    except FileNotFoundError as error:
        if not final.is_dir():
            raise DataError(_removed(final)) from error
    except (OSError, DataError) as error:
        if not final.is_dir():
            raise DataError(f"{final}: cannot be written: {error}; paths.store=FOLDER") from error
        log.info("features: %s was completed by another process", final)
        shutil.rmtree(partial, ignore_errors=True)


def _removed(final: Path) -> str:
    return (
        f"{final}: was removed while it was built (by make clean-store?); the same command builds it again, and "
        "nothing else is missing"
    )


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
            "; an interrupted build is continued" if resumed else "",
        )
        if needed > free and disk.total:  # a file system in memory may report 0
            raise DataError(
                f"{partial.parent}: the features need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free.\n"
                "  store them elsewhere  paths.store=FOLDER\n"
                f"  remove old ones       make clean-store STORE={partial.parents[1]}"
            )
        for size, count in counts.items():
            files.reserve(partial / file_name(size), count * recipe.row_bytes(size))
        files.reserve(partial / CHECKSUMS, images * 8)
    except OSError as error:
        if not resumed:
            shutil.rmtree(partial, ignore_errors=True)
        raise DataError(
            f"{partial}: {needed / 1e9:.2f} GB cannot be allocated: {error.strerror}; paths.store=FOLDER"
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
        raise DataError(f"{folder}: writing features failed: {error}; the next run continues the build") from error


def _flush(handles: tuple[int, ...], folder: Path) -> None:
    try:
        for handle in handles:
            os.fsync(handle)
    except OSError as error:
        raise DataError(f"{folder}: writing features failed: {error}; the next run continues the build") from error
