"""The table of the data sources."""
from __future__ import annotations

import dataclasses
import inspect
import sys

import hydra
import pytest

from entreg.config import Data
from entreg.data import sources as package
from entreg.data.sources import settings_of_target, sources
from tests.conftest import ROOT

MODULES = sorted(path.stem for path in (ROOT / "entreg/data/sources").glob("*.py") if path.stem != "__init__")

MADE_UP = """
from dataclasses import dataclass
from entreg.config import Data

@dataclass
class Settings(Data):
    depth: int = 3

def load(settings):
    return settings.depth
"""


def test_every_module_is_a_source():
    assert list(sources()) == MODULES and MODULES
    for name, settings in sources().items():
        assert settings.__module__ == f"entreg.data.sources.{name}"
        assert dataclasses.is_dataclass(settings) and issubclass(settings, Data)


@pytest.mark.parametrize("name", MODULES)
def test_a_loader_takes_the_settings_of_its_module(name):
    target = f"entreg.data.sources.{name}.load"
    assert settings_of_target(target) is sources()[name]
    parameter, = inspect.signature(hydra.utils.get_method(target), eval_str=True).parameters.values()
    assert parameter.annotation is sources()[name]


@pytest.mark.parametrize("target", [
    "entreg.data.sources.elsewhere.load", "entreg.data.sources.folder", "entreg.data.sources.folder.Settings",
    "os.system", "folder", "",
])
def test_a_function_that_is_no_sources_loader_has_no_settings(target):
    assert settings_of_target(target) is None


def test_a_new_module_is_found_by_itself(tmp_path, monkeypatch):
    (tmp_path / "made_up.py").write_text(MADE_UP)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    sources.cache_clear()
    try:
        assert list(sources()) == sorted([*MODULES, "made_up"])
        assert settings_of_target("entreg.data.sources.made_up.load")().depth == 3
    finally:
        monkeypatch.undo()
        sources.cache_clear()
        sys.modules.pop("entreg.data.sources.made_up", None)
        vars(package).pop("made_up", None)
