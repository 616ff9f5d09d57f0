"""What a data set is recognised by, and in what words a change is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from entreg.config import Data
from entreg.data.dataset import DataSet, Stimulus, sorted_fixations
from entreg.data.fingerprint import FIXATIONS, GEOMETRY, IMAGES, Fingerprint, digests_of, fingerprint_of
from entreg.data.geometry import Geometry, resize

NAMES = ("a.png", "b.png", "c.png")
ROWS = [(0, 1.0, 2.0), (0, 3.0, 4.0), (1, 5.0, 6.0), (2, 7.0, 8.0)]  # image, x, y


def fingerprint(
    rows=ROWS, names=NAMES, digests=("aa", "bb"), people=None, dropped=0, limit: int | None = 2, mode="stretch"
) -> Fingerprint:
    """Of three images, of which the first two are used."""
    stimuli = tuple(Stimulus(name, Path(name), 60, 80) for name in names)
    image, x, y = (np.array(column) for column in zip(*rows, strict=True))
    fixations, _ = sorted_fixations(stimuli, image, x, y, None if people is None else np.array(people))
    resized = resize(DataSet("set", stimuli, fixations, {"outside": dropped}), Geometry(mode, 64, 48))
    return fingerprint_of(resized, range(len(digests)), digests, Data(name="set", limit=limit))


def words(now: Fingerprint, trained_on: bool = True, then: Fingerprint | None = None) -> list[tuple[str, str]]:
    found = (then or fingerprint()).changes(now, trained_on=trained_on)
    return [dataclasses.astuple(change) for change in found]


def test_what_is_read_anew_is_recognised():
    assert words(fingerprint()) == [] and fingerprint().digests() == fingerprint().digests()
    assert digests_of({"data": fingerprint()}).keys() == {"data.images", "data.fixations", "data.geometry"}
    assert fingerprint().fixations.keys() == set(NAMES) and fingerprint().fixations["a.png"].startswith("2 ")


@pytest.mark.parametrize(
    "now, kind, said",
    [
        ({"digests": ("aa", "xx")}, IMAGES, "1 of 2 images has other content (b.png)"),
        ({"digests": ("xx", "yy")}, IMAGES, "2 of 2 images have other content (a.png, b.png)"),
        ({"digests": ("aa",)}, IMAGES, "1 of 2 images is missing (b.png)"),
        ({"digests": ("aa", "bb", "cc")}, IMAGES, "1 of 3 images is new (c.png)"),
        ({"rows": ROWS[1:]}, FIXATIONS, "3 fixations instead of 4 (on a.png)"),
        ({"rows": [*ROWS, (2, 1.0, 1.0)]}, FIXATIONS, "5 fixations instead of 4 (on c.png)"),
        ({"rows": [*ROWS[:3], (2, 7.0, 8.5)]}, FIXATIONS, "4 fixations, other ones (on c.png)"),
        ({"rows": [ROWS[1], ROWS[0], *ROWS[2:]]}, FIXATIONS, "4 fixations, other ones (on a.png)"),
        ({"people": [1, 1, 2, 2]}, FIXATIONS, "4 fixations, other ones (on a.png, b.png, c.png)"),
        ({"dropped": 1}, FIXATIONS, "dropped fixations: 1 outside; then 0 outside"),
    ],
    ids=str,
)
def test_each_change_is_named_and_changes_the_digest_of_its_kind(now, kind, said):
    changed = fingerprint(**now)
    assert words(changed) == [(kind, said)]
    before, after = fingerprint().digests(), changed.digests()
    assert {name for name in before if before[name] != after[name]} == {kind}


def test_a_renamed_image_and_another_order_are_changes():
    assert words(fingerprint(names=("a.png", "z.png", "c.png"))) == [
        (IMAGES, "1 of 2 images is missing (b.png)"),
        (IMAGES, "1 of 2 images is new (z.png)"),
        (FIXATIONS, "4 fixations, other ones (on b.png, z.png)"),
    ]
    then = fingerprint(rows=[(2, 7.0, 8.0)])
    now = fingerprint(rows=[(2, 7.0, 8.0)], names=("b.png", "a.png", "c.png"), digests=("bb", "aa"))
    assert words(now, then=then) == [(IMAGES, "the images come in another order")]


def test_a_foreign_set_may_be_judged_in_another_geometry_and_in_part_but_not_what_was_trained_on():
    part = fingerprint(digests=("aa",), limit=1, mode="crop")
    assert words(part, trained_on=False) == []
    assert [kind for kind, _ in words(part)] == [IMAGES, GEOMETRY]
    part = fingerprint(digests=("xx",), limit=1)
    assert words(part, trained_on=False) == [(IMAGES, "1 of 1 images has other content (a.png)")]


def test_a_message_names_three_images_and_counts_the_others():
    then = dataclasses.replace(fingerprint(), images={f"{i}.png": "aa" for i in range(5)})
    now = dataclasses.replace(then, images=dict.fromkeys(then.images, "bb"))
    assert words(now, then=then) == [(IMAGES, "5 of 5 images have other content (0.png, 1.png, 2.png and 2 more)")]
