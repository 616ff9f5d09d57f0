"""The registry of the data sources."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys

import pytest
from PIL import Image

from entreg.config import Data
from entreg.data import sources as package
from entreg.data.sources import check, folder, load, settings_of, sources, synthetic
from entreg.errors import DataError, SettingError
from tests.conftest import ROOT

MODULES = sorted(path.stem for path in (ROOT / "entreg/data/sources").glob("*.py") if path.stem != "__init__")

MADE_UP = """
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from PIL import Image
from entreg.config import Data
from entreg.config.settings import setting
from entreg.data.dataset import DataSet, Fixations, Stimulus

@dataclass
class Settings(Data):
    depth: int = setting(3, "depth", {keyword}="result")

def load(settings):
    picture = Path(settings.root) / "a.png"
    Image.new("L", (40, 30)).save(picture)
    one = Fixations(np.zeros(1, np.int64), np.ones(1), np.ones(1))
    return DataSet("made up", (Stimulus("a.png", picture, 30, 40),), one, {{"deep": settings.depth}})
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """own_module(text): a module made_up.py of one's own with this text lies among the sources."""

    def write(text: str) -> None:
        (tmp_path / "made_up.py").write_text(text)

    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    package._modules.cache_clear()
    yield write
    monkeypatch.undo()
    package._modules.cache_clear()
    sys.modules.pop("entreg.data.sources.made_up", None)
    vars(package).pop("made_up", None)


def test_every_module_is_a_source():
    assert list(sources()) == MODULES and MODULES
    for name, settings in sources().items():
        assert settings.__module__ == f"entreg.data.sources.{name}"
        assert dataclasses.is_dataclass(settings) and issubclass(settings, Data)


@pytest.mark.parametrize("name", MODULES)
def test_a_loader_takes_the_settings_of_its_module(name):
    assert settings_of(name) is sources()[name]
    module = importlib.import_module(f"entreg.data.sources.{name}")
    (parameter,) = inspect.signature(module.load, eval_str=True).parameters.values()
    assert parameter.annotation is sources()[name]


@pytest.mark.parametrize("name", ["elsewhere", "os.system", "entreg.data.sources.folder", "", "__init__", ["a"], 3])
def test_a_source_that_nobody_knows_is_refused_with_those_that_are_known(name):
    with pytest.raises(SettingError) as caught:
        settings_of(name, "ood.mine")
    assert str(caught.value).startswith("ood.mine.source=")
    assert str(caught.value).endswith(f"this source does not exist; there are {', '.join(MODULES)}")


def test_settings_of_another_source_are_refused():
    settings = folder.Settings(source="synthetic", name="mine")
    for refused in (lambda: check(settings, "data"), lambda: load(settings)):
        with pytest.raises(SettingError, match=r"source=synthetic: .* with `defaults: \[schema_synthetic, _self_\]`"):
            refused()
    check(synthetic.Settings(source="synthetic"), "data")


def test_a_new_module_is_found_by_itself(own_module, tmp_path):
    own_module(MADE_UP.format(keyword="affects"))
    assert list(sources()) == sorted([*MODULES, "made_up"])
    assert load(settings_of("made_up")(source="made_up", root=str(tmp_path))).dropped == {"deep": 3}


def test_a_set_of_which_no_fixation_is_left_is_refused_with_what_became_of_them(tmp_path):
    (tmp_path / "stimuli").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "stimuli/a.png")
    (tmp_path / "fixations.csv").write_text("image,x,y,order\na.png,1,1,0\na.png,99,1,1\n")
    said = r"no fixation is left; read: 2, dropped: 1 first of a trial, 1 outside the image"
    with pytest.raises(DataError, match=said):
        load(folder.Settings(source="folder", name="mine", root=str(tmp_path)))


def test_a_module_that_is_no_source_is_none(own_module):
    own_module("def load(settings): ...")
    assert list(sources()) == MODULES


def test_a_module_with_a_keyword_of_another_version_is_named_with_todays(own_module):
    own_module(MADE_UP.format(keyword="changes"))
    with pytest.raises(SettingError) as caught:
        sources()
    said = "entreg/data/sources/made_up.py cannot be imported: setting 'depth': changes= is unknown; affects= takes"
    assert str(caught.value).startswith(said)
