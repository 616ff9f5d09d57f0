"""The form of results.json, and how it is put together from what was scored.

Each class below is an object of the file, each field a key. The keys of a mapping that `spread` names stand beside the
other keys: `arms.NAME.in_domain.nss.mean` is the mean NSS of an arm in domain. Domains are `in_domain`, `ood.SET` for
each foreign set, and `ood`, the mean over the foreign sets (those that were planned, see `plan.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from entreg.config import Evaluation, Primary
from entreg.evaluate import differences
from entreg.evaluate.adaptation import ADAPTED, SUBSETS, Adapted, Subset
from entreg.evaluate.arms import LAMBDA, Arm, baseline_of
from entreg.evaluate.bias_map import BiasMaps, entropies
from entreg.evaluate.differences import BETTER, Difference, Estimate, Pairing, Values, metrics_in, pairing_of, values_of
from entreg.evaluate.ladder import PARTS, REST, parts
from entreg.evaluate.metrics import METRICS, PRIMARY, Metric, primary_metric
from entreg.evaluate.plan import Plan
from entreg.evaluate.scores import Rows
from entreg.study.part import Size

FORMAT = 2  # of results.json: to be raised when a reader of the one before would read it wrongly
IN_DOMAIN, FOREIGN = "in_domain", "ood"
AS_TRAINED = ("auc", "sauc", "nss")  # metrics that sharpness alone hardly moves
FLATTER, SHARPER = "flatter", "sharper"
NOT_SHOWN = "better as trained, not shown to know more about images"


@dataclass(frozen=True)
class Category:
    """Mean IG (bit/fixation) of the images of one category."""

    mean: float
    n_images: int


@dataclass(frozen=True)
class ArmLadder:
    """An arm adapted to a foreign set, see `adaptation.py`; means over trainings.

    ig_bits_by_adapted: IG (bit/fixation) by adapted numbers, joined by +; `none` is as trained
    scale, sigma_factor, center_bias_weight: found with all three adapted, means over folds, too; sigma relative to the
        trained one
    scale_alone: the factor found with nothing else adapted
    ends: which numbers ended where the search ends, and in how many of the fits with all three
    """

    ig_bits_by_adapted: dict[str, float]
    scale: float
    sigma_factor: float
    center_bias_weight: float
    scale_alone: float
    ends: dict[str, int]
    fits: int


@dataclass(frozen=True)
class ArmInDomain:
    """An arm in a domain.

    shares: IG as a share of the gold standard's (and of the oracle's), as ratios of means. The gold standard is a lower
        bound of what can be explained, so its share is an upper bound.
    ig_by_center_bias: IG (bit/fixation) by the centre bias given to the model: `training`, the set's `own`, `uniform`
    mean_density_kl_bits: how far the mean predicted density over the set's images of its most frequent size is from the
        KDE of the set's fixations, KL(KDE || mean density), mean over trainings
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
    """An arm: what it is, what it is worth in each domain, its own bias, and how its trainings went.

    folds: models of one training: those of a cross-validation, else 1
    entropies: of the bias map at the landscape size, see `bias_map.entropies`, means over trainings
    published: of the published file that it is, or that its trainings started from, see `published.described`
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


@dataclass(frozen=True)
class Compared:
    """An arm against its baseline in a domain.

    differences: by the metric's difference key; ladder: what the IG difference is made of, by part, and
        `scale_and_spread` together, all exploratory, p corrected over the arms; None where there is no ladder
    sharpness: what scale and spread together make the predictions, flatter or sharper than the baseline's; None where
        there is no ladder
    lower_while_ig_higher: metrics as trained whose mean is lower although that of IG is higher
    reading: a sentence on what the difference shows, where that is less than it seems
    """

    spread: ClassVar = ("differences",)

    differences: dict[str, Difference]
    ladder: dict[str, Difference] | None
    sharpness: str | None
    lower_while_ig_higher: list[str]
    reading: str | None


@dataclass(frozen=True)
class Comparison:
    """An arm against its baseline.

    seeds: how their trainings are compared; entropy: increases of the bias map's entropy, with and without the centre
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
class JudgedData:
    """The images of a domain and what their priors rest on.

    seen: by name, judged images that were left out since they are training images, or nearly, with the training image
    without_ladder: why there is no ladder; None where there is one, and in domain
    geometry: what becomes of a stored image before a model sees it, in words
    few_images: too few for an interval that is itself certain; few_kde_images: too few for a KDE prior like the
        literature's
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


@dataclass(frozen=True)
class LeftOut:
    """A run that is in no number; where it failed, why."""

    run: str
    state: str
    failure: str | None


@dataclass(frozen=True)
class Results:
    """results.json.

    comparison: that of the primary outcome's arm, else of the first regularised one; metrics: what their keys mean
    """

    format: int
    study: str
    grouped_by: list[str]
    baseline: str | None
    primary: Plan
    metrics: dict[str, dict[str, Any]]
    arms: dict[str, ArmResults]
    comparison: dict[str, Any]
    comparisons: dict[str, Comparison]
    baseline_band: dict[str, Any] | None
    data: dict[str, JudgedData]
    left_out: list[LeftOut]
    lambda_chosen_on_validation: bool
    evaluation: dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What was found of an arm's trainings, each of which is one run, or all folds of a cross-validation.

    rows: by domain, a table for each training: in domain each image's held-out scores, fold by fold; out of domain
        averaged over folds
    fold_images: how many images of the in-domain tables belong to each fold
    maps: for each run, by seed and then by fold, the bias maps by (H, W), the landscape size first
    adapted, kl_bits: by domain, for each run; see `ArmInDomain`
    """

    rows: Mapping[str, Sequence[Rows]]
    fold_images: Sequence[int]
    maps: Sequence[Mapping[Size, BiasMaps]]
    adapted: Mapping[str, Sequence[Adapted]]
    kl_bits: Mapping[str, Sequence[float]]

    def values(self, domains: Sequence[str], key: str) -> Values:
        """A metric in a domain, or in several whose mean is asked for."""
        sets = [values_of(self.rows[name], key) for name in domains]
        if len(self.fold_images) > 1 and list(domains) == [IN_DOMAIN]:
            return Values(np.split(sets[0], np.cumsum(self.fold_images)[:-1], axis=1), in_folds=True)
        return Values(sets)

    def by_training(self, values: Sequence[Any]) -> np.ndarray:
        """(n_runs, ...) averaged over each training's folds: (n_seeds, ...)."""
        array = np.asarray(values, dtype=np.float64)
        return array.reshape(-1, len(self.fold_images), *array.shape[1:]).mean(1)


