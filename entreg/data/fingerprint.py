"""The fingerprint of a data set: by it, a change after a training is noticed and named, image by image."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from entreg.config import Data
from entreg.data.geometry import Resized
from entreg.errors import brief

IMAGES, FIXATIONS, GEOMETRY = "images", "fixations", "geometry"  # what can have changed
NAMED = 3  # changed images that a message names; it counts the others


@dataclass(frozen=True)
class Change:
    """A difference between a data set then and now. kind: IMAGES, FIXATIONS or GEOMETRY; words: what differs."""

    kind: str
    words: str


@dataclass(frozen=True)
class Fingerprint:
    """What a data set holds, as it was read.

    images: by name, in their order, the SHA-256 of each image file that is used, and its category where it has one
    fixations: by name of each of the set's images, also of those that are not used, since priors are made of all: the
        number of fixations, and a hash of x, y (pixels of the stored image) and person in the order of the rows
    dropped: the number of fixations that were left out, by reason
    chosen: the settings that choose images; geometry: how images are brought to the model's size
    """

    images: dict[str, str]
    fixations: dict[str, str]
    dropped: dict[str, int]
    chosen: dict[str, int | None]
    geometry: str

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of the images, and that of the fixations with what was dropped; and the geometry."""
        return {
            IMAGES: _sha256([list(self.images.items()), self.chosen]),
            FIXATIONS: _sha256([list(self.fixations.items()), self.dropped]),
            GEOMETRY: self.geometry,
        }

    def changes(self, now: Fingerprint, *, trained_on: bool) -> list[Change]:
        """Return how the data set differs now.

        trained_on: whether it is the set that was trained on. A foreign set may be judged in another geometry, and
            other images of it may be chosen: then those that were chosen both times are compared.
        """
        then = self
        if then.chosen != now.chosen and not trained_on:
            then, now = _of_both(then, now), _of_both(now, then)
        found = [Change(IMAGES, words) for words in _other_images(then.images, now.images)]
        found += [Change(FIXATIONS, words) for words in _other_fixations(then.fixations, now.fixations)]
        if then.dropped != now.dropped:
            found.append(Change(FIXATIONS, f"dropped fixations: {_counts(now.dropped)}; then {_counts(then.dropped)}"))
        if trained_on and then.geometry != now.geometry:
            found.append(Change(GEOMETRY, f"the geometry is {now.geometry} instead of {then.geometry}"))
        return found


def fingerprint_of(resized: Resized, items: Sequence[int], digests: Sequence[str], settings: Data) -> Fingerprint:
    """Return the fingerprint of a data set.

    items: the images that are used; digests: the SHA-256 of the files of these; settings: those of the set
    """
    dataset = resized.dataset
    used = [dataset.stimuli[i] for i in items]
    rows = dataset.fixations
    ends = np.searchsorted(rows.image, np.arange(len(dataset.stimuli) + 1))
    columns = [rows.x, rows.y] if rows.subject is None else [rows.x, rows.y, np.asarray(rows.subject, dtype=np.int64)]
    return Fingerprint(
        {
            stimulus.name: digest if stimulus.category is None else f"{digest} {stimulus.category}"
            for stimulus, digest in zip(used, digests, strict=True)
        },
        {
            stimulus.name: f"{end - start} {_hash_of([column[start:end] for column in columns])}"
            for stimulus, start, end in zip(dataset.stimuli, ends[:-1], ends[1:], strict=True)
        },
        dict(dataset.dropped),
        {name: getattr(settings, name) for name in ("limit", "sample", "sample_seed")},
        repr(resized.geometry),
    )


def digests_of(fingerprints: Mapping[str, Fingerprint]) -> dict[str, str]:
    """Return the digests of each data set by full key, such as `ood.scene50.images`."""
    return {
        f"{key}.{part}": digest
        for key, fingerprint in fingerprints.items()
        for part, digest in fingerprint.digests().items()
    }


def _of_both(of: Fingerprint, other: Fingerprint) -> Fingerprint:
    """Return what two choices of one set's images have in common, as the first of the two has it."""
    return dataclasses.replace(of, images={name: of.images[name] for name in of.images if name in other.images})


def _other_images(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    gone, new = [name for name in then if name not in now], [name for name in now if name not in then]
    other = [name for name in then if name in now and then[name] != now[name]]
    found = []
    for names, of, one, many in (
        (other, then, "has other content", "have other content"),
        (gone, then, "is missing", "are missing"),
        (new, now, "is new", "are new"),
    ):
        if names:
            found.append(f"{len(names)} of {len(of)} images {one if len(names) == 1 else many} ({_named(names)})")
    if not (gone or new) and list(then) != list(now):
        found.append("the images come in another order")
    return found


def _other_fixations(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if not names:
        return []
    total, before = (sum(int(value.split()[0]) for value in by_name.values()) for by_name in (now, then))
    counts = f"{total} fixations instead of {before}" if total != before else f"{total} fixations, other ones"
    return [f"{counts} (on {_named(names)})"]


def _named(names: Sequence[str]) -> str:
    first = ", ".join(map(brief, names[:NAMED]))
    return first + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _counts(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "none"


def _hash_of(columns: Sequence[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()[:32]


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
