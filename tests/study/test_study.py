"""The splits, sizes and fingerprints of a study."""

from __future__ import annotations

import logging

import pytest

from entreg.config.settings import resolved
from entreg.data.splits import split
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache


def test_training_and_validation_part_the_images_as_the_split_says(config_of):
    config = config_of("data.fold=2")
    study = Study(config, StudyCache(Ranks()))
    trained, validated = (part.parts["synthetic"] for part in (study.training, study.validation))
    training, validation = split(20, config.data)
    assert trained.items == training.tolist() and validated.items == validation.tolist()
    assert trained.rows == trained.items


@pytest.mark.parametrize("words", [("data=osie",), ("ood=[osie]",), ("ood=[synthetic_ood,osie]",)], ids=str)
def test_a_data_set_that_is_not_there_is_an_error_at_once(composed, store, tmp_path, words):
    config = resolved(composed(f"paths.data={tmp_path}", f"paths.store={store}", *words))
    with pytest.raises(DataError, match=f"The data set osie is not at {tmp_path}/osie"):
        Study(config, StudyCache(Ranks()))


def test_images_without_fixations_are_left_out_and_that_is_said(own, caplog):
    study = Study(own(), StudyCache(Ranks()))
    with caplog.at_level(logging.WARNING):
        parts = [pooled.parts["folder"] for pooled in (study.training, study.validation)]
        used = sorted(item for part in parts for item in part.items)
    assert used == [0, 1, 2, 4]
    assert "folder: 2 images without fixations are left out" in caplog.text
    # the store holds the images used, so that its rows are not the data set's numbers
    for part in parts:
        assert part.rows == [{0: 0, 1: 1, 2: 2, 4: 3}[item] for item in part.items]


def test_without_any_fixation_there_is_nothing_to_learn_from(own):
    """Drawn by this seed is the last image alone."""
    cache = StudyCache(Ranks())
    config = own("data.sample=1", "data.sample_seed=0")
    with pytest.raises(DataError, match=r"folder: none of the 1 images has fixations"):
        assert Study(config, cache).training


def test_the_landscape_is_the_first_of_the_sizes_even_where_no_image_has_it(config_of, own):
    assert Study(config_of(), StudyCache(Ranks())).sizes == [(144, 192), (192, 144)]
    assert Study(own(), StudyCache(Ranks())).sizes == [(48, 64), (64, 48)]


def test_the_fingerprint_of_the_data_is_of_names_and_fixations(own, tmp_path):
    def of_data(*words):
        return Study(own(*words), StudyCache(Ranks())).fingerprints["data"]

    first = of_data()
    assert len(first) == 64 and of_data("data.fold=1", "data.name=another") == first
    assert of_data("data.limit=4") != first
    table = tmp_path / "fixations.csv"
    table.write_text(table.read_text().replace("1.png,10,5", "1.png,11,5"))
    moved = of_data()
    assert moved != first
    table.write_text(table.read_text().replace("1.png,11,5", "1.png,10,5").replace("4.png", "5.png"))
    assert of_data() not in (first, moved)


def test_by_degree_images_keep_their_shapes_and_foreign_ones_the_angle(config_of):
    """All are stored with 144x192 pixels, a degree with 10 or 40 of them; the model sees it with 20."""
    angles = "data.px_per_degree=10", "data.model_px_per_degree=20", "ood.synthetic_ood.px_per_degree=40"
    study = Study(config_of("data.geometry=degrees", *angles), StudyCache(Ranks()))
    assert set(study.training.sizes) == {(288, 384), (384, 288)}
    foreign, stretched = (
        study.foreign("synthetic_ood"),
        Study(config_of(), StudyCache(Ranks())).foreign("synthetic_ood"),
    )
    assert set(foreign.sizes) == {(72, 96), (96, 72)} and foreign.read(0).shape == (*foreign.sizes[0], 3)
    assert foreign.pooled.x == pytest.approx(stretched.pooled.x / 2)
    assert foreign.center_biases[0].shape in ((18, 24), (24, 18))
    assert study.training.parts["synthetic"].center_biases[0].shape in ((72, 96), (96, 72))
    assert study.sizes == [(144, 192)]
