"""The settings of an evaluation, and the primary outcome that a study is planned for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from entreg.config.settings import MOST_SEED, Rule, group, setting


@dataclass
class Primary:
    """The one comparison that the study is for, chosen before any run; every other comparison is exploratory.

    It is recorded when a run is first started, and an evaluation reads it from there, whatever is typed later.
    """

    arm: dict[str, Any] = setting(
        {
            "loss.name": "nll_entropy",
            "loss.lambda_entropy": 1.0,
            "loss.every": 10,
            "loss.normalisation": "softmax",
            "loss.aggregation": "mean_entropy",
            "loss.center_bias": "model",
            "model.center_bias": "kde",
        },
        "the arm: every setting in which it differs from its baseline, and others that distinguish it from other arms",
        affects="evaluation",
    )
    domain: str = setting(
        "ood",
        "domain: in_domain, left_out (the mean over the sets that were left out), ood (the mean over the foreign sets) "
        "or ood.NAME",
        affects="evaluation",
    )
    against: str = setting(
        "baseline",
        "what the arm is compared with; baseline: the arm without a regulariser; single_sets: on each set that was "
        "left out, the arm's models that learned from all others with the mean of those that learned from one other, "
        "by IG over the Gaussian prior after the adaptation to the set (domain: left_out)",
        affects="evaluation",
        one_of=("baseline", "single_sets"),
    )
    metric: str = setting(
        "ig", "metric: ig, ll, nss, auc or any other by which arms are compared", affects="evaluation"
    )
    prior: str = setting(
        "gaussian", "prior over which IG is measured", affects="evaluation", one_of=("gaussian", "kde")
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong with the domain."""
        if self.domain not in ("in_domain", "left_out", "ood") and not self.domain.startswith("ood."):
            yield "domain", "in_domain, left_out, ood or ood.NAME"
        if self.against == "single_sets" and (self.domain, self.metric, self.prior) != ("left_out", "ig", "gaussian"):
            yield "against", "single_sets is compared by domain=left_out, metric=ig and prior=gaussian"


@dataclass
class Evaluation:
    """The settings of an evaluation."""

    seed: int = setting(
        0,
        "seed of the folds on which models are adapted to a foreign set",
        affects="evaluation",
        at_least=0,
        at_most=MOST_SEED,
    )
    accept: list[str] = setting(
        [],
        "what may have changed in the data since the training, such as [images]: the changed data are judged, nothing "
        "counts as planned, and the page names what changed; without it such an evaluation is refused",
        affects="evaluation",
        one_of=("images", "fixations"),
    )
    others: dict[str, Any] = setting(
        {},
        "maps of other models that are judged on the same images, never in the verdict: by name, an HDF5 file "
        "(pysaliency's HDF5Model), or a folder of npy or npz files or pictures named like the images; where sets share "
        "names of images, one for each set: +evaluation.others.NAME.SET=PATH",
        affects="evaluation",
    )
    primary: Primary = group(Primary)
    ig_band_bits: list[float] | None = setting(
        None,
        "range in which the baseline's validation IG (bit/fixation) is expected: lower and upper bound",
        affects="evaluation",
    )
    ig_band_data: str | None = setting(None, "name of the data set that the range is for", affects="evaluation")
    ig_band_prior: str = setting(
        "gaussian", "prior over which the IG of the range is measured", affects="evaluation", one_of=("gaussian", "kde")
    )
    ig_band_source: str | None = setting(None, "source of the range", affects="evaluation")

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong with the range."""
        band = self.ig_band_bits
        if band is not None and not (len(band) == 2 and band[0] < band[1]):
            yield "ig_band_bits", "two numbers, the lower one first"
