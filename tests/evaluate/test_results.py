"""What is said of an arm beside its means: stability, shares of the explainable, categories."""
from pathlib import Path
from types import SimpleNamespace

import pytest

from entreg.config import Config, Data, Loss
from entreg.evaluate.results import Category, by_category, explained
from entreg.evaluate.runs import Run
from entreg.run.folder import RunFolder


def mean(value):
    return SimpleNamespace(mean=value)


def history(*rows):
    keys = ("train_nll_nats", "validation_nll_nats")
    return Run(RunFolder(Path("x")), Config(data=Data(name="x"), loss=Loss(name="nll")), {"history": [dict(zip(keys, r)) for r in rows]})


@pytest.mark.parametrize("last, diverged", [((11.0, 11.5), False), ((12.5, 11.5), True), ((11.0, 12.1), True)])
def test_a_run_has_diverged_where_a_final_loss_is_above_the_first_epochs(last, diverged):
    found = history((12.0, 12.0), (11.2, 11.3), last).stability()
    assert found["diverged"] is diverged and found["epochs"] == 3
    assert found["best_validation_nll_nats"] == 11.3
    assert found["last_minus_best_nats"] == pytest.approx(last[1] - 11.3)


def test_the_share_of_the_explainable_is_a_ratio_of_means():
    """1 of 2 and 3 of 3 bit: 4/5 together, where the mean of the ratios would be 3/4."""
    means = {"ig_bits_per_fixation": mean((1 + 3) / 2), "gold_ig_bits_per_fixation": mean((2 + 3) / 2)}
    assert explained(means) == {"share_of_gold": pytest.approx(0.8)}
    assert explained(means | {"gold_ig_bits_per_fixation": mean(-0.1)}) == {}


def test_categories_are_averaged_over_seeds_then_images():
    seeds = [
        [{"category": c, "ig_bits_per_fixation": v + shift} for c, v in (("Art", 1.0), ("Social", 5.0), ("Art", 2.0))]
        for shift in (0.0, 1.0)
    ]
    assert by_category(seeds) == {"Art": Category(2.0, 2), "Social": Category(5.5, 1)}
    assert by_category([[{"category": None, "ig_bits_per_fixation": 1.0}]]) == {}
