"""Which sweep is the newest: by what runs and submissions recorded, and by dates of files only where nothing did."""

from __future__ import annotations

import os
import time

import pytest

from entreg.runs.folder import SweepFolder
from entreg.runs.newest_sweep import newest
from entreg.runs.submission import PlannedRun, Submission


@pytest.fixture
def sweep(tmp_path):
    """sweep(name, started, dated): a sweep of a run that recorded this start; the date of the sweep's record."""

    def make(name: str, started: str | None, dated: float) -> SweepFolder:
        sweep = SweepFolder(tmp_path / name)
        sweep.run(0).path.mkdir(parents=True)
        sweep.write_jobs([PlannedRun([], "0")])
        os.utime(sweep.jobs, (dated, dated))
        if started is not None:
            sweep.run(0).add_start({"started": started})
        return sweep

    return make


def test_records_count_more_than_dates(sweep):
    first = sweep("first", "2026-01-01T00:00:01+00:00", time.time())
    second = sweep("second", "2026-01-01T00:00:02+00:00", 1)
    assert newest([first, second]).path.name == newest([second, first]).path.name == "second"


def test_of_a_sweep_without_a_record_its_date_counts_unless_it_is_yet_to_come(sweep):
    old, future, planned = sweep("old", None, 1), sweep("future", None, 4_000_000_000), sweep("planned", None, 2)
    assert newest([old, future, planned]).path.name == "planned"
    assert newest([old, future]).path.name == "old"


def test_a_sweep_whose_jobs_wait_again_was_begun_when_they_were_submitted(sweep):
    """Its runs have been started before, and those of the other sweep since."""
    again, other = sweep("again", "2026-01-01T00:00:01+00:00", 1), sweep("other", "2026-01-01T00:00:02+00:00", 1)
    again.add_submission(Submission("7", [[0]]))
    assert newest([again, other]).path.name == "again"
    assert again.submissions() == [Submission("7", [[0]])]


def test_an_evaluation_makes_no_sweep_newer(sweep):
    judged, other = sweep("judged", "2026-01-01T00:00:01+00:00", 1), sweep("other", "2026-01-01T00:00:02+00:00", 1)
    judged.evaluation.path.mkdir()
    judged.evaluation.add_start({"started": "2026-01-01T00:00:03+00:00"})
    assert newest([judged, other]).path.name == "other"


def test_what_cannot_be_read_counts_as_not_recorded(sweep):
    good, bad = sweep("good", "2026-01-01T00:00:01+00:00", 1), sweep("bad", None, 1)
    bad.run(0).provenance.write_text("nonsense")
    bad.submitted.write_text("nonsense")
    assert newest([good, bad]).path.name == "good"
