import json
import logging
from pathlib import Path

import numpy as np
import pytest

from entreg.config import Data
from entreg.data.splits import chosen, folds, split
from entreg.errors import SettingError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "mit1003_split.json").read_text())


def test_mit1003_is_split_as_pysaliency_does():
    training, validation = split(1003, Data(name="mit1003"))
    assert validation.tolist() == GOLDEN["validation_fold_0"]
    assert (len(training), len(validation)) == (902, 101)
    assert [len(fold) for fold in folds(1003, 10, 42)] == GOLDEN["fold_sizes"]


@pytest.mark.parametrize("n, k", [(1003, 10), (120, 5), (11, 10), (7, 2)])
def test_folds_part_the_images(n, k):
    parts = folds(n, k, seed=3)
    assert len(parts) == k
    assert np.sort(np.concatenate(parts)).tolist() == list(range(n))
    assert all(np.all(np.diff(part) > 0) for part in parts)


def test_the_fold_and_the_seed_choose_the_validation_images():
    validation = [split(20, Data(name="a", folds=4, fold=k))[1].tolist() for k in range(4)]
    assert sorted(sum(validation, [])) == list(range(20))
    training, first = split(20, Data(name="a", folds=4, fold=0))
    assert sorted([*training, *first]) == list(range(20))
    assert split(20, Data(name="a", folds=4, split_seed=0))[1].tolist() != first.tolist()


def test_an_empty_fold_is_an_error_that_names_the_settings():
    with pytest.raises(SettingError) as caught:
        split(11, Data(name="mine", folds=10, fold=9, limit=11))  # chunks of 2: fold 6 and later are empty
    for part in ("mine", "11 images", "data.folds=10", "data.fold=9", "validation split", "data.limit", "data.sample"):
        assert part in str(caught.value)
    with pytest.raises(SettingError, match="training split is empty"):
        split(1, Data(name="mine", folds=2))


def test_all_images_are_used_unless_fewer_are_asked_for():
    assert chosen(5, Data(name="a")).tolist() == [0, 1, 2, 3, 4]
    assert chosen(5, Data(name="a", limit=3)).tolist() == [0, 1, 2]
    assert chosen(5, Data(name="a", limit=9)).tolist() == [0, 1, 2, 3, 4]


def test_a_sample_is_drawn_by_its_own_seed_and_the_limit_takes_its_first():
    drawn = chosen(2000, Data(name="a", sample=50, sample_seed=0))
    assert drawn.tolist() == sorted(np.random.RandomState(0).choice(2000, 50, replace=False))
    assert len(set(drawn)) == 50
    assert chosen(2000, Data(name="a", sample=50, limit=10)).tolist() == drawn[:10].tolist()
    assert chosen(2000, Data(name="a", sample=50, sample_seed=1)).tolist() != drawn.tolist()
    assert chosen(2000, Data(name="a", sample=50, split_seed=7)).tolist() == drawn.tolist()


def test_a_sample_of_more_than_there_is_takes_all_and_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        assert chosen(20, Data(name="cat2000", sample=50)).tolist() == list(range(20))
    assert "sample=50, but there are only 20 images" in caplog.text
