"""What a run recorded of itself: what is taken for it, and what is said of everything else."""

import dataclasses
import re

import pytest

from entreg.config import Primary
from entreg.runs import records

PLAN = {"primary": dataclasses.asdict(Primary()), "ood": {"foreign": {"name": "foreign"}}}


@pytest.mark.parametrize(
    "test, content",
    [
        (records.words, []),
        (records.words, ["loss=nll", "seed=1"]),
        (records.jobs, [["loss=nll"], []]),
        (records.jobs, [{"words": ["loss=nll"], "folder": "nll/s0"}]),
        (records.submissions, [{"job": "7", "runs": [[0, 2], [1]]}]),
        (records.ending, {"how": "it was cancelled", "job": "7"}),
        (records.starts, [{"git_commit": None, "features": None}]),
        (records.starts, [{"git_commit": "f7f6", "code": "x", "features": {"convolution": "direct", "taps": []}}]),
        (records.starts, [{"features": "float32 products, direct convolution"}]),
        (records.plan, PLAN),
        (records.plan, PLAN | {"primary": {}}),
        (records.plan, PLAN | {"ood": {}}),
        (records.row, {"validation_ig_bits_per_fixation": "-0.5"}),
    ],
)
def test_what_runs_record_is_taken(test, content):
    assert test(content) is None


@pytest.mark.parametrize(
    "test, content, said",
    [
        (records.words, None, "no words"),
        (records.words, [1], "no words"),
        (records.words, "seed=1", "no words"),
        (records.jobs, {}, "no jobs"),
        (records.jobs, [{"words": [], "folder": "/etc"}], "no jobs"),
        (records.jobs, [{"words": [], "folder": "a/../../b"}], "no jobs"),
        (records.jobs, [{"words": []}], "no jobs"),
        (records.submissions, [{"job": "--me", "runs": []}], "no jobs of SLURM"),
        (records.submissions, [{"job": "7", "runs": [["0"]]}], "no jobs of SLURM"),
        (records.ending, [], "no way of ending"),
        (records.starts, [], "no entry for each start"),
        (records.starts, [None], "no entry for each start"),
        (records.starts, [{"git_commit": 7}], "are no names"),
        (records.starts, [{"features": 7}], "are no names"),
        (records.starts, [{"features": {"convolution": []}}], "are no names"),
        (records.plan, None, "no primary outcome"),
        (records.plan, {"primary": {}}, "no foreign sets by name"),
        (records.plan, {"primary": {}, "ood": {"a": 1}}, "no foreign sets by name"),
        (records.plan, PLAN | {"primary": {"prior": "none"}}, "its primary outcome is invalid .prior=none is out of"),
        (records.plan, PLAN | {"primary": {"more": 1}}, "its primary outcome is invalid .*more"),
        (records.plan, PLAN | {"primary": {"domain": []}}, "its primary outcome is invalid"),
        (records.row, None, "no information gain"),
        (records.row, {}, "no information gain"),
        (records.row, {"validation_ig_bits_per_fixation": "one"}, "no information gain"),
    ],
)
def test_of_anything_else_it_is_said_why(test, content, said):
    assert re.search(said, test(content))


def test_the_reason_of_a_failure_is_its_first_line_or_the_last_of_a_traceback():
    assert records.reason("MIT1003 is not at data: no folder.\n  have it elsewhere   data.root=PATH\n") == (
        "MIT1003 is not at data: no folder."
    )
    traceback = 'rank 3 failed:\nTraceback (most recent call last):\n  File "x.py", line 1\nValueError: it broke\n'
    assert records.reason(traceback) == "ValueError: it broke"
    assert records.reason("\n") == ""
