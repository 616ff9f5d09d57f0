"""Results as a table of pandas."""

from __future__ import annotations

from typing import Any

import pandas as pd

from entreg.results.schema import Difference, Estimate, Results


def of(results: Results) -> pd.DataFrame:
    """Return a row for each arm, domain and metric.

    Its columns: arm, domain, metric, unit; mean, low and high, the ends of the 95 % interval; n_images, n_seeds; and of
    the difference to the arm's baseline, where there is one, difference, difference_low, difference_high, p_holm,
    verdict and exploratory. What is not known is missing (NaN or None).
    """
    rows = []
    for arm, of_arm in results.arms.items():
        compared_in = results.comparisons[arm].domains if arm in results.comparisons else {}
        for domain, measured in of_arm.domains.items():
            compared = compared_in.get(domain)
            for name, estimate in measured.metrics.items():
                metric = results.metrics[name]
                difference = compared.differences.get(metric.difference_key) if compared else None
                row = {"arm": arm, "domain": domain, "metric": name, "unit": metric.unit}
                rows.append(row | _estimated(estimate) | _compared(difference))
    return pd.DataFrame(rows)


def _estimated(estimate: Estimate) -> dict[str, Any]:
    low, high = estimate.ci95 or (None, None)
    counts = {"n_images": estimate.n_images, "n_seeds": estimate.n_seeds}
    return {"mean": estimate.mean, "low": low, "high": high} | counts


def _compared(difference: Difference | None) -> dict[str, Any]:
    if difference is None:
        return {}
    low, high = difference.ci95 or (None, None)
    ends = {"difference": difference.mean, "difference_low": low, "difference_high": high}
    return ends | {name: getattr(difference, name) for name in ("p_holm", "verdict", "exploratory")}
