"""Published numbers say where they come from and why they are not this study's."""

from __future__ import annotations

import re

import pytest

from entreg.report.literature import MIT1003_FOLD, PUBLISHED, comparable
from tests.conftest import ROOT


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.model}, {row.data}")
def test_every_row_has_a_source_and_says_how_it_differs(row):
    assert re.fullmatch(r"https://(arxiv\.org/abs/\d{4}\.\d{5}|github\.com/matthias-k/DeepGaze/.+README\.md)", row.link)
    assert re.search(r" \(?\d{4}\)?$", row.source) and row.differs.endswith(".") and len(row.differs) > 40
    assert row.prior and any((row.ig, row.auc, row.nss))


def test_only_a_study_of_the_same_data_set_is_held_against_the_table():
    assert "this study uses the same data set" in comparable("mit1003") and "KDE prior" in comparable("mit1003")
    assert comparable("osie") == (
        "In domain this study uses other data (osie), so none of its numbers can be compared directly with a row."
    )


def test_the_fold_of_the_table_is_the_default_one():
    """101 of 1003 images, cut by the settings that data=mit1003 has."""
    settings = (ROOT / "conf/data/mit1003.yaml").read_text()
    assert not re.search(r"^(folds|fold|split_seed):", settings, re.MULTILINE)
    assert MIT1003_FOLD.startswith("MIT1003, fold 0 of 10: 101 images")
