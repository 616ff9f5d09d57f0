"""What an evaluation makes once: judged images without those that were trained on, and foreign sets to adapt to."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
import torch

from entreg.evaluate.stages import JudgedStages
from entreg.ranks import Ranks
from entreg.settings import resolved
from entreg.study.study import Stages, Study
from tests.evaluate.photos import FIXATIONS, name_of, words, write_sets


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of the sets, and the seeds of own's training and validation images."""
    folder = tmp_path_factory.mktemp("place")
    return folder, *write_sets(folder)


@pytest.fixture
def config(composed, store, place):
    return resolved(composed(*words(place[0], store)))


@pytest.fixture
def stages():
    return JudgedStages(Ranks())


def test_judged_images_that_were_trained_on_are_named_with_what_they_copy(stages, config, place):
    _, training, validation = place
    assert stages.seen(config.ood["foreign"], "all", config.data) == {
        name_of(103): name_of(training[0]),
        name_of(110): name_of(training[7]),
    }
    assert stages.seen(config.data, "validation", config.data) == {name_of(validation[1]): name_of(training[4])}


def test_another_fold_has_trained_on_other_images(stages, composed, store, place):
    """With the validation image among the training images its copy was seen."""
    where, _, validation = place
    config = resolved(composed(*words(where, store), "data.fold=1"))
    assert stages.seen(config.ood["foreign"], "all", config.data)[name_of(120)] == name_of(validation[0])


def test_images_that_are_left_out_are_not_judged(stages, config):
    settings = config.ood["foreign"]
    every = stages.domain(settings, "all", config.prior)
    without = stages.domain(settings, "all", config.prior, (name_of(103), name_of(110)))
    assert len(every.subset) == 22 and without.subset.names == [
        name for name in every.subset.names if name not in (name_of(103), name_of(110))
    ]
    # people looked at them all the same: priors are of the whole set
    assert without.kde_images == every.kde_images == 22
    assert without.subset.counts.sum() == 20 * FIXATIONS


def test_each_product_is_made_once(stages, config, caplog):
    settings = config.ood["foreign"]
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert stages.domain(settings, "all", config.prior) is stages.domain(settings, "all", config.prior)
            assert stages.seen(settings, "all", config.data) is stages.seen(settings, "all", config.data)
    counted = Counter(name for name, _ in stages.made)
    assert (counted["domain"], counted["seen"], counted["data"]) == (1, 1, 2)


def test_a_foreign_set_is_adapted_to_with_twenty_images(stages, config):
    settings = config.ood["foreign"]
    two = (name_of(103), name_of(110))
    target = stages.target(settings, config.prior, two, 4, 0)
    assert target is not None and (target.n_images, target.n_folds) == (20, 5)
    assert stages.target(settings, config.prior, two, 4, 0) is target
    assert stages.target(settings, config.prior, two, 4, 1) is not target
    assert stages.target(settings, config.prior, (*two, name_of(104)), 4, 0) is None


def test_features_of_judged_images_alone_are_built_where_the_trainings_are_not_there(composed, place, store, tmp_path):
    """As on a login node; with the training's own store nothing is built, and both hold the same."""
    folder = place[0]
    alone, own = (resolved(composed(*words(folder, path))) for path in (tmp_path / "store", store))
    assert len(Study(own, Stages(Ranks())).training) == 9
    found = [Study(config, JudgedStages(Ranks())).validation for config in (alone, own)]
    assert [len(part.store.names) for part in found] == [len(found[0]), 12]
    assert found[0].names == found[1].names and len(found[0]) == 3
    for i in range(3):
        one, other = (part.batch([i]).features[0] for part in found)
        assert torch.equal(one, other)
    assert len([path for path in (tmp_path / "store/features").iterdir() if path.is_dir()]) == 1
