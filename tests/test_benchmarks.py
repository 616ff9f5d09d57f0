"""The benchmarks still run: what they time is a user's commands, which change."""

import pytest

from benchmarks import study


@pytest.mark.slow
def test_a_whole_study_is_timed(tmp_path):
    found = study.measure(tmp_path, images=18, ood_images=6, epochs=1)
    parts = found["study_store_and_start_minutes"] + found["study_epochs_minutes"] + found["study_evaluation_minutes"]
    assert found["study_minutes"] == pytest.approx(parts)
    beyond = 100 * (1 - found["study_store_and_start_minutes"] / found["study_minutes"])
    assert found["study_beyond_store_percent"] == pytest.approx(beyond)
    assert 0 < found["study_epochs_minutes"] < found["study_minutes"] and found["study_rss_anon_gb"] > 0.1
