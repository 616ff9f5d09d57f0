"""What a training records of its data sets, and what is said of it later."""

from __future__ import annotations

import json

import pytest

from entreg.data.fingerprint import Fingerprint, digests_of
from entreg.errors import DataError
from entreg.runs.folder import RunFolder
from entreg.study import changed_sets


def a_set(content: str = "aa", rows: str = "1 bb") -> Fingerprint:
    return Fingerprint({"a.png": content}, {"a.png": rows}, {"outside the image": 2}, {"limit": None}, "stretched")


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    changed_sets.record(RunFolder(tmp_path), {"data": a_set(), "ood.x": a_set()})
    return RunFolder(tmp_path)


def test_what_was_recorded_is_read_again(folder):
    sets = {"data": a_set(), "ood.x": a_set()}
    assert changed_sets.recorded(folder, digests_of(sets)) == sets


def test_a_run_of_an_earlier_version_recorded_none(tmp_path):
    assert changed_sets.recorded(RunFolder(tmp_path), {"data": "0" * 64, "weights": "1" * 64}) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["data"]["images"].update({"a.png": "ab"}),
        lambda tree: tree["ood.x"]["dropped"].update({"outside the image": 3}),
        lambda tree: tree.pop("data"),
        lambda tree: tree["data"].pop("geometry"),
        lambda tree: tree.update({"data": None}),
    ],
)
def test_a_file_that_does_not_belong_to_the_checkpoint_is_refused(folder, change):
    tree = json.loads(folder.fingerprints.read_text())
    change(tree)
    folder.fingerprints.write_text(json.dumps(tree))
    with pytest.raises(DataError, match=rf"^{folder.fingerprints}: .*; restore it"):
        changed_sets.recorded(folder, digests_of({"data": a_set(), "ood.x": a_set()}))


def test_sets_that_changed_are_named_and_new_ones_have_nothing_to_be_compared_with():
    now = {"data": a_set(content="xx", rows="2 cc"), "ood.x": a_set(), "ood.new": a_set(content="zz")}
    changes = changed_sets.since({"data": a_set(), "ood.x": a_set()}, now)
    assert changes.keys() == {"data"}
    said = "data: 1 of 1 images has other content (a.png), 2 fixations instead of 1 (on a.png)"
    assert changed_sets.in_words(changes) == said
