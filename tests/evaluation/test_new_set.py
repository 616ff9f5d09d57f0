"""What leaving sets out says of these sets, and of one not yet seen: simulated studies whose truth is known.

The models of one seed share what they learned of the sets that none of them left out, so that they err together.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import t

from entreg.evaluation.differences import Values
from entreg.evaluation.statistics import LEVEL, Uncertainty, crossed, on_a_new_set, seeds_to_halve
from tests.conftest import ROOT

STUDIES = 2000  # at a time
IMAGES = 50
SETS = (3, 4, 5, 8)
SEEDS = (2, 4, 8)
# standard deviations of sets and of seeds; 1 is that of images, so that a set's mean over images has 0.14
SPREADS = ((0.03, 0.03), (0.15, 0.05), (0.5, 0.1))
NOTHING = ((0.0, 0.03), (0.0, 0.05), (0.0, 0.1))  # where no set differs
OF_WHAT_IS_LEARNED = 0.5  # of the sets as what is learned from, in shares of that of the sets as what is judged


def studies(
    rng: np.random.Generator, count: int, seeds: int, spread: tuple[float, float], learned: float = 0.0
) -> tuple[list[np.ndarray], np.ndarray]:
    """For each set (STUDIES, seeds, IMAGES) values with the mean 0 over all sets, and the mean over these sets.

    A model errs by what it learned of each set but the one that was left out: `spread` says how much by the seed, and
    `learned` how much by the set itself, whatever the seed.
    """
    of_sets, of_seeds = spread
    judged = of_sets * rng.standard_normal((STUDIES, count))
    by_seed = of_seeds * rng.standard_normal((STUDIES, seeds, count)) / np.sqrt(count - 1)
    by_set = learned * of_sets * rng.standard_normal((STUDIES, 1, count)) / (count - 1)
    errors = sum(part.sum(-1, keepdims=True) - part for part in (by_seed, by_set))
    sets = []
    for number in range(count):
        images = rng.standard_normal((STUDIES, 1, IMAGES)) + 0.5 * rng.standard_normal((STUDIES, seeds, IMAGES))
        sets.append(judged[:, number, None, None] + errors[:, :, number, None] + images)
    return sets, judged.mean(-1)


def coverage(sure: Uncertainty, truth: np.ndarray | float) -> float:
    """Percent of the studies whose interval holds the truth."""
    low, high = sure.ci95
    return float(100 * np.mean((low <= truth) & (truth <= high)))


def both(count: int, seeds: int, spread: tuple[float, float], learned: float = 0.0, times: int = 1) -> np.ndarray:
    """The coverage of the interval for these sets, and of that for a set not yet seen, over times STUDIES studies."""
    rng = np.random.default_rng([count, seeds, *(round(1000 * value) for value in (*spread, learned))])
    found = []
    for _ in range(times):
        sets, of_these = studies(rng, count, seeds, spread, learned)
        found.append((coverage(crossed(sets), of_these), coverage(of_a_new_set(sets), 0.0)))
    return np.mean(found, axis=0)


def of_a_new_set(sets: list[np.ndarray]) -> Uncertainty:
    """As `Values.on_a_new_set`, of many studies at once."""
    return on_a_new_set(np.stack([values.mean(-1) for values in sets], -1))


def test_on_a_new_set_each_set_is_one_value_of_each_seed():
    values = Values([np.array([[1.0, 3.0], [2.0, 6.0]]), np.array([[5.0], [7.0]])]).on_a_new_set()
    assert len(values.sets) == 1 and values.sets[0].tolist() == [[2, 5], [4, 7]]
    assert values.mean == pytest.approx(4.5) and values.images == 2


def test_without_scatter_over_seeds_it_is_students_interval_over_sets():
    """Means 1, 2 and 6 of three sets: 3 plus or minus 4.303 * sqrt(7 / 3), two degrees of freedom."""
    sure = Values([np.full((4, 10), mean) for mean in (1.0, 2.0, 6.0)]).on_a_new_set().uncertainty()
    assert float(sure.df) == pytest.approx(2)
    assert float(sure.half_width) == pytest.approx(4.302653 * np.sqrt(7 / 3), rel=1e-6)


def test_without_scatter_over_sets_it_is_students_interval_over_seeds():
    """Seeds of 1, 2 and 6 on each of four sets: the same, by the seeds' two degrees of freedom."""
    sure = on_a_new_set(np.repeat([[1.0], [2.0], [6.0]], 4, axis=1))
    assert float(sure.df) == pytest.approx(2) and float(sure.mean) == pytest.approx(3)
    assert float(sure.half_width) == pytest.approx(4.302653 * np.sqrt(7 / 3), rel=1e-6)


def test_each_part_has_the_students_factor_of_its_own_degrees_of_freedom():
    """Sets of -1, 0, 1 plus seeds of -2, 0, 0, 2, without a rest: their variances of the mean are 1/3 and 2/3."""
    sure = on_a_new_set(np.add.outer([-2.0, 0.0, 0.0, 2.0], [-1.0, 0.0, 1.0]))
    assert (float(sure.images_variance), float(sure.seeds_variance)) == pytest.approx((1 / 3, 2 / 3))
    assert float(sure.half_width) == pytest.approx(np.sqrt(4.302653**2 / 3 + 3.182446**2 * 2 / 3), rel=1e-6)


