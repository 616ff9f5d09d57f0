"""Code of other packages is called where the user allows the package, and nothing of it is imported where not."""

from __future__ import annotations

import logging
import re
import sys

import pytest

from entreg.config import Backbone, Config, Model
from entreg.errors import SettingError
from entreg.runs import foreign_code

LAB = """
import os
from subprocess import Popen

def scaled(value, factor=1):
    return factor * value

class Networks:
    @classmethod
    def made(cls, depth):
        return [cls.__name__] * depth
"""


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """A package of a laboratory, `entreg_lab`, which nothing has imported yet."""
    (tmp_path / "entreg_lab").mkdir()
    (tmp_path / "entreg_lab/__init__.py").write_text(LAB)
    (tmp_path / "entreg_lab/broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "entreg_lab"]:
        del sys.modules[name]


def call(target: object, **settings: object) -> dict[str, object]:
    return {"_target_": target, **settings}


def test_an_allowed_function_is_called_with_its_settings():
    assert foreign_code.resolved("key", call("entreg_lab.scaled", factor=3), ["other", "entreg_lab"])(2) == 6
    assert foreign_code.resolved("key", call("entreg_lab.Networks.made", depth=2), ["entreg_lab"])() == ["Networks"] * 2


@pytest.mark.parametrize("allow", [[], ["entreg"], ["entreg_lab.scaled"], ["os"]])
def test_what_is_not_allowed_is_not_imported(allow):
    with pytest.raises(SettingError) as error:
        foreign_code.resolved("key", call("entreg_lab.scaled"), allow)
    assert str(error.value) == (
        "key: entreg_lab.scaled is code of the package entreg_lab, which is called only where you allow it: "
        "allow=[entreg_lab] (in Python, allow=['entreg_lab'])"
    )
    assert "entreg_lab" not in sys.modules


@pytest.mark.parametrize(
    "target, said",
    [
        ("entreg_lab.os.system", "entreg_lab.os.system is no function or class of the package entreg_lab itself"),
        ("entreg_lab.Popen", "entreg_lab.Popen is no function or class of the package entreg_lab itself"),
        ("entreg_lab.LAB", "entreg_lab.LAB cannot be imported: "),
        ("entreg_lab.broken.what", "entreg_lab.broken.what cannot be imported: division by zero"),
        ("entreg_lab", "name what is called, as {_target_: PACKAGE.FUNCTION, SETTING: VALUE}"),
        ("entreg_lab.scaled()", "name what is called"),
        (3, "name what is called"),
    ],
)
def test_an_allowed_package_does_not_lend_what_it_has_imported(target, said):
    with pytest.raises(SettingError, match=re.escape(said)):
        foreign_code.resolved("key", call(target), ["entreg_lab"])


def test_the_versions_of_what_a_config_calls_are_told(caplog):
    config = Config(model=Model(backbone=Backbone(name="other", module=call("numpy.zeros"))))
    (package,) = foreign_code.versions_of(config).items()
    assert package == ("numpy", __import__("numpy").__version__)
    assert foreign_code.versions_of(Config()) == {}
    with caplog.at_level(logging.WARNING):
        foreign_code.warn_of_other_versions("the run", dict([package]), config)
        assert caplog.text == ""
        foreign_code.warn_of_other_versions("the run", {"numpy": "0.1"}, config)
    assert "the run was trained with numpy 0.1, and numpy" in caplog.text
    config.model.backbone.module = call("entreg_lab.scaled")
    assert foreign_code.versions_of(config) == {"entreg_lab": "unknown"}
