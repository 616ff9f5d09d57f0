"""Arms against their baselines: which trainings are held against which, how sure that is, and what it allows to say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats

from entreg.evaluation.arms import Arm, arms_of
from entreg.evaluation.differences import (
    Pairing,
    Values,
    corrected,
    difference,
    entropy_increase,
    estimate,
    metrics_in,
    pairing_of,
    values_of,
    verdict,
)
from entreg.evaluation.metrics import METRICS
from entreg.evaluation.statistics import (
    Uncertainty,
    crossed,
    crossed_in_folds,
    crossed_unpaired,
    over_images,
    seeds_to_halve,
)
from entreg.model.deepgaze3 import DeepGaze3
from entreg.results.schema import (
    BETTER,
    FIXED,
    NO_VERDICT,
    ONE_TRAINING,
    PAIRED,
    UNDECIDED,
    UNPAIRED,
    WORSE,
    Difference,
    Estimate,
)
from tests.evaluation.test_arms import run

OURS = np.array([[1.5, 4.0, 2.5, 7.0], [2.0, 6.5, 1.0, 9.0], [0.5, 5.0, 3.5, 11.0]])
BASE = np.array([[1.0, 3.0, 2.0, 6.5], [1.5, 5.0, 1.5, 8.0], [0.5, 4.0, 2.5, 9.5]])
ALL = Pairing([0, 1, 2], [0, 1, 2], PAIRED)
APART = Pairing([0, 1, 2], [0, 1, 2], UNPAIRED)
KEYS = {metric.key: metric for metric in METRICS}


def both(ours: list[int], base: list[int]) -> tuple[Arm, Arm]:
    """A regularised arm and its baseline with these seeds."""
    arms, _ = arms_of([run("nll", seed) for seed in base] + [run("nll_entropy", seed) for seed in ours])
    return arms[1], arms[0]


def a_difference(mean: float, p: float, half: float = 0.01) -> Difference:
    """A cell as it is before p is corrected."""
    ends = mean - half, mean + half
    return Difference(mean, None, ends, p, 9.0, 0.1, 0.1, 20, 4, None, PAIRED, None, p, NO_VERDICT, True)


@pytest.mark.parametrize(
    "ours, base, expected",
    [
        ([0, 1, 2], [0, 1, 2], Pairing([0, 1, 2], [0, 1, 2], PAIRED)),
        # what stands at the same place need not be the same seed
        ([1, 2, 5], [0, 1, 5, 7], Pairing([0, 2], [1, 2], PAIRED)),
        ([0, 3], [0, 1, 2], Pairing([0, 1], [0, 1, 2], UNPAIRED)),
        ([3, 4], [0, 1], Pairing([0, 1], [0, 1], UNPAIRED)),
        ([0], [0], Pairing([0], [0], ONE_TRAINING)),
        ([0], [0, 1, 2], Pairing([0], [0, 1, 2], ONE_TRAINING)),
        ([0, 1], [1], Pairing([0, 1], [0], ONE_TRAINING)),
    ],
    ids=str,
)
def test_seeds_that_both_have_are_paired_if_there_are_two(ours, base, expected):
    assert pairing_of(*both(ours, base)) == expected


def test_where_trainings_of_an_arm_share_a_batch_order_nothing_is_called_better_or_worse():
    arms = both([0, 1, 2], [0, 1, 2])
    for arm in arms:
        for one in arm.runs:
            one.config.trainer.order_seed = 7
    pairing = pairing_of(*arms)
    assert pairing == Pairing([0, 1, 2], [0, 1, 2], "paired by seed, one batch order")
    clear = difference(Values([OURS + 100]), Values([BASE]), ALL, "higher")
    shared = difference(Values([OURS + 100]), Values([BASE]), pairing, "higher")
    assert clear.verdict == BETTER and shared.verdict == NO_VERDICT and shared.ci95 == clear.ci95
    assert corrected({"arm": shared}, METRICS[0], None)["arm"].verdict == NO_VERDICT
    # shared within a seed alone, as where a sweep's arms are trained together: every training of an arm has its own
    for arm in arms:
        for one in arm.runs:
            one.config.trainer.order_seed = one.config.seed + 10
    assert pairing_of(*arms).kind == PAIRED


def test_paired_seeds_are_held_against_each_other():
    found, sure = difference(Values([OURS]), Values([BASE]), ALL, "higher"), crossed([OURS - BASE])
    assert found.mean == pytest.approx((OURS - BASE).mean())
    assert found.ci95 == pytest.approx([float(end) for end in sure.ci95])
    assert (found.p, found.df) == pytest.approx((float(sure.p), float(sure.df)))
    assert found.images_part**2 == pytest.approx(float(sure.images_variance))
    assert found.seeds_part**2 == pytest.approx(float(sure.seeds_variance))
    assert found.std == pytest.approx(np.std((OURS - BASE).mean(0), ddof=1))
    assert (found.n_images, found.n_seeds, found.seeds, found.ci95_over_images) == (4, 3, PAIRED, None)


def test_seeds_at_other_places_are_paired_by_what_they_are():
    shuffled = Pairing([2, 0, 1], [0, 1, 2], PAIRED)
    found = difference(Values([OURS[[1, 2, 0]]]), Values([BASE]), shuffled, "higher")
    assert found == difference(Values([OURS]), Values([BASE]), ALL, "higher")


def test_a_seed_that_one_arm_lacks_is_in_no_number():
    two = Pairing([0, 2], [0, 1], PAIRED)
    found = difference(Values([OURS]), Values([BASE[[0, 2]]]), two, "higher")
    both_have = Pairing([0, 1], [0, 1], PAIRED)
    assert found == difference(Values([OURS[[0, 2]]]), Values([BASE[[0, 2]]]), both_have, "higher")
    assert found.n_seeds == 2


def test_other_seeds_are_held_against_each_other_arm_by_arm():
    found = difference(Values([OURS]), Values([BASE[:2]]), Pairing([0, 1, 2], [0, 1], UNPAIRED), "higher")
    sure = crossed_unpaired([OURS], [BASE[:2]])
    assert found.mean == pytest.approx(OURS.mean() - BASE[:2].mean())
    assert found.ci95 == pytest.approx([float(end) for end in sure.ci95])
    assert found.p == pytest.approx(float(sure.p)) and found.n_seeds == 2 and found.seeds == UNPAIRED
    # trainings that share nothing scatter more than the differences of pairs that rise and fall together
    paired = difference(Values([OURS[:2]]), Values([BASE[:2]]), Pairing([0, 1], [0, 1], PAIRED), "higher")
    assert found.seeds_part > paired.seeds_part


def test_sets_count_alike_however_many_images_they_have():
    many, few = OURS - BASE, OURS[:, :2] - BASE[:, :2] + 3
    found = difference(Values([OURS, OURS[:, :2] + 3]), Values([BASE, BASE[:, :2]]), ALL, "higher")
    sure = crossed([many, few])
    assert found.mean == pytest.approx((many.mean() + few.mean()) / 2)
    assert found.ci95 == pytest.approx([float(end) for end in sure.ci95]) and found.p == pytest.approx(float(sure.p))
    assert found.n_images == 6 and found.std is None


def folds_of(values: np.ndarray) -> Values:
    return Values([values[:, :2], values[:, 2:], values[:, :3] * 2], in_folds=True)


def test_folds_count_by_their_images_and_have_seeds_of_their_own():
    ours, base = folds_of(OURS), folds_of(BASE)
    found = difference(ours, base, ALL, "higher")
    gaps = [a - b for a, b in zip(ours.sets, base.sets, strict=True)]
    sure = crossed_in_folds(gaps)
    every = np.concatenate(gaps, axis=1)
    assert found.mean == pytest.approx(every.mean()) and found.n_images == 7 and found.n_seeds == 3
    assert found.ci95 == pytest.approx([float(end) for end in sure.ci95]) and found.p == pytest.approx(float(sure.p))
    assert found.std == pytest.approx(np.std(every.mean(0), ddof=1))
    apart = difference(ours, base, APART, "higher")
    unpaired = crossed_in_folds(ours.sets, base.sets, paired=False)
    assert apart.mean == pytest.approx(every.mean()) and apart.p == pytest.approx(float(unpaired.p))
    # one training of all folds cannot tell the arms apart either
    alone = difference(ours.of([0]), base.of([0]), Pairing([0], [0], ONE_TRAINING), "higher")
    assert alone.verdict == NO_VERDICT and alone.mean == pytest.approx(every[0].mean())
    assert alone.ci95_over_images == pytest.approx([float(e) for e in crossed_in_folds([g[:1] for g in gaps]).ci95])


def test_one_training_each_gets_an_interval_over_images_and_no_verdict():
    found = difference(Values([OURS[:1]]), Values([BASE[:1] - 100]), Pairing([0], [0], ONE_TRAINING), "higher")
    gap = OURS[0] - BASE[0] + 100
    half = scipy.stats.t.ppf(0.975, 3) * np.std(gap, ddof=1) / 2
    assert found.ci95_over_images == pytest.approx((gap.mean() - half, gap.mean() + half))
    assert found.verdict == NO_VERDICT
    for name in ("ci95", "p", "df", "p_holm", "images_part", "seeds_part", "seeds_to_halve"):
        assert getattr(found, name) is None, name


def test_sets_count_alike_without_an_interval_over_seeds_too():
    alone = Pairing([0], [0], ONE_TRAINING)
    found = difference(Values([OURS[:1], OURS[:1, :2] + 3]), Values([BASE[:1], BASE[:1, :2]]), alone, "higher")
    many, few = OURS[0] - BASE[0], OURS[0, :2] - BASE[0, :2] + 3
    assert found.mean == pytest.approx((many.mean() + few.mean()) / 2) and found.n_images == 6
    sure = crossed([many[None], few[None]])
    assert found.ci95_over_images == pytest.approx([float(end) for end in sure.ci95])


def test_one_training_against_several_is_held_against_their_mean():
    found = difference(Values([OURS[:1]]), Values([BASE]), Pairing([0], [0, 1, 2], ONE_TRAINING), "higher")
    sure = over_images(OURS[0] - BASE.mean(0))
    assert found.mean == pytest.approx(float(sure.mean)) and found.n_seeds == 1
    assert found.ci95_over_images == pytest.approx([float(end) for end in sure.ci95])


@pytest.mark.parametrize("pairing", [ALL, APART])
def test_one_image_scatters_around_nothing(pairing):
    found = difference(Values([OURS[:, :1]]), Values([BASE[:, :1]]), pairing, "higher")
    assert found.mean == pytest.approx((OURS[:, 0] - BASE[:, 0]).mean()) and found.verdict == NO_VERDICT
    assert (found.std, found.ci95, found.ci95_over_images, found.p, found.n_images) == (None, None, None, None, 1)
    # nor is there an interval of a mean over several sets, one of which has a single image
    assert difference(Values([OURS, OURS[:, :1]]), Values([BASE, BASE[:, :1]]), pairing, "higher").ci95 is None


def test_seeds_to_halve_are_those_of_the_two_way_analysis():
    """Seeds alone scatter: nothing but their number counts, and t(n-1) falls with it, too."""
    seeds = np.array([0.0, 1.0, 2.0])[:, None]
    found = difference(Values([np.zeros((3, 5)) + seeds]), Values([np.zeros((3, 5))]), ALL, "higher")

    def half(n: int) -> float:
        return scipy.stats.t.ppf(0.975, n - 1) * 1.0 / n**0.5

    assert (found.ci95[1] - found.ci95[0]) / 2 == pytest.approx(half(3))
    assert found.seeds_to_halve == next(n for n in range(4, 50) if half(n) <= half(3) / 2)
    # images alone scatter
    found = difference(Values([np.zeros((3, 5)) + np.arange(5.0)]), Values([np.zeros((3, 5))]), ALL, "higher")
    assert found.seeds_to_halve is None and found.seeds_part == 0


@pytest.mark.parametrize("above", [0.0005, 1e-6, 0.0, -0.0005])
def test_no_number_of_seeds_would_halve_what_the_images_alone_make_wider(above):
    """The images' part alone has Student's interval: only where that is below the half some number will do."""
    limit = scipy.stats.t.ppf(0.975, 49)
    variance = (2 * (limit + above) / scipy.stats.norm.ppf(0.975)) ** 2
    seeds_variance = variance - 1
    now = Uncertainty(np.array(0.0), np.array(variance), np.array(np.inf), np.array(1.0), np.array(seeds_variance))
    found = seeds_to_halve(now, 8, 50)

    def half(n: int) -> float:
        one = seeds_variance * 8 / n
        return scipy.stats.t.ppf(0.975, (1 + one) ** 2 / (1 / 49 + one**2 / (n - 1))) * (1 + one) ** 0.5

    if above <= 0:
        assert found is None
    else:
        assert found > 1000 and half(found) <= limit + above < half(found - 1)


def test_the_mean_of_an_arm_has_the_two_way_interval():
    found, sure = estimate(Values([OURS])), crossed([OURS])
    assert found.mean == OURS.mean() and found.ci95 == pytest.approx([float(end) for end in sure.ci95])
    assert (found.n_images, found.n_seeds) == (4, 3)
    alone = estimate(Values([OURS[:1]]))
    mean, half = OURS[0].mean(), scipy.stats.t.ppf(0.975, 3) * np.std(OURS[0], ddof=1) / 2
    assert alone.ci95 is None and alone.ci95_over_images == pytest.approx((mean - half, mean + half))
    assert estimate(Values([OURS[:1, :1]])) == Estimate(1.5, None, None, None, None, None, None, 1, 1, None)


@pytest.mark.parametrize(
    "ci95, p_holm, better, expected",
    [
        ((0.01, 0.03), 0.04, "higher", BETTER),
        ((-0.03, -0.01), 0.04, "higher", WORSE),
        ((0.01, 0.03), 0.04, "lower", WORSE),
        ((-0.03, -0.01), 0.04, "lower", BETTER),
        # the interval excludes 0 and the corrected p is not below the level, or the other way round
        ((0.01, 0.03), 0.05, "higher", UNDECIDED),
        ((-0.01, 0.03), 0.04, "higher", UNDECIDED),
        ((0.0, 0.03), 0.04, "higher", UNDECIDED),
        (None, 0.04, "higher", NO_VERDICT),
    ],
)
def test_a_verdict_needs_the_interval_and_the_corrected_p(ci95, p_holm, better, expected):
    cell = Estimate(0.02, None, ci95, p_holm, 9.0, 0.1, 0.1, 20, 4, None)
    assert verdict(cell, p_holm, better, PAIRED) == expected


def test_arms_are_corrected_for_their_number_after_holm():
    p = {"a": 0.02, "b": 0.001, "c": 0.03}
    found = corrected({arm: a_difference(0.02, value) for arm, value in p.items()}, KEYS["nss"], None)
    # by hand: 3 x 0.001; 2 x 0.02; 1 x 0.03, but no less than the one before
    assert {arm: cell.p_holm for arm, cell in found.items()} == pytest.approx({"b": 0.003, "a": 0.04, "c": 0.04})
    assert {arm: cell.p for arm, cell in found.items()} == p
    assert all(cell.verdict == BETTER and cell.exploratory for cell in found.values())


def test_what_was_named_beforehand_is_tested_alone():
    p = {"a": 0.04, "b": 0.02, "c": 0.03}
    cells = {arm: a_difference(0.02, value) for arm, value in p.items()}
    found = corrected(cells, KEYS["nss"], "a")
    # the others are two: 2 x 0.02, then 0.03, but no less than the one before
    assert {arm: cell.p_holm for arm, cell in found.items()} == pytest.approx({"a": 0.04, "b": 0.04, "c": 0.04})
    assert {arm: cell.exploratory for arm, cell in found.items()} == {"a": False, "b": True, "c": True}
    together = corrected(cells, KEYS["nss"], None)
    assert {arm: cell.p_holm for arm, cell in together.items()} == pytest.approx({"a": 0.06, "b": 0.06, "c": 0.06})
    assert (found["a"].verdict, together["a"].verdict) == (BETTER, UNDECIDED)


def test_a_lower_kl_is_better():
    cells = {"up": a_difference(0.02, 0.001), "down": a_difference(-0.02, 0.001)}
    found = corrected(cells, KEYS["kl_bits"], None)
    assert {arm: cell.verdict for arm, cell in found.items()} == {"up": WORSE, "down": BETTER}


def test_what_has_no_p_is_not_among_those_that_are_corrected():
    alone = difference(Values([OURS[:1]]), Values([BASE[:1]]), Pairing([0], [0], ONE_TRAINING), "higher")
    found = corrected({"alone": alone, "a": a_difference(0.02, 0.04)}, KEYS["nss"], None)
    assert found["alone"] == alone and found["a"].p_holm == 0.04


def test_the_entropys_increase_has_the_interval_of_the_t_test():
    ours, base = np.array([9.3, 9.9, 9.6, 9.5]), np.array([9.1, 9.4, 9.0, 9.2])
    gap = ours - base

    def around(mean: float, error: float, df: float) -> tuple[float, float]:
        half = scipy.stats.t.ppf(0.975, df) * error
        return mean - half, mean + half

    paired = entropy_increase(ours, base, Pairing([0, 1, 2, 3], [0, 1, 2, 3], PAIRED))
    assert paired.increase_nats == pytest.approx(gap.mean())
    assert paired.increase_percent == pytest.approx(gap.mean() / base.mean() * 100)
    assert paired.ci95 == pytest.approx(around(gap.mean(), scipy.stats.sem(gap), 3))
    assert paired.ci95 == pytest.approx(tuple(scipy.stats.ttest_rel(ours, base).confidence_interval()))
    apart = entropy_increase(ours, base, Pairing([0, 1, 2, 3], [0, 1, 3], UNPAIRED))
    others = base[[0, 1, 3]]
    a, b = np.var(ours, ddof=1) / 4, np.var(others, ddof=1) / 3
    welch = (a + b) ** 2 / (a**2 / 3 + b**2 / 2)
    assert apart.increase_nats == pytest.approx(ours.mean() - others.mean())
    assert apart.ci95 == pytest.approx(around(ours.mean() - others.mean(), (a + b) ** 0.5, welch))
    test = scipy.stats.ttest_ind(ours, others, equal_var=False)
    if hasattr(test, "confidence_interval"):  # from scipy 1.11 on
        assert apart.ci95 == pytest.approx(tuple(test.confidence_interval()))
    alone = entropy_increase(ours[:1], base[:1], Pairing([0], [0], ONE_TRAINING))
    assert alone.ci95 is None and alone.increase_nats == pytest.approx(0.2)


def test_values_are_seeds_by_images_and_metrics_those_that_all_tables_have():
    tables = [
        [{"image": name, "nss": value, "auc": 0.5} for name, value in zip("ab", row, strict=True)]
        for row in ((1.0, 2.0), (3.0, 4.0))
    ]
    assert values_of(tables, "nss").tolist() == [[1, 2], [3, 4]]
    without = [[{"image": "a", "auc": 0.5}]]
    assert [metric.key for metric in metrics_in([tables])] == ["nss", "auc"]
    assert [metric.key for metric in metrics_in([tables, without])] == ["auc"]


def fixed(baseline_seeds: list[int]) -> tuple[Arm, Arm]:
    """A published model, and a baseline with these seeds."""
    (baseline,), _ = arms_of([run("nll", seed) for seed in baseline_seeds])
    return Arm("published", (dataclasses.replace(run("nll"), fixed=DeepGaze3(1, 1.0, 0)),), {}), baseline


def test_against_a_published_model_the_baselines_seeds_alone_are_random():
    """Against one seed's values as constants this is Student's test over images plus the seeds' part."""
    arm, baseline = fixed([0, 1, 2])
    pairing = pairing_of(arm, baseline)
    assert pairing == Pairing([0], [0, 1, 2], FIXED)
    assert pairing_of(*fixed([4])).kind == ONE_TRAINING
    found = difference(Values([OURS[:1]]), Values([BASE]), pairing, "higher")
    expected = crossed_unpaired([OURS[:1]], [BASE])
    assert found.ci95 == pytest.approx(tuple(float(end) for end in expected.ci95))
    assert (found.n_seeds, found.n_images, found.seeds) == (3, 4, FIXED)
    # seeds that do not differ leave the images alone
    still = difference(Values([OURS[:1]]), Values([np.repeat(BASE[:1], 3, 0)]), pairing, "higher")
    t = scipy.stats.ttest_1samp(OURS[0] - BASE[0], 0)
    assert (still.p, still.seeds_part) == (pytest.approx(t.pvalue), 0)
    increase = entropy_increase(np.array([11.0]), np.array([10.0, 10.5, 10.7]), pairing)
    half = scipy.stats.t.ppf(0.975, 2) * np.std([10.0, 10.5, 10.7], ddof=1) / 3**0.5
    assert increase.ci95 == pytest.approx((11.0 - 10.4 - half, 11.0 - 10.4 + half))


def test_a_published_models_own_mean_varies_with_the_images():
    found, once = estimate(Values([OURS[:1]]), fixed=True), estimate(Values([OURS[:1]]))
    assert found.ci95 == pytest.approx(scipy.stats.t.interval(0.95, 3, OURS[0].mean(), scipy.stats.sem(OURS[0])))
    assert found.seeds_part == 0 and once.ci95 is None and once.ci95_over_images == pytest.approx(found.ci95)
