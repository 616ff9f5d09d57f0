"""Studies share the stages in whose settings they agree, and nothing is made before it is used."""

from __future__ import annotations

from collections import Counter

import pytest

from entreg.distributed.ranks import Ranks
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache


def made(cache: StudyCache) -> Counter[str]:
    """Count how often each stage was made."""
    return Counter(name for name, _ in cache.made)


def test_nothing_is_made_before_it_is_asked_for(config_of):
    cache = StudyCache(Ranks())
    Study(config_of(), cache)
    assert not cache.made


def test_studies_share_what_their_settings_agree_in(config_of):
    cache = StudyCache(Ranks())
    study = Study(config_of(), cache)
    other = Study(config_of("loss=nll_entropy", "seed=3", "trainer.epochs=7", "optim.lr=0.1"), cache)
    for ours, theirs in ((other.training, study.training), (other.validation, study.validation)):
        assert ours.parts["synthetic"] is theirs.parts["synthetic"]
    assert other.uniform(study.landscape) is study.uniform(study.landscape)
    # for training and validation each, or for both at once
    assert made(cache) == {
        "split": 2,
        "rows": 2,
        "subset": 2,
        "twins": 1,
        "training_rows": 1,
        "training_subset": 1,
        "stored": 1,
        "data": 1,
        "items": 1,
        "recipe": 1,
        "features": 1,
        "kde": 1,
        "center_bias": 1,
        "uniform": 1,
    }


@pytest.mark.parametrize(
    "word, shared, made_again",
    [
        ("prior.kde_bandwidth=0.05", ["data", "features", "recipe"], ["kde", "center_bias", "split", "uniform"]),
        ("uniform.images=3", ["data", "features", "recipe", "kde", "center_bias", "split"], ["uniform"]),
        ("data.fold=1", ["recipe"], ["data", "kde", "center_bias", "split", "uniform"]),
    ],
)
def test_another_setting_makes_made_again_what_depends_on_it(config_of, word, shared, made_again):
    cache = StudyCache(Ranks())

    def counted(*words):
        study = Study(config_of(*words), cache)
        assert study.training and study.validation and study.uniform(study.landscape)
        return made(cache)

    first, both = counted(), counted(word)
    assert {kind: both[kind] for kind in shared} == {kind: first[kind] for kind in shared}
    assert {kind: both[kind] for kind in made_again} == {kind: 2 * first[kind] for kind in made_again}


def test_caches_share_nothing(config_of):
    study, other = (Study(config_of(), StudyCache(Ranks())) for _ in range(2))
    assert study.data is not other.data


def test_of_a_foreign_set_a_training_reads_what_it_is_recognised_by_and_makes_no_features(config_of):
    cache = StudyCache(Ranks())
    study = Study(config_of(), cache)
    assert study.training and study.validation and study.uniform(study.landscape) and study.fingerprints
    assert made(cache)["fingerprint"] == made(cache)["data"] == 2 and made(cache)["features"] == 1
    assert len(study.foreign("synthetic_ood")) == 6
    assert made(cache)["data"] == made(cache)["features"] == 2
