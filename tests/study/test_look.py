"""What a look at a data set counts and chooses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from entreg.config import Data, Prior
from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.study.look import AT_RANDOM, EXAMPLES, FEWEST, MOST, is_first_look, look_at


def data_set(counts: list[int], subject: np.ndarray | None = None) -> DataSet:
    """Images of 200 x 100 px, of which number i has counts[i] fixations, all at x=50, y=75."""
    stimuli = tuple(Stimulus(f"{i}.png", Path(f"{i}.png"), 100, 200) for i in range(len(counts)))
    image = np.repeat(np.arange(len(counts)), counts)
    fixations = Fixations(image, np.full(len(image), 50.0), np.full(len(image), 75.0), subject)
    return DataSet("made up", stimuli, fixations, {"outside the image": 3, "first of a trial": 4})


def look(dataset: DataSet, seed: int = 0, **settings):
    return look_at(dataset, Data(source="folder", name="made up", **settings), Prior(), seed)


def test_counts_are_those_of_the_images_that_the_settings_choose():
    seen = look(data_set([2, 0, 3, 4]), limit=3)
    assert (
        seen.dataset.rows_read == 9 + 3 + 4 and seen.images.tolist() == [0, 1, 2] and seen.counts.tolist() == [2, 0, 3]
    )
    assert len(seen.fixations) == 5 and len(seen.of(2)) == 3 and len(seen.of(1)) == 0
    assert set(seen.shares[0]) == {0.25} and set(seen.shares[1]) == {0.75}


def test_the_fixations_are_copied_only_where_some_images_are_not_chosen():
    dataset = data_set([2, 0, 3, 4])
    assert np.shares_memory(look(dataset).fixations.x, dataset.fixations.x)
    assert not np.shares_memory(look(dataset, limit=3).fixations.x, dataset.fixations.x)


def test_people_are_sorted_by_their_fixations_and_may_be_unknown():
    assert look(data_set([2, 4])).by_person is None
    assert look(data_set([2, 4], np.array([0, 1, 1, 1, 5, 5]))).by_person.tolist() == [3, 2, 1]


def test_the_most_and_the_least_fixated_are_shown_and_others_at_random_by_the_seed():
    dataset = data_set([*range(1, 31)])
    shown = look(dataset).examples
    by_why = {why: [image for image, reason in shown.items() if reason == why] for why in EXAMPLES}
    assert by_why[MOST] == [29, 28, 27, 26] and by_why[FEWEST] == [0, 1, 2, 3]
    assert len(by_why[AT_RANDOM]) == 8 and set(by_why[AT_RANDOM]) <= {*range(4, 26)}
    assert look(dataset).examples == shown and look(dataset, seed=1).examples != shown


@pytest.mark.parametrize("images", [1, 3, 10])
def test_each_image_of_a_small_set_is_shown_once(images):
    assert sorted(look(data_set([1] * images)).examples) == [*range(images)]


def test_the_centre_bias_is_a_density_with_its_peak_where_people_looked():
    density = np.exp(look(data_set([2, 3])).center_bias.astype(float))
    assert density.sum() == pytest.approx(1, abs=1e-4)
    y, x = np.unravel_index(density.argmax(), density.shape)
    assert ((y + 0.5) / density.shape[0], (x + 0.5) / density.shape[1]) == pytest.approx((0.75, 0.25), abs=0.005)


def test_the_first_look_at_a_data_set_is_noted_once(tmp_path):
    assert [is_first_look(tmp_path, name) for name in ("a", "a", "b", "a")] == [True, False, True, False]
