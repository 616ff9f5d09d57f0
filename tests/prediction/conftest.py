"""Finished runs that were never trained, as a training leaves them, and photos of any size."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.generated import picture
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.model.deepgaze3 import DeepGaze3
from entreg.priors import center_bias_file
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder
from entreg.runs.provenance import provenance
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from tests.conftest import SMALL
from tests.evaluation.photos import HISTORY


@pytest.fixture(autouse=True)
def alone(one_thread):
    """Every test of this package computes in one thread."""


@pytest.fixture(scope="session")
def cache() -> StudyCache:
    return StudyCache(Ranks())


@pytest.fixture(scope="session")
def made() -> dict[tuple[str, ...], Path]:
    return {}


@pytest.fixture
def finished(composed, store, cache, made, tmp_path, tmp_path_factory) -> Callable[..., RunFolder]:
    """finished(*words, folder=NAME): the folder of a finished run, whose weights are random but not the first ones."""

    def make(*words: str, folder: str = "run") -> RunFolder:
        if words not in made:
            made[words] = tmp_path_factory.mktemp("finished") / "run"
            own = (word for word in SMALL if not word.startswith("ood."))
            taps = "model.backbone.taps=[conv1_2,relu2_2]"
            typed = *own, taps, "ood=[]", f"paths.store={store}", "hardware=cpu", "study=mine", *words
            _write(RunFolder(made[words]), Study(resolved(composed(*typed)), cache))
        shutil.copytree(made[words], tmp_path / folder)
        return RunFolder(tmp_path / folder)

    return make


def _write(place: RunFolder, study: Study) -> None:
    model = DeepGaze3(study.recipe.channels, 4.0, seed=3)
    with torch.no_grad():  # else what the images show hardly counts beside the centre bias
        model.fixation_selection_network.conv2.weight.mul_(8)
    place.write_config(study.config)
    center_bias_file.write(place.center_bias, study.center_bias)
    features = study.recipe.describe(study.sizes)
    place.add_start(provenance("cpu", {"run": 0}, fingerprints=study.fingerprints, features=features))
    checkpoint.write(place.final, {"model": model.state_dict(), "history": HISTORY, "fingerprints": study.fingerprints})


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder with a landscape, a portrait and, in a folder below, a square."""
    folder = tmp_path_factory.mktemp("photos")
    for number, (name, size) in enumerate({"a.jpg": (120, 301), "b.png": (230, 150), "below/a.jpg": (90, 90)}.items()):
        (folder / name).parent.mkdir(exist_ok=True)
        picture(folder / name, size, number)
    return folder
