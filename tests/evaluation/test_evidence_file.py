"""What an evaluation saves to be computed again; docs/recompute.py does it in tests/tasks/test_evaluate.py."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.evaluation import evidence_file
from tests.evaluation.photos import FIXATIONS

pytestmark = pytest.mark.usefixtures("one_thread")


def test_each_run_s_densities_at_the_fixations_some_maps_and_bias_maps(evaluator, left):
    saved = evidence_file.arrays_of(evaluator)
    runs = [run for arm in evaluator.runs.arms for run in arm.runs]
    assert saved["runs"].tolist() == [str(run.folder) for run in runs]
    for domain, names in left.items():
        assert saved[f"priors/{domain}"].tolist() == [0, 0, 0]  # all have the first one's
        for number in range(len(runs)):
            assert saved[f"at/{domain}/{number}"].shape == (FIXATIONS * len(names),)
            kept = [i for i in range(len(names)) if f"map/{domain}/{number}/{i}/grid" in saved]
            assert len(kept) == min(5, len(names)) and {0, len(names) - 1} <= {*kept}
            key = f"map/{domain}/{number}/0"
            grid, rows, columns = (saved[f"{key}/{part}"] for part in ("grid", "rows", "columns"))
            assert (np.exp(grid) * rows[:, None] * columns).sum() == pytest.approx(1, abs=1e-4)
            full = grid.repeat(rows, 0).repeat(columns, 1)
            assert np.array_equal(
                full[saved[f"{key}/y"], saved[f"{key}/x"]], saved[f"at/{domain}/{number}"][:FIXATIONS]
            )
    assert saved["bias/2/without/grid"].shape == saved["bias/0/with/grid"].shape
