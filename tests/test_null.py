"""Nothing differs but the seed: how often two groups of trainings of one arm are called different."""

from __future__ import annotations

import csv
from itertools import combinations, product

import numpy as np
import pytest

from entreg.evaluation.statistics import crossed_unpaired, over_images


@pytest.mark.slow
def test_three_baseline_trainings_against_three_others_of_the_embedded_study(command, tmp_path, capsys):
    """All 280 pairings of eight real trainings; few, since they share their images: a bar against gross errors only."""
    seeds = range(8)
    for words in (
        ("-m", "loss=nll", "seed=0,1,2,3", "study=first"),
        ("-m", "loss=nll", "seed=4,5,6,7", "study=second"),
        ("task=evaluate", "runs=multirun/*", f"hydra.run.dir={tmp_path}/evaluation"),
    ):
        ended = command(*words, folder=tmp_path, timeout_s=1800)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    with (tmp_path / "evaluation/per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    pairs = product(combinations(seeds, 3), repeat=2)
    trios = [(list(a), list(b)) for a, b in pairs if a < b and not set(a) & set(b)]
    assert len(trios) == 280
    for domain in sorted({row["domain"] for row in rows}):
        values = np.array(
            [
                [
                    float(row["ig_bits_per_fixation"])
                    for row in rows
                    if (row["domain"], row["seed"]) == (domain, str(seed))
                ]
                for seed in seeds
            ]
        )
        called = np.mean([crossed_unpaired([values[a]], [values[b]]).p < 0.05 for a, b in trios])
        images_alone = np.mean([over_images(values[a].mean(0) - values[b].mean(0)).p < 0.05 for a, b in trios])
        with capsys.disabled():
            print(
                f"\n{domain}, {values.shape[1]} images: {called:.1%} of 280 pairings called different; "
                f"by an interval over images alone {images_alone:.1%}"
            )
        assert called <= 0.25
