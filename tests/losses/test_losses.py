"""The table of the losses."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from entreg import losses as package
from entreg.config import Config, Loss
from entreg.errors import SettingError
from entreg.losses import check, losses
from tests.conftest import ROOT

MODULES = sorted(path.stem for path in (ROOT / "entreg/losses").glob("*.py") if path.stem != "__init__")

MADE_UP = """
from dataclasses import dataclass
from entreg.config import Loss
from entreg.config.settings import setting

@dataclass
class Settings(Loss):
    name: str = setting("made_up", "its name", affects="result", one_of=("made_up",))
    power: float = setting(2.0, "of the density", affects="result")
    column = "made_up"
    weight = 1.0
"""


def test_every_module_is_a_loss_of_its_name():
    assert list(losses()) == MODULES and MODULES
    for name, settings in losses().items():
        assert settings.__module__ == f"entreg.losses.{name}" and settings().name == name and settings.column
        assert dataclasses.is_dataclass(settings) and issubclass(settings, Loss)
        assert (ROOT / f"conf/loss/{name}.yaml").is_file()


def test_a_new_module_is_found_by_itself(tmp_path, monkeypatch):
    """The primary outcome's arm may be told by its settings, which another run's loss need not have."""
    (tmp_path / "made_up.py").write_text(MADE_UP)
    config = Config(loss=losses()["nll"]())
    config.evaluation.primary.arm = {"loss.name": "made_up", "loss.power": 3.0}
    with pytest.raises(SettingError, match="^evaluation.primary.arm: loss.power: no loss has such a setting$"):
        check(config)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    losses.cache_clear()
    try:
        assert list(losses()) == sorted([*MODULES, "made_up"])
        assert "power" in losses()["made_up"]().bias_map_settings
        check(config)
    finally:
        monkeypatch.undo()
        losses.cache_clear()
        sys.modules.pop("entreg.losses.made_up", None)
        vars(package).pop("made_up", None)
