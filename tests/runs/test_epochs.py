"""How far a training has come, as its tables and its lease say."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import datetime, timedelta

import pytest

from entreg.io.leases import Owner
from entreg.runs.epochs import epochs_of, worker_of
from entreg.runs.folder import RunFolder

NOON = datetime(2026, 11, 30, 12)


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    """A training that has ended its third of ten epochs at noon; they took 10, 20 and 30 s."""
    folder = RunFolder(tmp_path)
    folder.config.parent.mkdir()
    folder.config.write_text("task:\n  name: train\noptim:\n  epochs: 99\ntrainer:\n  batch_size: 3\n  epochs: 10\n")
    rows = [f"{i},{ig},{seconds}\n" for i, (ig, seconds) in enumerate([(0.1, 10), (0.2, 20), (0.25, 30)], 1)]
    folder.metrics.write_text("epoch,validation_ig_bits_per_fixation,seconds\n" + "".join(rows))
    os.utime(folder.metrics, (NOON.timestamp(), NOON.timestamp()))
    return folder


def test_the_expected_end_rests_on_the_mean_of_the_last_epochs(folder):
    """Seven epochs are left, and one takes 20 s on average."""
    epochs = epochs_of(folder)
    assert (epochs.done, epochs.planned, epochs.seconds, epochs.ig_bits) == (3, 10, 60, 0.25)
    assert epochs.expected_end == NOON + timedelta(seconds=140)


@pytest.mark.parametrize("text", ["", "epoch,seconds\n1,2\n", "epoch,validation_ig_bits_per_fixation,seconds\n1,x,2\n"])
def test_a_table_that_cannot_be_read_holds_no_epochs(folder, text):
    folder.metrics.write_text(text)
    assert epochs_of(folder) == (0, 10, 0, None, None)
    assert epochs_of(RunFolder(folder.path / "nowhere")) == (0, None, 0, None, None)


def test_a_heartbeat_of_the_last_five_minutes_means_a_worker(folder):
    elsewhere = Owner("node7", "another boot", 1, None, "12", 0, "2026-11-30 11:00:00", "token")
    folder.owner.write_text(json.dumps(asdict(elsewhere)))
    for age_s, lives in ((10, True), (299, True), (301, False)):
        beat = NOON.timestamp() - age_s
        os.utime(folder.owner, (beat, beat))
        worker = worker_of(folder, NOON)
        assert (worker is not None) is lives
        assert worker is None or worker == ("node7", NOON - timedelta(hours=1))


def test_a_process_of_this_machine_that_has_ended_works_on_nothing(folder):
    here = asdict(Owner.this_process())
    folder.owner.write_text(json.dumps(here))
    now = datetime.now()
    assert worker_of(folder, now).host == here["host"]
    folder.owner.write_text(json.dumps(here | {"born": "0"}))
    assert worker_of(folder, now) is None
    folder.owner.unlink()
    assert worker_of(folder, now) is None
