"""results.json is read as what was written, or refused with the place of what is wrong."""

from __future__ import annotations

import json

import pytest

from entreg.errors import DataError, UserError
from entreg.results import reading, writing
from tests.report.findings import findings
from tests.report.set_matrix import content_of


@pytest.fixture
def results(tmp_path):
    return findings(tmp_path / "sweep", foreign=2, parts={"scale": 0.04}, categories=True, labels=()).results


def test_what_is_written_is_read(results, tmp_path):
    writing.write(tmp_path / "results.json", results)
    read = reading.read(tmp_path / "results.json")
    assert writing.plain(read) == json.loads(json.dumps(writing.plain(results)))
    assert (
        read.arms["nll"].domains["ood.beyond"].metrics["nss"].mean
        == results.arms["nll"].domains["ood.beyond"].metrics["nss"].mean
    )
    assert read.comparisons["nll_entropy"].entropy.keys() == results.comparisons["nll_entropy"].entropy.keys()
    assert read.main_arm == "nll_entropy"


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda tree: tree.pop("arms"), "results has no arms"),
        (lambda tree: tree["arms"]["nll"].pop("sigma_px"), "results.arms.nll has no sigma_px"),
        (lambda tree: tree["arms"]["nll"].update(folds="one"), "results.arms.nll.folds is one, which is no int"),
        (lambda tree: tree["data"].update(in_domain=7), "results.data.in_domain is 7, which is no dict"),
        (
            lambda tree: tree["arms"]["nll"].update(seeds=[True]),
            r"results.arms.nll.seeds\[0\] is True, which is no int",
        ),
    ],
)
def test_another_form_is_refused_with_its_place(results, tmp_path, change, named):
    tree = writing.plain(results)
    change(tree)
    (tmp_path / "results.json").write_text(json.dumps(tree))
    with pytest.raises(DataError, match=rf"results.json: {named}; "):
        reading.read(tmp_path / "results.json")


def test_a_matrix_from_before_arms_were_compared_row_by_row_is_read(tmp_path):
    tree = writing.plain(content_of(tmp_path / "sweep", main="a").results)
    assert [bool(arm.pop("against_baseline")) for arm in tree["matrix"]["arms"].values()] == [False, True]
    (tmp_path / "results.json").write_text(json.dumps(tree))
    found = reading.read(tmp_path / "results.json").matrix.arms
    assert [arm.against_baseline for arm in found.values()] == [None, None]


def test_results_from_before_rows_were_counted_are_read(results, tmp_path):
    tree = writing.plain(results)
    for data in tree["data"].values():
        assert data.pop("rows")["dropped"]
    (tmp_path / "results.json").write_text(json.dumps(tree))
    assert all(data.rows is None for data in reading.read(tmp_path / "results.json").data.values())


def test_another_format_and_what_is_no_object_are_refused(results, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(writing.plain(results) | {"format": 1}))
    with pytest.raises(
        UserError, match="has format 1, but this version of entreg reads format 2; evaluate the runs again"
    ):
        reading.read(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="results.json: results is .*, which is no dict"):
        reading.read(path)
