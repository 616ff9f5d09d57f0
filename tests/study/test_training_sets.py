"""Which training images of several sets are used: equal shares of a budget, and no twin of a judged image."""

from __future__ import annotations

import logging
import shutil

import pytest
import torch

from entreg.config import Data
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import SettingError
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.study.training_sets import TrainingSets, drawn, weights
from tests.evaluation.photos import name_of, write_set


def sets_of(images: int | None, *names: str, seed: int = 0) -> TrainingSets:
    return TrainingSets(tuple(Data(name=name) for name in names), images, seed)


def test_a_budget_is_shared_equally_and_the_first_sets_get_what_is_left_over():
    rows = [list(range(10)), list(range(100, 120)), list(range(200, 230))]
    chosen = drawn(rows, sets_of(11, "a", "b", "c"))
    assert [len(of_set) for of_set in chosen] == [4, 4, 3]
    for of_set, there in zip(chosen, rows, strict=True):
        assert set(of_set) <= set(there) and of_set == sorted(set(of_set))
    assert drawn(rows, sets_of(11, "a", "b", "c")) == chosen != drawn(rows, sets_of(11, "a", "b", "c", seed=1))


def test_all_images_are_used_without_a_budget_and_with_the_greatest_one():
    rows = [[3, 5], [0, 1]]
    assert drawn(rows, sets_of(None, "a", "b")) == rows == drawn(rows, sets_of(4, "a", "b"))


def test_more_than_the_smallest_set_has_is_refused_with_the_greatest_budget():
    rows = [list(range(10)), list(range(4)), list(range(7))]
    with pytest.raises(SettingError, match=r"^sets_images=13: b has 4 training images, .* at most sets_images=12$"):
        drawn(rows, sets_of(13, "a", "b", "c"))


def test_a_set_of_which_no_image_is_left_is_refused():
    with pytest.raises(SettingError, match=r"^b: all of its training images are judged in another set"):
        drawn([[1], []], sets_of(None, "a", "b"))


def test_the_weights_of_images_are_1_on_average_and_sets_weigh_the_same_where_that_is_asked_for():
    assert weights({"a": 30, "b": 10}, "images") == {"a": 1.0, "b": 1.0}
    assert weights({"a": 30, "b": 10}, "sets") == pytest.approx({"a": 2 / 3, "b": 2.0})


@pytest.fixture
def study_of(composed, store, tmp_path):
    """study_of(*words): the study of the sets `first` and `second` of photos in tmp_path, four folds each."""

    def build(*words: str) -> Study:
        each = ("folds=4", "long_side_px=96", "short_side_px=72")
        roots = [f"sets.{name}.root={tmp_path / name}" for name in ("first", "second")]
        sizes = [f"sets.{name}.{word}" for name in ("first", "second") for word in each]
        names = "+data@sets.first=folder", "+data@sets.second=folder", "ood=[]", "data=first_of_sets"
        taps = "model.backbone.taps=[conv1_2,relu2_2]"
        return Study(
            resolved(composed(taps, *names, *sizes, *roots, f"paths.store={store}", *words)), StudyCache(Ranks())
        )

    return build


def test_a_training_image_that_another_set_is_judged_on_leaves_and_is_named(study_of, tmp_path, caplog):
    """An image of `second` is saved anew, at half the size, from a validation image of `first`."""
    write_set(tmp_path / "first", range(8))
    write_set(tmp_path / "second", range(20, 28))
    before = study_of()
    validated = before.validation.parts["first"].names[0]
    left = before.training.parts["second"].names[1]
    shutil.rmtree(tmp_path / "second")
    copied = {int(left.removesuffix(".jpg")): tmp_path / "first/stimuli" / validated}
    write_set(tmp_path / "second", range(20, 28), copied)
    with caplog.at_level(logging.WARNING):
        study = study_of()
        trained = study.training.parts
    assert trained["first"].names == before.training.parts["first"].names
    assert trained["second"].names == [name for name in before.training.parts["second"].names if name != left]
    said = f"second: 1 training images are not trained on, since they are judged in another set: {left} (as first/"
    assert f"{said}{validated})" in caplog.text
    assert study.images_by_set() == {
        "first": {"training": 6, "validation": 2, "twins": {}},
        "second": {"training": 5, "validation": 2, "twins": {left: f"first/{validated}"}},
    }
    # nor does anybody's gaze on it enter the centre bias
    (_, _, image), number = study.center_bias.kde.fixations, len(trained["first"]) + len(trained["second"])
    assert len({*image.tolist()}) == number == 11
    # nobody is judged by `second` alone, so that `first` keeps all
    assert name_of(0) in trained["first"].names + study.validation.parts["first"].names


def test_one_set_under_two_names_keeps_its_split(study_of, tmp_path):
    """Its validation images are the same under both names, so that no training image is judged."""
    write_set(tmp_path / "first", range(8))
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    study = study_of()
    for part in (study.training, study.validation):
        assert part.parts["first"].names == part.parts["second"].names
    assert len(study.training) == 12 and len(study.validation) == 4


def test_of_a_set_that_is_left_out_nothing_is_learned_and_its_twins_leave(study_of, tmp_path):
    """An image of `second`, whatever its part there, is saved anew from one that `first` trains on."""
    write_set(tmp_path / "first", range(8))
    write_set(tmp_path / "second", range(20, 28))
    left = study_of().training.parts["first"].names[2]
    shutil.rmtree(tmp_path / "second")
    write_set(tmp_path / "second", range(20, 28), {21: tmp_path / "first/stimuli" / left})
    study = study_of("leave_out=second")
    assert [*study.training.parts] == [*study.validation.parts] == ["first"]
    assert left not in study.training.names and len(study.training) == 5
    assert study.images_by_set()["first"]["twins"] == {left: f"second/{name_of(21)}"}
    judged = study.not_learned(study.trained_on.left_out)
    assert len(judged) == 8 and [*study.sets] == ["sets.first", "sets.second"]
    # the model knows where people look from `first` alone
    assert len(study.center_bias.kde.fixations[0]) == study.training.counts.sum()
    assert torch.equal(judged.center_biases[0], study.center_bias.map(judged.sizes[0]))
