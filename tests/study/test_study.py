"""A study makes what is asked for, once, and shares with other studies what their settings agree in."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from entreg.data.splits import split
from entreg.errors import DataError
from entreg.ranks import Ranks
from entreg.settings import resolved
from entreg.study.study import Stages, Study
from tests.conftest import SMALL


@pytest.fixture
def config_of(composed, store):
    """config_of(*words): the config of the smallest study, changed by these words."""
    return lambda *words: resolved(composed(*SMALL, f"paths.store={store}", *words))


@pytest.fixture
def own(composed, store, tmp_path):
    """own(*words): the config of a data set of six portraits, of which the fourth and the last have no fixation."""
    (tmp_path / "stimuli").mkdir()
    for i in range(6):
        Image.fromarray(np.full((64, 48, 3), 40 * i, dtype=np.uint8)).save(tmp_path / f"stimuli/{i}.png")
    lines = ["image,x,y", *(f"{i}.png,{10 * k},5" for i in (0, 1, 2, 4) for k in range(3))]
    (tmp_path / "fixations.csv").write_text("\n".join(lines))
    place = f"data.root={tmp_path}", f"paths.store={store}"
    size = "data.long_side_px=64", "data.short_side_px=48"
    return lambda *words: resolved(composed("data=folder", "data.folds=2", "ood=[]", *place, *size, *words))


def made(stages: Stages) -> Counter[str]:
    """How often each stage was made."""
    return Counter(name for name, _ in stages.made)


def test_nothing_is_made_before_it_is_asked_for(config_of):
    stages = Stages(Ranks())
    Study(config_of(), stages)
    assert not stages.made


def test_studies_share_what_their_settings_agree_in(config_of):
    stages = Stages(Ranks())
    one = Study(config_of(), stages)
    other = Study(config_of("loss=nll_entropy", "seed=3", "trainer.epochs=7", "optim.lr=0.1"), stages)
    assert other.training is one.training and other.validation is one.validation
    assert other.uniform(one.landscape) is one.uniform(one.landscape)
    # for training and validation each, or for both at once
    assert made(stages) == {
        "part": 2,
        "rows": 2,
        "subset": 2,
        "data": 1,
        "items": 1,
        "recipe": 1,
        "features": 1,
        "kde": 1,
        "center_bias": 1,
        "uniform": 1,
    }


@pytest.mark.parametrize(
    "word, shared, anew",
    [
        ("prior.kde_bandwidth=0.05", ["data", "features", "recipe"], ["kde", "center_bias", "part", "uniform"]),
        ("uniform.images=3", ["data", "features", "recipe", "kde", "center_bias", "part"], ["uniform"]),
        ("data.fold=1", ["recipe"], ["data", "kde", "center_bias", "part", "uniform"]),
    ],
)
def test_another_setting_makes_anew_what_depends_on_it(config_of, word, shared, anew):
    stages = Stages(Ranks())

    def counted(*words):
        study = Study(config_of(*words), stages)
        assert study.training and study.validation and study.uniform(study.landscape)
        return made(stages)

    first, both = counted(), counted(word)
    assert {kind: both[kind] for kind in shared} == {kind: first[kind] for kind in shared}
    assert {kind: both[kind] for kind in anew} == {kind: 2 * first[kind] for kind in anew}


def test_stages_of_their_own_share_nothing(config_of):
    one, other = (Study(config_of(), Stages(Ranks())) for _ in range(2))
    assert one.data is not other.data


def test_training_and_validation_part_the_images_as_the_split_says(config_of):
    config = config_of("data.fold=2")
    study = Study(config, Stages(Ranks()))
    training, validation = split(20, config.data)
    assert study.training.items == training.tolist() and study.validation.items == validation.tolist()
    assert study.training.rows == study.training.items


def test_a_foreign_set_is_not_loaded_for_a_training(config_of):
    stages = Stages(Ranks())
    study = Study(config_of(), stages)
    assert study.training and study.validation and study.uniform(study.landscape) and study.fingerprints
    assert made(stages)["data"] == 1
    assert len(study.foreign("synthetic_ood")) == 6
    assert made(stages)["data"] == 2


@pytest.mark.parametrize("words", [("data=osie",), ("ood=[osie]",), ("ood=[synthetic_ood,osie]",)], ids=str)
def test_a_data_set_that_is_not_there_is_an_error_at_once(composed, store, tmp_path, words):
    config = resolved(composed(f"paths.data={tmp_path}", f"paths.store={store}", *words))
    with pytest.raises(DataError, match=f"The data set osie is not at {tmp_path}/osie"):
        Study(config, Stages(Ranks()))


def test_images_without_fixations_are_left_out_and_that_is_said(own, caplog):
    study = Study(own(), Stages(Ranks()))
    with caplog.at_level(logging.WARNING):
        used = sorted(study.training.items + study.validation.items)
    assert used == [0, 1, 2, 4]
    assert "folder: 2 images without fixations are left out" in caplog.text
    # the store holds the images used, so that its rows are not the data set's numbers
    for part in (study.training, study.validation):
        assert part.rows == [{0: 0, 1: 1, 2: 2, 4: 3}[item] for item in part.items]


def test_without_any_fixation_there_is_nothing_to_learn_from(own):
    """Drawn by this seed is the last image alone."""
    stages = Stages(Ranks())
    config = own("data.sample=1", "data.sample_seed=0")
    with pytest.raises(DataError, match=r"folder: none of the 1 images has fixations"):
        assert Study(config, stages).training


def test_the_landscape_is_the_first_of_the_sizes_even_where_no_image_has_it(config_of, own):
    assert Study(config_of(), Stages(Ranks())).sizes == [(144, 192), (192, 144)]
    assert Study(own(), Stages(Ranks())).sizes == [(48, 64), (64, 48)]


def test_the_fingerprint_of_the_data_is_of_names_and_fixations(own, tmp_path):
    def of_data(*words):
        return Study(own(*words), Stages(Ranks())).fingerprints["data"]

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
    study = Study(config_of("data.geometry=degrees", *angles), Stages(Ranks()))
    assert set(study.training.sizes) == {(288, 384), (384, 288)}
    foreign, stretched = study.foreign("synthetic_ood"), Study(config_of(), Stages(Ranks())).foreign("synthetic_ood")
    assert set(foreign.sizes) == {(72, 96), (96, 72)} and foreign.read(0).shape == (*foreign.sizes[0], 3)
    assert foreign.pooled.x == pytest.approx(stretched.pooled.x / 2)
    assert foreign.center_biases[0].shape in ((18, 24), (24, 18))
    assert study.training.center_biases[0].shape in ((72, 96), (96, 72))
    assert study.sizes == [(144, 192)]
