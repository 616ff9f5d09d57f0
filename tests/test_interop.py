"""A run as pysaliency sees it. With a stand-in for pysaliency, and (slow) with pysaliency itself."""

from __future__ import annotations

import shutil
import sys
from types import ModuleType, SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image

import entreg
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import UserError
from entreg.evaluation.evaluated_runs import load_model
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.scores import score
from entreg.interop import memory_data, pysaliency_model
from entreg.priors.gaussian import gaussian_log_prior
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import finished as finished_run
from entreg.study.finished_run import saved
from entreg.study.study import Study
from entreg.tasks.predict import predict_all
from tests.environments import by_pysaliency
from tests.prediction.conftest import cache, finished, made  # noqa: F401

pytestmark = pytest.mark.usefixtures("one_thread")


class Model:
    """As pysaliency's: asks a subclass for the density of a stimulus."""

    def __init__(self, caching=True):
        self.caching = caching

    def log_density(self, stimulus):
        return self._log_density(stimulus)


class Stimulus:
    def __init__(self, stimulus_data):
        self.stimulus_data = stimulus_data


def test_a_run_is_a_model_of_pysaliencys(finished, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "pysaliency", stand_in := ModuleType("pysaliency"))
    stand_in.Model = Model
    run = finished().path
    model, trained = pysaliency_model(run, device="cpu"), entreg.load(run, device="cpu")
    assert isinstance(model, Model) and model.caching is False
    rgb = np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8)
    for image in (rgb, rgb[..., 0]):
        expected = trained.log_density(image)
        assert np.array_equal(model.log_density(image), expected)
        assert np.array_equal(model.log_density(Stimulus(image)), expected)


@pytest.mark.parametrize("mode", ["I;16", "CMYK"])
def test_stimuli_in_files_are_read_as_a_training_reads_them(finished, monkeypatch, tmp_path, mode):  # noqa: F811
    monkeypatch.setitem(sys.modules, "pysaliency", stand_in := ModuleType("pysaliency"))
    stand_in.Model = Model
    path = tmp_path / "a.tif"
    values = np.random.default_rng(0).integers(0, 65536, (70, 110), dtype=np.uint16)
    grey = Image.fromarray(values)
    (grey if mode == "I;16" else Image.fromarray(values.view(np.uint8).reshape(70, 55, 4), "CMYK")).save(path)
    with Image.open(path) as image:
        assert image.mode == mode
        stimulus = Stimulus(np.array(image))
    run = finished().path
    model, expected = pysaliency_model(run, device="cpu"), entreg.load(run, device="cpu").log_density(path)
    if mode == "I;16":
        assert np.array_equal(model.log_density(stimulus), expected)
    stimulus.stimuli, stimulus.index = SimpleNamespace(filenames=["other.png", str(path)]), 1
    assert np.array_equal(model.log_density(stimulus), expected)


def test_without_pysaliency_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysaliency", None)
    with pytest.raises(UserError, match="pysaliency cannot be imported .*: pip install pysaliency"):
        pysaliency_model("anything")


@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_stimuli_and_fixations_of_pysaliency_s_are_data_in_memory(tmp_path, kind):
    """As its classes hold them: `subjects` in its releases, `subject` in its repository."""
    wide = np.full((20, 30), 65535, np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    stimuli = SimpleNamespace(stimuli=[wide])
    if kind == "files":
        stimuli.filenames = [str(tmp_path / "a.png")]
    where = {"n": np.array([0, 0]), "x": np.array([1.5, 2]), "y": np.array([3.0, 4])}
    for people, expected in (({"subjects": [7, 9]}, [0, 1]), ({"subject": [7, 7]}, None), ({}, None)):
        data = memory_data("mine", stimuli, SimpleNamespace(**where, **people))
        assert data.x.tolist() == [1.5, 2] and data.image.tolist() == [0, 0] and data.order is None
        assert (data.subject if expected is None else data.subject.tolist()) == expected
        (image,) = data.images
        assert image == str(tmp_path / "a.png") if kind == "files" else (image == 255).all()


@pytest.mark.slow
def test_pysaliency_computes_our_information_gain(composed, finished, tmp_path):  # noqa: F811
    """At equal geometry, over the Gaussian prior, image by image: to 1e-6 bit. Its environment takes a minute."""
    folder = finished("data.fold=2")
    study = Study(finished_run(folder, saved(folder)).config, EvaluationCache(Ranks()))
    config, (part,) = study.config, study.validation.parts.values()
    run = finished_run(folder, saved(folder))
    domain = study._cache.domain(config.data, "validation", config.prior)
    ours = [row["ig_bits_per_fixation"] for row in score([(load_model(run, study), part)], domain)[0].rows]

    priors = []
    for size in sorted(set(part.sizes)):
        priors.append(str(tmp_path / f"prior_{size[0]}.npy"))
        prior = config.prior
        np.save(priors[-1], gaussian_log_prior(*size, *size, prior.gaussian_variance, prior.gaussian_nu))
    images = tmp_path / "images"
    images.mkdir()
    for stimulus in part.stimuli:
        shutil.copy(stimulus.path, images / stimulus.name)
    words = "task=predict", f"run={folder}", f"images={images}", "prediction.hdf5=true", "study=p", "hardware=cpu"
    predicted = RunFolder(tmp_path / "predicted")
    predict_all(Ranks(), resolved(composed(*words, "prediction.pictures=false")), predicted)

    found = by_pysaliency(
        "judge.py",
        {
            "stimuli": [str(images / stimulus.name) for stimulus in part.stimuli],
            "run": str(folder),
            "priors": priors,
            "x": part.pooled.x.tolist(),
            "y": part.pooled.y.tolist(),
            "n": part.pooled.image.tolist(),
            "hdf5": str(predicted.log_densities),
        },
        tmp_path,
    )
    for name in ("interop", "hdf5"):
        np.testing.assert_allclose(found["per_image"][name], ours, atol=1e-6, rtol=0)
        weighted = np.average(ours, weights=part.counts)
        assert found["mean"][name] == pytest.approx(weighted, abs=1e-6)
    assert np.ptp(ours) > 0.01
    with h5py.File(predicted.log_densities) as file:
        assert sorted(file) == found["keys"]
