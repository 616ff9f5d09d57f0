"""Maps of other models are judged as the arms are, on the same images, or refused before anything is judged."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.errors import DataError, SettingError
from entreg.evaluation import scores
from entreg.evaluation.other_models import OtherModels

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def maps(evaluator, tmp_path):
    """The folder of what the regularised arm predicts for the foreign images, as npy files of log densities."""
    (loaded,) = evaluator.loaded["nll_entropy"]
    split = evaluator.runs.split(loaded, "ood.foreign")
    folder = tmp_path / "maps"
    folder.mkdir()
    for i, name in enumerate(split.names):
        np.save(folder / f"{name}.npy", scores.predict(loaded.model, split, i).full()[0].double().numpy())
    return folder


def test_an_arms_own_predictions_are_judged_as_the_arm_is(evaluator, maps):
    others = OtherModels({"same": str(maps)}, evaluator.runs)
    model = others.judge()["same"]
    assert (model.file, model.kinds, list(model.domains)) == (str(maps), ["log density"], ["ood.foreign"])
    rows = evaluator.evidence()["nll_entropy"].rows["ood.foreign"][0]
    assert [row["image"] for row in others.rows] == [row["image"] for row in rows]
    for key in ("ig_bits_per_fixation", "nss", "auc", "sauc", "cc", "sim", "kl_bits"):
        ours = [row[key] for row in rows]
        assert [row[key] for row in others.rows] == pytest.approx(ours, abs=1e-5), key
        cell = model.domains["ood.foreign"][key]
        assert cell.mean == pytest.approx(np.mean(ours), abs=1e-5) and cell.ci95[0] < cell.mean < cell.ci95[1]
    assert {row["model"] for row in others.rows} == {"same"}


def test_the_set_of_the_maps_can_be_named(evaluator, maps):
    model = OtherModels({"same": {"foreign": str(maps)}}, evaluator.runs).judge()["same"]
    assert list(model.domains) == ["ood.foreign"]
    with pytest.raises(
        SettingError, match=r"evaluation.others.same.elsewhere: no such data set .*; there are own, foreign"
    ):
        OtherModels({"same": {"elsewhere": str(maps)}}, evaluator.runs)


def test_a_model_without_maps_of_some_images_is_refused_with_their_name(evaluator, maps, left):
    missing = left["ood.foreign"][3]
    (maps / f"{missing}.npy").unlink()
    with pytest.raises(DataError, match=rf"has maps of 19 images ood.foreign, and none of 1 others, such as {missing}"):
        OtherModels({"same": str(maps)}, evaluator.runs)
    for path in maps.iterdir():
        path.rename(maps / f"of_another_{path.name}")
    with pytest.raises(DataError, match=r"maps has no map of any image that is judged"):
        OtherModels({"same": str(maps)}, evaluator.runs)


def test_a_map_that_may_be_that_of_two_images_is_refused_with_the_way_out(evaluator, maps, monkeypatch):
    """The images of both sets are looked for among the foreign ones, as if they had the same names."""
    stimuli = OtherModels._stimuli
    monkeypatch.setattr(OtherModels, "_stimuli", lambda self, name: stimuli(self, "ood.foreign"))
    with pytest.raises(
        DataError, match=r"may be that of .* in_domain or ood.foreign.*\n  name the set .*same.SET=PATH"
    ):
        OtherModels({"same": str(maps)}, evaluator.runs)


def test_the_name_of_an_arm_is_refused(evaluator, maps):
    with pytest.raises(SettingError, match="^evaluation.others.nll: an arm has this name"):
        OtherModels({"nll": str(maps)}, evaluator.runs)