def test_what_the_rest_explains_of_the_scatter_over_seeds_counts_once():
    """One value of 3 among nine: each mean square is 1, so that seeds add nothing to the variance 1/9."""
    sure = on_a_new_set(np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    assert (float(sure.variance), float(sure.seeds_variance)) == pytest.approx((1 / 9, 0))
    assert float(sure.half_width) == pytest.approx(4.302653 / 3, rel=1e-6)


def test_trainings_that_are_not_paired_add_their_parts():
    """Two arms of seeds -2, 0, 0, 2 and of one seed less on the same two sets, without any rest."""
    ours, base = (np.add.outer(seeds, [0.0, 0.0]) for seeds in ([-2.0, 0.0, 0.0, 2.0], [-1.0, 0.0, 1.0]))
    sure = on_a_new_set(ours, base, paired=False)
    assert float(sure.variance) == pytest.approx(2 / 3 + 1 / 3)
    assert float(sure.half_width) == pytest.approx(np.sqrt(3.182446**2 * 2 / 3 + 4.302653**2 / 3), rel=1e-6)


def test_seeds_that_would_halve_the_interval_are_those_whose_parts_do():
    """Sets of -1, 0, 1 and three seeds of -9, 0, 9: of the mean 1/3 and, for a single seed, 81."""
    now = on_a_new_set(np.add.outer([-9.0, 0.0, 9.0], [-1.0, 0.0, 1.0]))
    halves = [
        n for n in range(4, 50) if 4.302653**2 / 3 + t.ppf(0.975, n - 1) ** 2 * 81 / n <= float(now.half_width) ** 2 / 4
    ]
    assert seeds_to_halve(now, 3, 3, of_random_sets=True) == halves[0]
    sets_alone = on_a_new_set(np.repeat([[-1.0, 0.0, 1.0]], 3, axis=0) + np.array([[0.1], [0.0], [-0.1]]))
    assert seeds_to_halve(sets_alone, 3, 3, of_random_sets=True) is None


def test_one_training_leaves_the_sets_alone():
    sure = on_a_new_set(np.array([[1.0, 2.0, 6.0]]))
    assert float(sure.df) == pytest.approx(2) and float(sure.seeds_variance) == 0


@pytest.mark.parametrize("count", SETS)
def test_both_intervals_hold_the_truth(count):
    """Within what 2,000 studies leave of 95 %; how it is in 20,000 stands in docs/verdict.md."""
    found = {spread: both(count, 8, spread) for spread in SPREADS}
    assert all(93.4 <= percent <= 97 for pair in found.values() for percent in pair), found


def test_an_interval_for_these_sets_does_not_hold_what_is_true_of_others():
    """Which is why there are two: sets differ by more than their images do."""
    sets, _ = studies(np.random.default_rng(5), 5, 8, (0.5, 0.1))
    assert coverage(crossed(sets), 0.0) < 60


@pytest.mark.parametrize("count", SETS)
def test_where_nothing_differs_about_one_in_twenty_is_called(count):
    """Of 2,000 studies 5 % and three standard errors; where Satterthwaite's degrees of freedom called 6 %."""
    for spread in NOTHING:
        assert all(100 - percent <= 6.5 for percent in both(count, 8, spread))


def test_a_set_is_called_where_its_interval_excludes_0():
    sets, _ = studies(np.random.default_rng(3), 3, 4, (0.15, 0.05))
    sure = of_a_new_set(sets)
    low, high = sure.ci95
    assert np.array_equal(sure.p < LEVEL, (low > 0) | (high < 0))


@pytest.mark.slow
def test_the_coverage_that_the_documentation_reports(capsys):
    """Prints the table of docs/verdict.md, and holds it against the page: 20,000 studies for each number."""
    names = ("these sets", "a set not yet seen")

    def row(words: str, seeds: int, which: int, spreads, learned: float = 0.0) -> str:
        cells = []
        for count in SETS:
            each = [both(count, seeds, spread, learned, times=10)[which] for spread in spreads]
            cells.append(f"{min(each):.1f} to {max(each):.1f} %")
        return f"| {' | '.join([words, *cells])} |"

    rows = [row(f"{name}, {seeds} seeds", seeds, which, SPREADS) for seeds in SEEDS for which, name in enumerate(names)]
    words = "a set not yet seen, 8 seeds, sets as what is learned from count half as much"
    rows.append(row(words, 8, 1, SPREADS, OF_WHAT_IS_LEARNED))
    for seeds in SEEDS:
        rows += [
            row(f"{name}, {seeds} seeds, no set differs", seeds, which, NOTHING) for which, name in enumerate(names)
        ]
    table = "\n".join(rows)
    with capsys.disabled():
        print(f"\n{table}")
    page = re.sub(r" +", " ", (ROOT / "docs/verdict.md").read_text())
    assert table in page
