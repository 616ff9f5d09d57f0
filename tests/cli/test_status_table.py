"""What `status` prints."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from entreg.cli.status import RunStatus
from entreg.cli.status_table import as_json, as_text, duration

RUN = RunStatus(0, "seed=0", "running", "epoch 3 of 25", "7_0", "node1", 3661.9, 0.12345, "m/s/0", "m/s/0/train.log")


@pytest.mark.parametrize("seconds, text", [(None, ""), (0.9, "0:00:00"), (3661.9, "1:01:01"), (90000, "25:00:00")])
def test_a_duration_in_hours_minutes_and_seconds(seconds, text):
    assert duration(seconds) == text


def test_a_line_for_each_run_and_the_logs_of_those_that_failed():
    failed = replace(RUN, run=1, state="failed", about="it broke", log="m/s/1/train.log")
    head, first, second, log, counts = as_text([RUN, failed], None).splitlines()
    assert head.split()[:6] == ["run", "overrides", "state", "job", "node", "elapsed"]
    assert first.split() == ["0", "seed=0", "running:", "epoch", "3", "of", "25", "7_0", "node1", "1:01:01", "0.1235"]
    assert "failed: it broke" in second and log == "log of run 1: m/s/1/train.log"
    assert counts == "2 runs: 1 running, 1 failed"


def test_many_runs_are_summed_up_by_arm():
    runs = [
        replace(RUN, run=i, overrides=f"loss={loss} seed={i}", state="queued" if i % 2 else "finished")
        for loss in ("nll", "nll_entropy")
        for i in range(50)
    ]
    head, *arms, counts = as_text(runs, None).splitlines()
    assert head.split() == ["arm", "finished", "queued"]
    assert [line.split() for line in arms] == [["loss=nll", "25", "25"], ["loss=nll_entropy", "25", "25"]]
    assert counts == "100 runs: 50 finished, 50 queued"


def test_json_holds_everything():
    content = json.loads(as_json([RUN], "SLURM does not answer"))
    assert content["slurm"] == "SLURM does not answer" and content["runs"][0]["job"] == "7_0"
    assert content["runs"][0]["validation_ig_bits_per_fixation"] == 0.12345
