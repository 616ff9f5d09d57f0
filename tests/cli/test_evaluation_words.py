"""The words of the evaluation that follows a sweep."""

from __future__ import annotations

from entreg.cli.evaluation_words import words_of
from entreg.runs.folder import SweepFolder


def test_it_is_told_where_and_how_as_far_as_the_jobs_share_it(tmp_path):
    jobs = [
        [
            f"seed={seed}",
            "experiment=osie",
            "paths.store=a",
            "hardware=cpu",
            f"hardware.threads={seed}",
            "evaluation.bootstrap=50",
            "allow=[mine]",
        ]
        for seed in (0, 1)
    ]
    kept = ["experiment=osie", "paths.store=a", "hardware=cpu", "evaluation.bootstrap=50", "allow=[mine]"]
    assert words_of(jobs, SweepFolder(tmp_path)) == [*kept, "task=evaluate", f"runs='{tmp_path}'"]


def test_what_was_trained_is_read_from_the_runs(tmp_path):
    """A group that was typed would replace what the sweep varies within it: all lambdas would be one."""
    jobs = [["loss=nll_entropy", f"loss.lambda_entropy={value}", "data.images=20", "task=train"] for value in (0, 1)]
    assert words_of(jobs, SweepFolder(tmp_path)) == ["task=evaluate", f"runs='{tmp_path}'"]


def test_the_primary_outcome_is_what_the_runs_recorded(tmp_path):
    """Typed for an evaluation it would count as chosen after the training."""
    jobs = [["+evaluation.primary.arm={loss.name:nll}", "evaluation.primary.metric=nss", "evaluation.seed=3"]]
    assert words_of(jobs, SweepFolder(tmp_path))[0] == "evaluation.seed=3"
