"""The registry of the tasks."""

from __future__ import annotations

import inspect
import sys

import pytest

from entreg import tasks
from entreg.config import Config, Task
from entreg.errors import SettingError
from entreg.runs.folder import RunFolder
from tests.conftest import ROOT

NAMES = sorted(path.stem.rstrip("_") for path in (ROOT / "entreg/tasks").glob("*.py") if path.stem != "__init__")


def config(name: str) -> Config:
    return Config(task=Task(name=name))


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """own_module(text): a module made_up.py of one's own with this text lies among the tasks."""
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    yield (tmp_path / "made_up.py").write_text
    sys.modules.pop("entreg.tasks.made_up", None)
    vars(tasks).pop("made_up", None)


@pytest.mark.parametrize("name", NAMES)
def test_every_module_has_a_function_of_its_name_that_takes_config_and_folder(name):
    function = getattr(tasks._module(name), tasks._identifier(name))
    assert [*inspect.signature(function).parameters] == ["config", "folder"]


@pytest.mark.parametrize("name", ["nowhere", "os.system", "entreg.tasks.train", "", "../train", "__init__"])
def test_a_task_that_nobody_knows_is_refused_with_those_that_are_known(name):
    for refused in (lambda: tasks.check(config(name)), lambda: tasks.perform(config(name), RunFolder(ROOT))):
        with pytest.raises(SettingError) as caught:
            refused()
        assert str(caught.value).startswith(f"task.name={name}")
        assert str(caught.value).endswith(f": there is no such task; there are {', '.join(NAMES)}")


def test_a_new_module_is_found_by_itself(own_module, tmp_path):
    own_module("def made_up(config, folder):\n    return config.task.name, folder.path\n")
    tasks.check(config("made_up"))
    assert tasks.perform(config("made_up"), RunFolder(tmp_path)) == ("made_up", tmp_path)


@pytest.mark.parametrize(
    "text, said",
    [
        ("import nowhere", "entreg/tasks/made_up.py cannot be imported: No module named 'nowhere'"),
        ("def count(config, folder): ...", r"entreg/tasks/made_up.py has no function made_up\(config, folder\)"),
    ],
)
def test_a_module_that_is_no_task_is_named(own_module, text, said):
    own_module(text)
    with pytest.raises(SettingError, match=f"^{said}$"):
        tasks.check(config("made_up"))


def test_a_check_of_its_own_refuses_before_anything_starts():
    with pytest.raises(SettingError, match="^task=predict needs a finished run and a folder of images"):
        tasks.check(config("predict"))
