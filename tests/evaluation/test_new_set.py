"""What leaving sets out says of these sets, and of one not yet seen: simulated studies whose truth is known.

The models of one seed share what they learned of the sets that none of them left out, so that they err together.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from entreg.evaluation.differences import Values
from entreg.evaluation.statistics import LEVEL, Uncertainty, crossed
from tests.conftest import ROOT

STUDIES = 2000
IMAGES = 50
SETS = (3, 4, 5, 8)
# standard deviations of sets and of seeds; 1 is that of images, so that a set's mean over images has 0.14
SPREADS = ((0.03, 0.03), (0.15, 0.05), (0.5, 0.1))
OF_WHAT_IS_LEARNED = 0.5  # of the sets as what is learned from, in shares of that of the sets as what is judged


def studies(
    count: int, seeds: int, spread: tuple[float, float], learned: float = 0.0
) -> tuple[list[np.ndarray], np.ndarray]:
    """For each set (STUDIES, seeds, IMAGES) values with the mean 0 over all sets, and the mean over these sets.

    A model errs by what it learned of each set but the one that was left out: `spread` says how much by the seed, and
    `learned` how much by the set itself, whatever the seed.
    """
    rng, (of_sets, of_seeds) = np.random.default_rng(count), spread
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


def both(count: int, seeds: int, spread: tuple[float, float]) -> tuple[float, float]:
    """The coverage of the interval for these sets, and of that for a set not yet seen."""
    sets, of_these = studies(count, seeds, spread)
    return coverage(crossed(sets), of_these), coverage(of_a_new_set(sets), 0.0)


def of_a_new_set(sets: list[np.ndarray]) -> Uncertainty:
    """As `Values.on_a_new_set`, of many studies at once."""
    return crossed([np.stack([values.mean(-1) for values in sets], -1)])


def test_on_a_new_set_each_set_is_one_value_of_each_seed():
    values = Values([np.array([[1.0, 3.0], [2.0, 6.0]]), np.array([[5.0], [7.0]])]).on_a_new_set()
    assert len(values.sets) == 1 and values.sets[0].tolist() == [[2, 5], [4, 7]]
    assert values.mean == pytest.approx(4.5) and values.images == 2


def test_without_scatter_over_seeds_it_is_students_interval_over_sets():
    """Means 1, 2 and 6 of three sets: 3 plus or minus 4.303 * sqrt(7 / 3), two degrees of freedom."""
    sure = Values([np.full((4, 10), mean) for mean in (1.0, 2.0, 6.0)]).on_a_new_set().uncertainty()
    assert float(sure.df) == pytest.approx(2)
    assert float(sure.half_width) == pytest.approx(4.302653 * np.sqrt(7 / 3), rel=1e-6)


@pytest.mark.parametrize("count", SETS)
def test_both_intervals_hold_the_truth(count):
    found = {spread: both(count, 8, spread) for spread in SPREADS}
    assert all(93 <= percent <= 97 for pair in found.values() for percent in pair), found


def test_an_interval_for_these_sets_does_not_hold_what_is_true_of_others():
    """Which is why there are two: sets differ by more than their images do."""
    sets, _ = studies(5, 8, (0.5, 0.1))
    assert coverage(crossed(sets), 0.0) < 60


@pytest.mark.parametrize("count", SETS)
def test_where_nothing_differs_about_one_in_twenty_is_called(count):
    """As where the seeds count more than the images, which is where Satterthwaite's intervals are narrowest."""
    for sure in called(count, (0.0, 0.1)):
        assert 100 * np.mean(sure.p < LEVEL) <= 7


def called(count: int, spread: tuple[float, float]) -> tuple[Uncertainty, Uncertainty]:
    """Studies of eight seeds in which no set differs: of these sets, and of one not yet seen."""
    sets, _ = studies(count, 8, spread)
    return crossed(sets), of_a_new_set(sets)


@pytest.mark.slow
def test_the_coverage_that_the_documentation_reports(capsys):
    """Prints the table of docs/verdict.md, and holds it against the page."""
    rows = []
    for seeds in (2, 4, 8):
        found = [[both(count, seeds, spread) for spread in SPREADS] for count in SETS]
        for number, name in enumerate(("these sets", "a set not yet seen")):
            cells = [[pair[number] for pair in of_count] for of_count in found]
            rows.append([f"{name}, {seeds} seeds", *(f"{min(cell):.1f} to {max(cell):.1f} %" for cell in cells)])
    cells = []
    for count in SETS:
        each = [studies(count, 8, spread, OF_WHAT_IS_LEARNED)[0] for spread in SPREADS]
        percent = [coverage(of_a_new_set(sets), 0.0) for sets in each]
        cells.append(f"{min(percent):.1f} to {max(percent):.1f} %")
    rows.append(["a set not yet seen, 8 seeds, sets as what is learned from count half as much", *cells])
    for number, name in enumerate(("these sets", "a set not yet seen")):
        each = [
            [100 * np.mean(called(count, (0.0, seeds))[number].p < LEVEL) for seeds in (0.03, 0.05, 0.1)]
            for count in SETS
        ]
        rows.append([f"{name}, nothing differs: called", *(f"{min(of):.1f} to {max(of):.1f} %" for of in each)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    with capsys.disabled():
        print(f"\n{table}")
    page = re.sub(r" +", " ", (ROOT / "docs/verdict.md").read_text())
    assert table in page
