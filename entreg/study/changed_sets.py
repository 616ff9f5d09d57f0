"""The data sets of a run as they were when it was trained, and how they have changed since."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from entreg.data.fingerprint import Change, Fingerprint, digests_of
from entreg.errors import DataError, brief
from entreg.io import files
from entreg.runs.folder import RunFolder

Sets = Mapping[str, Fingerprint]  # by key: `data`, `sets.NAME`, `ood.NAME`


def is_trained_on(key: str) -> bool:
    """Return whether a set of this key is one that a run learns from, and no foreign one."""
    return not key.startswith("ood.")


def record(folder: RunFolder, sets: Sets) -> None:
    """Write the fingerprints, image by image, into the folder of a training. Its checkpoints hold their digests."""
    files.write_json(folder.fingerprints, {key: dataclasses.asdict(of_set) for key, of_set in sets.items()})


def recorded(folder: RunFolder, digests: Mapping[str, str]) -> dict[str, Fingerprint]:
    """Return the fingerprints that a training recorded; none where an earlier version of entreg began it.

    Raises a DataError where the file is not the one that belongs to the checkpoint.

    digests: the fingerprints in the checkpoint
    """
    if not any(key.endswith(".images") for key in digests):
        return {}
    try:
        sets = {key: Fingerprint(**of_set) for key, of_set in files.read_json(folder.fingerprints).items()}
        found = digests_of(sets)
        missing = any(key.endswith(".images") and is_trained_on(key) and key not in found for key in digests)
        if missing or any(digests.get(key) != digest for key, digest in found.items()):
            raise ValueError("it was changed after the training")
    except DataError:
        raise
    except Exception as error:  # a malformed tree raises errors of many kinds
        raise DataError(f"{folder.fingerprints}: {brief(error)}; {files.WAY_OUT}") from error
    return sets


def since(then: Sets, now: Sets) -> dict[str, list[Change]]:
    """Return how each data set has changed, by key; those that did not change, or are not in both, have no key."""
    found = {key: then[key].changes(now[key], trained_on=is_trained_on(key)) for key in then if key in now}
    return {key: changes for key, changes in found.items() if changes}


def in_words(changes: Mapping[str, Sequence[Change]]) -> str:
    """Return what has changed, set by set."""
    return "; ".join(f"{key}: {', '.join(change.words for change in of_set)}" for key, of_set in changes.items())
