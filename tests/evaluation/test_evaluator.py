"""What is computed from some runs: a row for each image, adaptations, and how far it is."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from entreg import progress

pytestmark = pytest.mark.usefixtures("one_thread")


def test_in_a_log_scoring_says_how_far_it_is(run_of, evaluator_of, left, caplog, monkeypatch):
    monkeypatch.setattr(progress, "TOLD_EVERY_S", 0)
    with caplog.at_level(logging.INFO):
        evaluator_of(run_of(77))
    told = [record.getMessage().split(",")[0] for record in caplog.records if record.name == "entreg.progress"]
    scored = [line for line in told if line.startswith("scoring on ")]
    assert len(scored) == sum(map(len, left.values()))
    count = len(left["ood.foreign"])
    assert scored[-1] == f"scoring on foreign: {count} of {count} images"
    assert "adapting to foreign: 1 of 1 runs" in told


def test_every_run_has_a_row_for_every_image(evaluator, left):
    table = evaluator.table()
    assert len(table) == 3 * sum(map(len, left.values()))
    assert {(row["arm"], row["seed"]) for row in table} == {("nll", 0), ("nll", 1), ("nll_entropy", 0)}
    by_run = evaluator.evidence()["nll"].rows["ood.foreign"]
    for seed in (0, 1):
        rows = [row for row in table if (row["arm"], row["seed"], row["domain"]) == ("nll", seed, "ood.foreign")]
        assert [row["ig_bits_per_fixation"] for row in rows] == [row["ig_bits_per_fixation"] for row in by_run[seed]]
    assert by_run[0][0]["ig_bits_per_fixation"] != by_run[1][0]["ig_bits_per_fixation"]


def test_models_are_adapted_to_foreign_sets_alone_and_begin_with_the_gain_that_they_have(evaluator):
    for arm, evidence in evaluator.evidence().items():
        assert list(evidence.adapted) == ["ood.foreign"]
        for rows, adapted in zip(evidence.rows["ood.foreign"], evidence.adapted["ood.foreign"], strict=True):
            gains = [row["ig_bits_per_fixation"] for row in rows]
            np.testing.assert_allclose(adapted.ig_bits[()], gains, atol=1e-5, err_msg=arm)
            assert len(adapted.fits[("scale",)]) == 5  # folds
    # of millions of fixations it is hundreds of MB, and nothing else needs it
    assert not [stage for stage, _ in evaluator.runs.cache.made if stage == "adaptation_data"]
