"""Runs that learned from several sets predict as for images of one of them, or of none."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import entreg
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError, SettingError
from entreg.evaluation.evaluated_runs import load_model
from entreg.evaluation.scores import predict
from entreg.prediction import map_files
from entreg.prediction.trained_model import TrainedModel
from entreg.priors import center_bias_file
from entreg.priors.center_bias import CenterBias
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import finished as finished_run
from entreg.study.finished_run import saved
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.tasks.predict import predict_all
from tests import several_sets
from tests.evaluation.photos import trained

FIRST, SECOND = several_sets.NAMES
OWN = "model.per_set=[center_bias,scale,spread]"


@pytest.fixture
def folder(composed, store, cache, tmp_path) -> RunFolder:
    """That of a run whose sets have numbers of their own, and centre biases of their own."""
    return made(tmp_path / "run", composed, store, cache, OWN)


def made(path, composed, store, cache, *more: str) -> RunFolder:
    words = several_sets.words(several_sets.NAMES, f"paths.store={store}", "study=s", *more)
    run = trained(path, resolved(composed(*words)), cache, 3)
    center_bias_file.write(run.folder.center_bias, Study(run.config, cache).center_bias)
    return run.folder


@pytest.mark.parametrize("of_set", several_sets.NAMES)
def test_as_for_images_of_a_set_it_is_what_evaluation_computes_there(folder, of_set):
    run = finished_run(folder, saved(folder))
    study = Study(run.config, StudyCache(Ranks()))
    part, model = study.validation.parts[of_set], load_model(run, study)
    as_of_set, as_of_none = (entreg.load(folder.path, device="cpu", set=name) for name in (of_set, None))
    for i, stimulus in enumerate(part.stimuli):
        expected = predict(model.of_each_set()[of_set], part, i).full()[0]
        np.testing.assert_allclose(as_of_set.log_density(stimulus.path), expected, atol=1e-5, rtol=0)
        assert np.abs(as_of_none.log_density(stimulus.path) - expected.numpy()).max() > 0.05


def test_a_set_has_its_centre_bias_without_numbers_of_its_own_as_well(composed, store, cache, tmp_path):
    folder = made(tmp_path / "run", composed, store, cache)
    biases = [entreg.load(folder.path, device="cpu", set=name).center_bias for name in (None, FIRST, SECOND)]
    assert all(isinstance(bias, CenterBias) for bias in biases)
    maps = [bias.map((64, 96)) for bias in biases]
    assert not np.array_equal(maps[0], maps[1]) and not np.array_equal(maps[1], maps[2])


def test_the_log_says_which_numbers_predict(folder, caplog):
    with caplog.at_level(logging.INFO):
        entreg.load(folder.path, device="cpu")
        trained_model: TrainedModel = entreg.load(folder.path, device="cpu", set=SECOND)
    numbers = finished_run(folder, saved(folder)).own_numbers()[SECOND]
    average, own = [line for line in caplog.messages if line.startswith("predicting")]
    assert average == (
        f"predicting with the centre bias of {FIRST}, {SECOND} together, and with the averages of their own numbers"
    )
    said = "scale {scale:.3f}, sigma_px {sigma_px:.3f}, center_bias_weight {center_bias_weight:.3f}".format(**numbers)
    assert own == f"predicting as for images of {SECOND}: with its centre bias, {said}"
    assert trained_model.model.finalizer.gauss.sigma.item() == pytest.approx(numbers["sigma_px"])


def test_the_module_has_the_numbers_as_well(folder):
    trained_model = entreg.load(folder.path, device="cpu", set=FIRST)
    (head, *_) = trained_model.module.landscape.heads
    assert float(head.weight) == pytest.approx(trained_model.model.finalizer.center_bias_weight.item())


def test_an_unknown_set_is_refused_with_the_nearest(folder, finished, tmp_path):
    with pytest.raises(SettingError, match=rf"^set=synthetic_odd: {folder} did not learn from it; near it .*{SECOND}"):
        entreg.load(folder.path, device="cpu", set="synthetic_odd")
    one = finished(folder="one")
    assert entreg.load(one.path, device="cpu", set="synthetic").run.folder.path == one.path
    with pytest.raises(SettingError, match=r"^set=osie: .* did not learn from it; there are synthetic$"):
        entreg.load(one.path, device="cpu", set="osie")


def test_a_set_that_was_left_out_was_not_learned_from(composed, store, cache, tmp_path):
    folder = made(tmp_path / "run", composed, store, cache, f"leave_out={FIRST}")
    with pytest.raises(SettingError, match=rf"^set={FIRST}: .* did not learn from it; near it is {SECOND}$"):
        entreg.load(folder.path, device="cpu", set=FIRST)
    of_set, of_none = (entreg.load(folder.path, device="cpu", set=name).center_bias for name in (SECOND, None))
    assert np.array_equal(of_set.map((64, 96)), of_none.map((64, 96)))


def test_a_folder_without_the_centre_bias_of_each_set_predicts_for_none(folder):
    whole = center_bias_file.read(folder.center_bias, "kde", 4)
    center_bias_file.write(folder.center_bias, CenterBias("kde", whole.prior, 4, whole.kde))
    entreg.load(folder.path, device="cpu")
    with pytest.raises(DataError, match=rf"^{folder.center_bias}: .*{FIRST}"):
        entreg.load(folder.path, device="cpu", set=FIRST)


def test_a_folder_of_images_is_predicted_as_for_one_set_and_goes_on_for_no_other(folder, composed, photos, tmp_path):
    def config(*words: str):
        typed = f"run={folder.path}", f"images={photos}", f"paths.store={tmp_path}/store", "prediction.pictures=false"
        return resolved(composed("task=predict", "hardware=cpu", "study=p", *typed, *words))

    predicted = RunFolder(tmp_path / "predicted")
    assert predict_all(Ranks(), config(f"prediction.set={SECOND}"), predicted) == 3
    expected = entreg.load(folder.path, device="cpu", set=SECOND).log_density(photos / "a.jpg")
    assert np.array_equal(map_files.read(predicted.log_density("a.jpg")), expected.astype(np.float32))
    for words in ((), (f"prediction.set={FIRST}",)):
        with pytest.raises(SettingError, match=r"these settings differ: prediction\.set"):
            predicted.refuse_other_config(config(*words))
    with pytest.raises(SettingError, match="did not learn from it; there are"):
        predict_all(Ranks(), config("prediction.set=osie"), RunFolder(tmp_path / "other"))