def results(
    arms: Sequence[Arm],
    keys: Sequence[str],
    evidence: Mapping[str, Evidence],
    data: dict[str, JudgedData],
    left_out: list[LeftOut],
    plan: Plan,
    settings: Evaluation,
) -> Results:
    """Pure arithmetic on what was scored. arms, keys: see `arms_of`; data: of each domain."""
    by_name = {arm.name: _arm(arm, evidence[arm.name], plan) for arm in arms}
    comparisons = _compared(arms, evidence, plan)
    regularised = [arm for arm in arms if not arm.is_baseline and not arm.is_fixed]
    baseline = next((arm for arm in arms if arm.is_baseline), None)
    first = plan.arm or next((arm.name for arm in regularised if arm.name in comparisons), None)
    return Results(
        format=FORMAT,
        study=arms[0].runs[0].config.study,
        grouped_by=list(keys),
        baseline=baseline.name if baseline else None,
        primary=plan,
        metrics={metric.key: metric.described() for metric in METRICS},
        arms=by_name,
        comparison={"arm": first} | plain(comparisons[first]) if first else {},
        comparisons=comparisons,
        baseline_band=band(baseline, by_name[baseline.name].domains[IN_DOMAIN].metrics) if baseline else None,
        data=data,
        left_out=left_out,
        # one lambda beside the baseline leaves nothing to choose
        lambda_chosen_on_validation=len({arm.settings.get(LAMBDA) for arm in regularised}) > 1,
        evaluation=dataclasses.asdict(settings),
    )


def plain(node: Any) -> Any:
    """What is written to results.json: objects and lists of plain values; None where a field has no value."""
    if dataclasses.is_dataclass(node):
        tree: dict[str, Any] = {}
        for item in dataclasses.fields(node):
            value = plain(getattr(node, item.name))
            tree |= value if item.name in getattr(node, "spread", ()) else {item.name: value}
        return tree
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items()}
    return [plain(value) for value in node] if isinstance(node, (list, tuple)) else node


