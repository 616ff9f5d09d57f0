"""What an evaluation makes once: judged images without those that were trained on, and foreign sets to adapt to."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
import torch

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.study.training_sets import training_sets_of
from tests.evaluation.photos import FIXATIONS, name_of, words, write_sets


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of the sets, and the seeds of own's training and validation images."""
    folder = tmp_path_factory.mktemp("place")
    return folder, *write_sets(folder)


@pytest.fixture
def config(composed, store, place):
    return resolved(composed(*words(place[0], store)))


@pytest.fixture
def cache():
    return EvaluationCache(Ranks())


def test_judged_images_that_were_trained_on_are_named_with_what_they_copy(cache, config, place):
    _, training, validation = place
    assert cache.seen(config.ood["foreign"], "all", training_sets_of(config)) == {
        name_of(103): name_of(training[0]),
        name_of(110): name_of(training[7]),
    }
    assert cache.seen(config.data, "validation", training_sets_of(config)) == {
        name_of(validation[1]): name_of(training[4])
    }


def test_another_fold_has_trained_on_other_images(cache, composed, store, place):
    """With the validation image among the training images its copy was seen."""
    where, _, validation = place
    config = resolved(composed(*words(where, store), "data.fold=1"))
    assert cache.seen(config.ood["foreign"], "all", training_sets_of(config))[name_of(120)] == name_of(validation[0])


def test_images_that_are_left_out_are_not_judged(cache, config):
    settings = config.ood["foreign"]
    every = cache.domain(settings, "all", config.prior)
    without = cache.domain(settings, "all", config.prior, (name_of(103), name_of(110)))
    assert len(every.subset) == 22 and without.subset.names == [
        name for name in every.subset.names if name not in (name_of(103), name_of(110))
    ]
    # people looked at them all the same: priors are of the whole set
    assert without.kde_images == every.kde_images == 22
    assert without.subset.counts.sum() == 20 * FIXATIONS


def test_each_product_is_made_once(cache, config, caplog):
    settings = config.ood["foreign"]
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert cache.domain(settings, "all", config.prior) is cache.domain(settings, "all", config.prior)
            assert cache.seen(settings, "all", training_sets_of(config)) is cache.seen(
                settings, "all", training_sets_of(config)
            )
    counted = Counter(name for name, _ in cache.made)
    assert (counted["domain"], counted["seen"], counted["data"]) == (1, 1, 2)


def test_a_foreign_set_is_adapted_to_with_twenty_images(cache, config):
    settings = config.ood["foreign"]
    two = (name_of(103), name_of(110))
    data = cache.adaptation_data(settings, config.prior, two, 4, 0)
    assert data is not None and (data.n_images, data.n_folds) == (20, 5)
    assert cache.adaptation_data(settings, config.prior, two, 4, 0) is data
    assert cache.adaptation_data(settings, config.prior, two, 4, 1) is not data
    assert cache.adaptation_data(settings, config.prior, (*two, name_of(104)), 4, 0) is None


def test_features_of_judged_images_alone_are_built_where_the_trainings_are_not_there(composed, place, store, tmp_path):
    """As on a login node; with the training's own store nothing is built, and both hold the same."""
    folder = place[0]
    alone, own = (resolved(composed(*words(folder, path))) for path in (tmp_path / "store", store))
    assert len(Study(own, StudyCache(Ranks())).training) == 9
    found = [Study(config, EvaluationCache(Ranks())).validation.parts["own"] for config in (alone, own)]
    assert [len(part.store.names) for part in found] == [len(found[0]), 12]
    assert found[0].names == found[1].names and len(found[0]) == 3
    for i in range(3):
        one, other = (part.batch([i]).features[0] for part in found)
        assert torch.equal(one, other)
    assert len([path for path in (tmp_path / "store/features").iterdir() if path.is_dir()]) == 1
