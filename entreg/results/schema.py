"""The form of results.json: each class below describes an object of the file, each field a key.

Where `spread` names a mapping, its keys stand beside the other keys: `arms.NAME.in_domain.nss.mean` is the mean NSS of
an arm in domain. The domains are `in_domain`, `ood.SET` for each foreign set, and `ood`, the mean over the foreign sets
that were planned, see `Plan`. Where a model learns from several sets, `in_domain` is the mean over `in_domain.SET`, and
`left_out` that over `left_out.SET`, the sets that were left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

FORMAT = 2  # the format of results.json: to be raised when an earlier version would read it wrongly
IN_DOMAIN, LEFT_OUT, FOREIGN = "in_domain", "left_out", "ood"
FOLDS = "folds"  # `folds.NAME`: the images of a cross-validation of one set, beside runs that learned from others
BASELINE, SINGLE_SETS = "baseline", "single_sets"  # what a primary outcome compares an arm with
MEAN, NEW_SET = "mean", "new_set"  # of what is compared set by set: the mean over these sets, and a set not yet seen
BETTER, WORSE, UNDECIDED, NO_VERDICT = "better", "worse", "no clear difference", "no verdict"
PAIRED, UNPAIRED, ONE_TRAINING = "paired by seed", "unpaired seeds", "one training"
FIXED = "a fixed model against seeds"
# appended where the runs of an arm share a batch order, so that the effect of the order is not known
ONE_ORDER = ", one batch order"
FLATTER, SHARPER = "flatter", "sharper"
NOT_SHOWN = "better as trained, not shown to know more about images"
IG, IG_DIFFERENCE = "ig_bits_per_fixation", "ig_difference_bits"  # the metric of most sentences, and its difference key


def is_foreign(domain: str) -> bool:
    """Return whether a domain is of foreign sets, which sets that were left out are as well."""
    return domain.partition(".")[0] in (FOREIGN, LEFT_OUT)


@dataclass(frozen=True)
class MetricDescription:
    """The meaning of a metric, for a reader who does not know it.

    key: its column in per_image.csv; difference_key: the key of an arm's difference to its baseline
    better: `higher`, `lower`, or None where it is shown for reference; compared: whether arms are compared by it
    """

    key: str
    title: str
    unit: str
    better: str | None
    compared: bool
    meaning: str
    difference_key: str


@dataclass(frozen=True)
class Estimate:
    """A mean with its uncertainty over images and seeds.

    std: the standard deviation over images of the values averaged over trainings (ddof 1); None for a single image and
        for the mean of several sets
    ci95, p, df: from the two-way analysis; None where there is a single training
    images_part, seeds_part: standard errors, whose squares add up to the variance of the mean unless one of them was
        estimated as 0
    ci95_over_images: where there is a single training, the interval over images for these models
    """

    mean: float
    std: float | None
    ci95: tuple[float, float] | None
    p: float | None
    df: float | None
    images_part: float | None
    seeds_part: float | None
    n_images: int
    n_seeds: int
    ci95_over_images: tuple[float, float] | None


@dataclass(frozen=True)
class Difference(Estimate):
    """A metric's difference to the baseline.

    seeds: paired by seed, unpaired seeds, a fixed model against seeds (each also with ONE_ORDER), or one training
    n_seeds: the number of seeds of the arm with fewer; for a fixed model that of its baseline
    seeds_to_halve: how many seeds would halve the interval; None where no number would, or there is no interval
    p_holm: p corrected for the number of comparisons, of arms where nothing else is said
    verdict: better, worse, no clear difference, or no verdict
    exploratory: whether it is not the comparison that was named before anything was run
    """

    seeds: str
    seeds_to_halve: int | None
    p_holm: float | None
    verdict: str
    exploratory: bool


@dataclass(frozen=True)
class Plan:
    """The primary outcome: the comparison that was named before the training.

    arm: the arm that is compared with its baseline; None where all comparisons are exploratory, and `why` says why
    domain: in_domain, ood (the mean over the foreign sets that were planned) or ood.NAME; metric: its key
    planned, added: the foreign sets that were named before the training, and those that were not
    against: `baseline`, or `single_sets`: on each set that was left out, the arm's models that learned from all others,
        with the mean of those that learned from one other, after the adaptation to the set
    """

    arm: str | None
    domain: str
    metric: str
    planned: list[str]
    added: list[str]
    why: str | None
    against: str = BASELINE

    @property
    def tested(self) -> set[str]:
        """The domains whose comparison is the primary outcome: the mean over a single set is that set."""
        if self.against != BASELINE:
            return set()
        only = f"ood.{self.planned[0]}" if len(self.planned) == 1 else None
        return {"ood", only} if only and self.domain in ("ood", only) else {self.domain}


@dataclass(frozen=True)
class Category:
    """The mean IG (bit/fixation) of the images of one category."""

    mean: float
    n_images: int


@dataclass(frozen=True)
class ArmLadder:
    """An arm adapted to a foreign set, see `adaptation.py`; all values are means over trainings.

    ig_bits_by_adapted: IG (bit/fixation) by adapted numbers, joined by +; `none` is the arm as trained
    scale, sigma_factor, center_bias_weight: the numbers fitted together, means over folds as well; sigma relative to
        the trained one
    scale_alone: the scale fitted with nothing else adapted
    ends: in how many of the `fits` with all three numbers each number ended where its search ends
    """

    ig_bits_by_adapted: dict[str, float]
    scale: float
    sigma_factor: float
    center_bias_weight: float
    scale_alone: float
    ends: dict[str, int]
    fits: int


@dataclass(frozen=True)
class SetNumbers:
    """The numbers that a set has of its own (model.per_set), means over the trainings that learned from it.

    They mean what those of an ArmLadder mean: scale and sigma_factor are relative to the model of the average set,
    which a foreign set's ladder adapts. None where the sets have no such number of their own.
    """

    scale: float | None
    sigma_factor: float | None
    center_bias_weight: float | None


@dataclass(frozen=True)
class ArmInDomain:
    """An arm in a domain.

    shares: IG as a share of the gold standard's and of the oracle's IG, as ratios of means. The gold standard is a
        lower bound of what can be explained, so the share is an upper bound.
    ig_by_center_bias: IG (bit/fixation) by the centre bias that the model receives: that of its `training`, the set's
        `own`, or a `uniform` one
    mean_density_kl_bits: KL(KDE of the set's fixations || mean predicted density over the set's images of its most
        frequent size), mean over trainings
    """

    spread: ClassVar = (
        "metrics",
        "shares",
    )

    metrics: dict[str, Estimate]
    shares: dict[str, float]
    by_category: dict[str, Category]
    ig_by_center_bias: dict[str, Estimate] | None
    ladder: ArmLadder | None
    mean_density_kl_bits: float | None


@dataclass(frozen=True)
class ArmResults:
    """An arm: its settings, its metrics in each domain, its bias maps, and how its trainings went.

    folds: the number of models of one training: the folds of a cross-validation, or the sets that were left out, else 1
    sets_left_out: the sets that were left out, each by one model of a training; None where none was
    ig_bits_by_set_left_out: by the set that was left out, then by the domain, the mean IG (bit/fixation) of the models
        that left it out
    entropies: those of the bias map at the landscape size, see `bias_map.entropies`, means over trainings
    published: the description of the published file that it is, or that its trainings started from, see
        `published_arm.described`
    per_set: by set that was learned from, the numbers that it has of its own; None where sets have none
    configured: every setting that affects its results, by full key, with those that are equal in all arms; None where
        an earlier version did not record them
    """

    spread: ClassVar = (
        "domains",
        "entropies",
    )

    settings: dict[str, Any]
    seeds: list[int]
    folds: int
    runs: list[str]
    is_baseline: bool
    domains: dict[str, ArmInDomain]
    entropies: dict[str, float]
    bias_entropy_nats_by_seed: list[float]
    bias_entropy_nats_by_size: dict[str, float]
    center_bias_weight: float
    sigma_px: float
    stability: list[dict[str, Any]]
    published: dict[str, Any] | None
    configured: dict[str, Any] | None = None
    sets_left_out: list[str] | None = None
    ig_bits_by_set_left_out: dict[str, dict[str, float]] | None = None
    per_set: dict[str, SetNumbers] | None = None


@dataclass(frozen=True)
class Compared:
    """An arm compared with its baseline in a domain.

    differences: by the metric's difference key
    ladder: the parts of the IG difference, and `scale_and_spread` together, all exploratory and with p corrected over
        the arms; None where there is no ladder
    sharpness: whether scale and spread together make the predictions flatter or sharper than the baseline's; None where
        there is no ladder
    lower_while_ig_higher: metrics as trained whose mean is lower although the mean IG is higher
    reading: a sentence on what the difference shows, where it shows less than it seems to
    new_set, rest_on_a_new_set: the IG difference, and what is left of it, on a set not yet seen: sets are random, and
        `n_images` is their number; only for the mean over several sets that were left out
    """

    spread: ClassVar = ("differences",)

    differences: dict[str, Difference]
    ladder: dict[str, Difference] | None
    sharpness: str | None
    lower_while_ig_higher: list[str]
    reading: str | None
    new_set: Difference | None = None
    rest_on_a_new_set: Difference | None = None


@dataclass(frozen=True)
class Comparison:
    """An arm compared with its baseline.

    seeds: how their trainings are compared; entropy: the increase of the bias map's entropy with and without the centre
        bias as input, with Student's interval over seeds
    """

    spread: ClassVar = (
        "entropy",
        "domains",
    )

    baseline: str
    seeds: str
    entropy: dict[str, Any]
    domains: dict[str, Compared]


@dataclass(frozen=True)
class RowCounts:
    """What became of the fixations that a data set holds, on all its images, also those not evaluated.

    read, used: their number as read, and as used for evaluations and priors
    dropped: the number of the others by reason
    accepted: what is implausible about the set and was accepted (`accept`), see entreg/data/plausibility/
    """

    read: int
    used: int
    dropped: dict[str, int]
    accepted: list[str]


@dataclass(frozen=True)
class ImageCounts:
    """What became of the images that a data set holds.

    stored: all of them; without_fixations: those that the settings choose and that nobody fixated
    used: the others that the settings choose; trained_on: those of them that a model learned from
    """

    stored: int
    without_fixations: int
    used: int
    trained_on: int


@dataclass(frozen=True)
class Identity:
    """What a data set is recognised by, and whether it is what the trainings recorded.

    images, fixations: SHA-256, see `entreg/data/fingerprint.py`
    changed: how the set has changed since the trainings, where that was accepted (`evaluation.accept`)
    unrecorded: the runs that recorded no fingerprint of the set, so that a change could not be noticed
    """

    images: str
    fixations: str
    changed: list[str]
    unrecorded: list[str]


@dataclass(frozen=True)
class EvaluatedData:
    """The images of a domain and the data behind their priors.

    seen: by name, the images that were left out because they are training images, or nearly, with the training image
    without_ladder: why there is no ladder; None where there is one, and in domain
    geometry: a sentence's end on how a stored image is changed before a model sees it
    few_images: whether the images are too few for a reliable interval
    few_kde_images: whether the images are too few for a KDE prior like the literature's
    rows: what became of the fixations that were read; identity: what the set is recognised by; both None where an
        earlier version did not record it
    images: what became of its images; None where an earlier version did not record it
    synthetic: whether the images were drawn for the embedded study, so that nobody saw them; None where an earlier
        version did not record it
    """

    name: str
    n_images: int
    n_fixations: int
    kde_prior_images: int
    gold_standard: dict[str, Any] | None
    seen: dict[str, str]
    without_ladder: str | None
    geometry: str
    few_images: bool
    few_kde_images: bool
    rows: RowCounts | None = None
    identity: Identity | None = None
    synthetic: bool | None = None
    images: ImageCounts | None = None


@dataclass(frozen=True)
class LeftOut:
    """A run that enters no result. failure: why it failed, if it did."""

    run: str
    state: str
    failure: str | None


@dataclass(frozen=True)
class MatrixCell:
    """The information gain (bit/fixation) on one set of models that learned from some sets.

    in_domain: whether the judged set is one that they learned from: its validation images judge then, or in a
        cross-validation (`in_folds`) all of them, each by the models that did not learn from it; else all of its images
    adapted: IG after the adaptation to the set by all three numbers; None in domain, and where the set has no ladder
    training_images: how many images each model learned from; of several that differ, the smallest and the greatest
    """

    trained_on: list[str]
    judged_on: str
    in_domain: bool
    in_folds: bool
    training_images: list[int]
    as_trained: Estimate
    adapted: Estimate | None


@dataclass(frozen=True)
class Bar:
    """A level of information gain on a set, as trained and after the adaptation to it.

    of: what it is, such as the sets that were learned from; adapted: None in domain, and where there is no ladder
    """

    of: str
    as_trained: Estimate
    adapted: Estimate | None


@dataclass(frozen=True)
class ShareClosed:
    """The share of a gap that the adaptation closes: (adapted - as trained) / gap.

    gap: the ceiling minus the pooled models as trained, bit/fixation
    share, ci95: with the interval of a ratio (Fieller 1954); None where `why` says so, as where the gap may be 0. As
        with every difference, the interval does not cover the order of batches where `gap.seeds` has ONE_ORDER
    """

    gap: Difference
    share: float | None
    ci95: tuple[float, float] | None
    why: str | None


@dataclass(frozen=True)
class SetBars:
    """Five levels of information gain on a set that was left out, all on the same images (bit/fixation).

    bars: by name: `ceiling`, models that learned from the set itself; `pooled`, from all other sets; `best_single` and
        `mean_single`, from one other set each, where the best is the one that turned out best on these images;
        `centre_bias`, the set's own centre bias alone (the KDE of its other images), without any model. What no run was
        trained for has no key
    closed: the share of the gap between ceiling and pooled that the adaptation closes; None without either
    """

    n_images: int
    bars: dict[str, Bar]
    closed: ShareClosed | None


@dataclass(frozen=True)
class PooledOrSingle:
    """Models that learned from all sets but the judged one, minus the mean of those that learned from one other each.

    as_trained, adapted: IG difference (bit/fixation) by set, its mean over the sets (`mean`) and on a set not yet seen
        (`new_set`), as trained and after the adaptation to the judged set; adapted: None where a set has no ladder
    pooled_images, single_images: how many images each model learned from; of several that differ, the smallest and the
        greatest
    """

    as_trained: dict[str, Difference]
    adapted: dict[str, Difference] | None
    pooled_images: list[int]
    single_images: list[int]


@dataclass(frozen=True)
class RowComparison:
    """An arm's models minus its baseline's that learned from the same sets, on the sets that both did not learn from.

    trained_on: the sets that they learned from; baseline: the arm that is the baseline
    as_trained, adapted: IG difference (bit/fixation) by judged set, and its mean over these sets (`mean`), as trained
        and after all three numbers were adapted to the judged set: that is the rest of the ladder, see
        `entreg/evaluation/ladder.py`. `p_holm` is corrected over all rows and arms of the matrix, for the mean and for
        each set by itself; all are exploratory. adapted: None where a set has no ladder
    """

    trained_on: list[str]
    baseline: str
    as_trained: dict[str, Difference]
    adapted: dict[str, Difference] | None


@dataclass(frozen=True)
class ArmMatrix:
    """What an arm's models reach on each set by what they learned from.

    runs: by the sets that were learned from, the folders of the runs; bars: by the set that was left out
    pooled_or_single: None where trainings for it are missing
    against_baseline: the arm compared with its baseline, row by row; None where it has no baseline, and where an
        earlier version compared no rows
    """

    runs: dict[str, list[str]]
    cells: list[MatrixCell]
    bars: dict[str, SetBars]
    pooled_or_single: PooledOrSingle | None
    against_baseline: list[RowComparison] | None = None


@dataclass(frozen=True)
class SetMatrix:
    """Runs that learned from different sets, judged on all of them: the sets, and the matrix of each arm."""

    sets: list[str]
    arms: dict[str, ArmMatrix]


@dataclass(frozen=True)
class OtherModel:
    """The maps of another model (`evaluation.others`), judged on the images of the arms; never in a verdict.

    file: the file or folder that holds them; kinds: what they are, see `entreg/evaluation/other_maps.py`
    domains: by domain and metric, with an interval over images; a domain without any map has no key
    """

    file: str
    kinds: list[str]
    domains: dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Answer:
    """What an evaluation found, for a reader who has ten seconds; see `entreg/results/answer.py`.

    verdict: one of the constants above; sentence: the verdict in words
    arm, baseline, domain, metric: what is compared, by which key; None where nothing is compared
    what: what the number is, in words; difference, interval: the number and its 95 % interval
    interval_over: what else could have been drawn, that the interval covers
    rests_on: how many images and trainings, which backbone, losses and data sets; limits: what the answer does not say,
        the most important first
    """

    verdict: str
    sentence: str
    arm: str | None
    baseline: str | None
    domain: str | None
    metric: str | None
    what: str | None
    difference: float | None
    interval: tuple[float, float] | None
    interval_over: str | None
    rests_on: list[str]
    limits: list[str]


@dataclass(frozen=True)
class Results:
    """The whole file.

    comparison: that of the primary outcome's arm, else that of the first regularised arm
    metrics: by key, the meaning of every metric
    answer: all of it in short; None where an earlier version wrote none
    others: other models' maps by name; None where there are none
    matrix: by what was learned from and what is judged; None where all runs learned from the same sets, or left out one
    """

    format: int
    study: str
    grouped_by: list[str]
    baseline: str | None
    primary: Plan
    metrics: dict[str, MetricDescription]
    arms: dict[str, ArmResults]
    comparison: dict[str, Any]
    comparisons: dict[str, Comparison]
    baseline_band: dict[str, Any] | None
    data: dict[str, EvaluatedData]
    left_out: list[LeftOut]
    lambda_chosen_on_validation: bool
    evaluation: dict[str, Any]
    answer: Answer | None = None
    others: dict[str, OtherModel] | None = None
    matrix: SetMatrix | None = None

    @property
    def main_arm(self) -> str | None:
        """The arm of the main comparison; None where nothing is compared."""
        return self.comparison.get("arm")