def explained(metrics: Mapping[str, Estimate]) -> dict[str, float]:
    """IG as a share of the references' IG, where they explain anything."""
    shares = {}
    for reference in ("gold", "oracle"):
        best = metrics.get(f"{reference}_{PRIMARY}")
        if best and best.mean > 0:
            shares[f"share_of_{reference}"] = metrics[PRIMARY].mean / best.mean
    return shares


def by_category(rows_by_seed: Sequence[Rows]) -> dict[str, Category]:
    """Mean IG of each category of images; empty where the data set has none."""
    categories = [row["category"] for row in rows_by_seed[0]]
    values = values_of(rows_by_seed, PRIMARY).mean(0)
    return {
        name: Category(float(values[[c == name for c in categories]].mean()), categories.count(name))
        for name in sorted({c for c in categories if c is not None})
    }


def band(arm: Arm, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the baseline's IG in domain lies in the band that the experiment expects, and where that comes from."""
    expected = arm.runs[0].config.evaluation
    if expected.ig_band_bits is None:
        return {"verdict": "not applicable", "why": "the experiment's config holds no expectation"}
    data = arm.runs[0].config.data
    if expected.ig_band_data is None:
        return {"verdict": "not applicable", "why": "evaluation.ig_band_data does not say which data set it is for"}
    if data.name != expected.ig_band_data or data.limit is not None or data.sample is not None:
        return {"verdict": "not applicable", "why": f"the expectation is for all of {expected.ig_band_data}"}
    low, high = expected.ig_band_bits
    ig = metrics[primary_metric(Primary(metric="ig", prior=expected.ig_band_prior)).key].mean
    return {
        "verdict": "inside" if low <= ig <= high else "outside",
        "ig_bits_per_fixation": ig,
        "low": low,
        "high": high,
        "prior": expected.ig_band_prior,
        "source": expected.ig_band_source,
    }


def reading(ig: Difference, ladder: Mapping[str, Difference] | None) -> str | None:
    """Better as trained, the rest not clearly above 0: it is not shown that the model knows more about images."""
    if ig.verdict != BETTER or ladder is None:
        return None
    low = ladder[REST].ci95
    return NOT_SHOWN if low is None or low[0] <= 0 else None


def sharpness(ladder: Mapping[str, Difference] | None) -> str | None:
    """Whether IG by scale and spread together is gained, as flatter predictions gain it, or lost."""
    if ladder is None:
        return None
    return FLATTER if ladder["scale_and_spread"].mean >= 0 else SHARPER


def _arm(arm: Arm, evidence: Evidence, plan: Plan) -> ArmResults:
    landscape = next(iter(evidence.maps[0]))
    per_run = [entropies(by_size[landscape]) for by_size in evidence.maps]
    last = [run.learned() for run in arm.runs]
    domains = {name: _in_domain(name, evidence, arm.is_fixed) for name in evidence.rows}
    planned = [f"{FOREIGN}.{name}" for name in plan.planned if f"{FOREIGN}.{name}" in evidence.rows]
    if planned:
        means = {
            metric.key: differences.estimate(evidence.values(planned, metric.key), arm.is_fixed)
            for metric in metrics_in([evidence.rows[name] for name in planned])
        }
        domains[FOREIGN] = ArmInDomain(means, {}, {}, None, None, None)
    return ArmResults(
        settings=arm.settings,
        seeds=arm.seeds,
        folds=arm.folds,
        runs=[] if arm.is_fixed else [str(run.folder) for run in arm.runs],
        is_baseline=arm.is_baseline,
        domains=domains,
        entropies={key: float(np.mean([row[key] for row in per_run])) for key in per_run[0]},
        bias_entropy_nats_by_seed=evidence.by_training([row["bias_entropy_nats"] for row in per_run]).tolist(),
        bias_entropy_nats_by_size={
            f"{size[1]}x{size[0]}": float(np.mean([entropies(one[size])["bias_entropy_nats"] for one in evidence.maps]))
            for size in evidence.maps[0]
        },
        center_bias_weight=float(np.mean([row["center_bias_weight"] for row in last])),
        sigma_px=float(np.mean([row["sigma_px"] for row in last])),
        stability=[]
        if arm.is_fixed
        else [{"seed": run.config.seed, "fold": run.config.data.fold} | run.stability() for run in arm.runs],
        published=arm.published,
    )


def _in_domain(name: str, evidence: Evidence, fixed: bool) -> ArmInDomain:
    tables = evidence.rows[name]
    metrics = {
        metric.key: differences.estimate(evidence.values([name], metric.key), fixed) for metric in metrics_in([tables])
    }
    own = metrics.get("ig_own_center_bias_bits_per_fixation")
    by_center_bias = (
        None
        if own is None
        else {
            "training": metrics[PRIMARY],
            "own": own,
            "uniform": metrics["ig_uniform_center_bias_bits_per_fixation"],
        }
    )
    adapted, kl_bits = evidence.adapted.get(name), evidence.kl_bits.get(name)
    return ArmInDomain(
        metrics,
        explained(metrics),
        by_category(tables),
        by_center_bias,
        _ladder(adapted) if adapted else None,
        float(np.mean(kl_bits)) if kl_bits else None,
    )


def _ladder(adapted: Sequence[Adapted]) -> ArmLadder:
    fits = [(fit, one.trained) for one in adapted for fit in one.fits[ADAPTED]]
    ends = {
        "scale at 0": sum(fit.scale == 0 for fit, _ in fits),
        "weight at 0": sum(fit.weight == 0 for fit, _ in fits),
        "no blur": sum(fit.sigma_px <= one.narrowest_px for one in adapted for fit in one.fits[ADAPTED]),
        "widest blur": sum(fit.sigma_px >= one.widest_px for one in adapted for fit in one.fits[ADAPTED]),
    }
    return ArmLadder(
        {
            "+".join(subset) or "none": float(np.mean([one.ig_bits[subset].mean() for one in adapted]))
            for subset in SUBSETS
        },
        scale=float(np.mean([fit.scale for fit, _ in fits])),
        sigma_factor=float(np.mean([fit.sigma_px / trained.sigma_px for fit, trained in fits])),
        center_bias_weight=float(np.mean([fit.weight for fit, _ in fits])),
        scale_alone=float(np.mean([fit.scale for one in adapted for fit in one.fits[("scale",)]])),
        ends={name: count for name, count in ends.items() if count},
        fits=len(fits),
    )


def _compared(arms: Sequence[Arm], evidence: Mapping[str, Evidence], plan: Plan) -> dict[str, Comparison]:
    """Every other arm against its baseline, by the arm's name; p values Holm-corrected over all of them."""
    pairs = {}
    for arm in arms:
        baseline = baseline_of(arm, list(arms))
        if baseline is not None and baseline is not arm:
            pairs[arm.name] = (arm, baseline, pairing_of(arm, baseline))
    domains = _domains_of(evidence, plan)
    cells = {domain: _differences(names, pairs, evidence, domain, plan) for domain, names in domains.items()}
    ladders = {domain: _ladders(names, pairs, evidence) for domain, names in domains.items()}
    comparisons = {}
    for name, (_, baseline, pairing) in pairs.items():
        ours, base = evidence[name], evidence[baseline.name]
        compared = {}
        for domain in domains:
            own, ladder = cells[domain][name], ladders[domain].get(name)
            ig = own[METRICS[0].difference_key]
            lower = _lower(own) if ig.mean > 0 else []
            compared[domain] = Compared(own, ladder, sharpness(ladder), lower, reading(ig, ladder))
        comparisons[name] = Comparison(baseline.name, pairing.kind, _entropy(ours, base, pairing), compared)
    return comparisons


def _domains_of(evidence: Mapping[str, Evidence], plan: Plan) -> dict[str, list[str]]:
    """Each domain with the names of the tables that it averages."""
    tables = list(next(iter(evidence.values())).rows)
    planned = [f"{FOREIGN}.{name}" for name in plan.planned if f"{FOREIGN}.{name}" in tables]
    return {name: [name] for name in tables} | ({FOREIGN: planned} if planned else {})


def _differences(
    names: list[str],
    pairs: Mapping[str, tuple[Arm, Arm, Pairing]],
    evidence: Mapping[str, Evidence],
    domain: str,
    plan: Plan,
) -> dict[str, dict[str, Difference]]:
    """By arm and difference key, corrected over the arms."""
    by_arm: dict[str, dict[str, Difference]] = {arm: {} for arm in pairs}
    tables = [evidence[arm.name].rows[name] for arm, _, _ in pairs.values() for name in names]
    for metric in metrics_in(tables) if pairs else []:
        if not metric.compared:
            continue
        cells = {
            arm: differences.difference(
                evidence[arm].values(names, metric.key),
                evidence[baseline.name].values(names, metric.key),
                pairing,
                metric.better,
            )
            for arm, (_, baseline, pairing) in pairs.items()
        }
        primary = plan.arm if domain in plan.tested and metric.key == plan.metric else None
        for arm, cell in _corrected(cells, pairs, metric, primary).items():
            by_arm[arm][metric.difference_key] = cell
    return by_arm


def _ladders(
    names: list[str], pairs: Mapping[str, tuple[Arm, Arm, Pairing]], evidence: Mapping[str, Evidence]
) -> dict[str, dict[str, Difference]]:
    """The parts of the IG difference by arm and part, corrected over the arms; of arms that have a ladder."""
    raw = {
        arm: ladder
        for arm, (_, baseline, pairing) in pairs.items()
        if (ladder := _parts(evidence[arm], evidence[baseline.name], names, pairing)) is not None
    }
    ladders: dict[str, dict[str, Difference]] = {arm: {} for arm in raw}
    for part in next(iter(raw.values()), {}):
        cells = {arm: ladder[part] for arm, ladder in raw.items()}
        for arm, cell in _corrected(cells, pairs, METRICS[0], None).items():
            ladders[arm][part] = cell
    return ladders


def _corrected(
    cells: Mapping[str, Difference], pairs: Mapping[str, tuple[Arm, Arm, Pairing]], metric: Metric, primary: str | None
) -> dict[str, Difference]:
    """Differences of several arms, see `differences.corrected`."""
    # a published model is a question of its own: it does not make the study's arms one more
    families = (
        {arm: cell for arm, cell in cells.items() if pairs[arm][0].is_fixed is fixed} for fixed in (False, True)
    )
    return {arm: cell for family in families for arm, cell in differences.corrected(family, metric, primary).items()}


def _parts(ours: Evidence, base: Evidence, names: list[str], pairing: Pairing) -> dict[str, Difference] | None:
    """The parts of the IG difference; None where a set has no ladder."""
    if any(name not in ours.adapted or name not in base.adapted for name in names):
        return None
    shares = [[parts(_adapted(evidence, name)) for name in names] for evidence in (ours, base)]
    differing = {}
    for part in (*PARTS, "scale_and_spread"):
        members = ("scale", "spread") if part == "scale_and_spread" else (part,)
        a, b = (Values([sum((share[m] for m in members), np.zeros(1)) for share in one]) for one in shares)
        differing[part] = differences.difference(a, b, pairing, "higher")
    return differing


def _adapted(evidence: Evidence, name: str) -> dict[Subset, np.ndarray]:
    """By adapted numbers, (n_seeds, n_images) IG."""
    runs = evidence.adapted[name]
    return {subset: evidence.by_training([one.ig_bits[subset] for one in runs]) for subset in SUBSETS}


def _lower(cells: Mapping[str, Difference]) -> list[str]:
    keys = {metric.key: metric.difference_key for metric in METRICS}
    return [key for key in AS_TRAINED if keys[key] in cells and cells[keys[key]].mean < 0]


def _entropy(ours: Evidence, base: Evidence, pairing: Pairing) -> dict[str, Any]:
    increases: dict[str, Any] = {}
    for kind in ("", "_without_center_bias"):
        key = f"bias_entropy{kind}"
        a, b = (
            one.by_training([entropies(next(iter(maps.values())))[f"{key}_nats"] for maps in one.maps])
            for one in (ours, base)
        )
        increase = differences.entropy_increase(a, b, pairing)
        increases |= {
            f"{key}_increase_nats": increase.increase_nats,
            f"{key}_increase_percent": increase.increase_percent,
            f"{key}_increase_ci95_nats": increase.ci95,
        }
    return increases
