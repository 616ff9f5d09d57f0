"""Results as a table: each row is an arm's metric in a domain, beside its difference to the baseline."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np

from entreg.results import frame
from entreg.results.schema import Difference, Estimate, MetricDescription

NSS = MetricDescription("nss", "NSS", "standard deviations", "higher", True, "", "nss_difference")
ESTIMATE = Estimate(1.5, None, (1.0, 2.0), None, None, None, None, 7, 3, None)
SINGLE = dataclasses.replace(ESTIMATE, ci95=None)
DIFFERENCE = Difference(
    0.5, None, (0.25, 0.75), 0.01, None, None, None, 7, 3, None, "paired by seed", None, 0.02, "better", False
)


def test_a_row_holds_a_metric_its_interval_and_its_difference():
    arms = {
        arm: SimpleNamespace(domains={"in_domain": SimpleNamespace(metrics={"nss": estimate})})
        for arm, estimate in {"nll": SINGLE, "nll_entropy": ESTIMATE}.items()
    }
    compared = SimpleNamespace(domains={"in_domain": SimpleNamespace(differences={"nss_difference": DIFFERENCE})})
    results = SimpleNamespace(arms=arms, comparisons={"nll_entropy": compared}, metrics={"nss": NSS})
    baseline, regularised = frame.of(results).to_dict("records")
    assert regularised == {
        "arm": "nll_entropy",
        "domain": "in_domain",
        "metric": "nss",
        "unit": "standard deviations",
        "mean": 1.5,
        "low": 1.0,
        "high": 2.0,
        "n_images": 7,
        "n_seeds": 3,
        "difference": 0.5,
        "difference_low": 0.25,
        "difference_high": 0.75,
        "p_holm": 0.02,
        "verdict": "better",
        "exploratory": False,
    }
    assert baseline["arm"] == "nll" and np.isnan([baseline["low"], baseline["high"], baseline["difference"]]).all()
