"""A job within another program: nothing of Hydra is left behind, and what it logs stands in its folder."""

from __future__ import annotations

import copy
import logging
import sys
import warnings

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

from entreg import tasks
from entreg.cli import in_process
from entreg.errors import SettingError


@pytest.fixture
def task(monkeypatch):
    """task(perform): from then on every task does this."""
    monkeypatch.setattr(tasks, "check", lambda config: None)
    return lambda perform: monkeypatch.setattr(tasks, "perform", perform)


def state():
    instances, store = dict(Singleton._instances), ConfigStore.instance()
    return instances, set(BaseContainer._resolvers), repr(store.repo), list(warnings.filters)


@pytest.mark.parametrize("words", [["seed=3"], ["seed=nonsense"], ["seed=3", "study=again"]], ids=str)
def test_hydra_s_globals_are_those_of_before(words):
    before = state()
    try:
        assert in_process.config_of(words).seed == 3
    except SettingError as error:
        assert words == ["seed=nonsense"] and "seed" in str(error)  # noqa: PT017  # the others must not raise
    assert state() == before


def test_a_program_may_use_hydra_itself(tmp_path):
    (tmp_path / "config.yaml").write_text("a: 1\nb: ${of_mine:}\n")
    OmegaConf.register_new_resolver("of_mine", lambda: 7, replace=True)
    try:
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            assert in_process.config_of(["seed=3"]).seed == 3
            config = compose("config", ["a=2"])
            assert (config.a, config.b) == (2, 7) and GlobalHydra.instance().is_initialized()
    finally:
        OmegaConf.clear_resolver("of_mine")
    assert not GlobalHydra.instance().is_initialized()


@pytest.fixture
def no_plugins(monkeypatch):
    """Hydra as it is before anybody has looked for plugins; what their modules hold is put back at the end."""
    names = [name for name in sys.modules if name.startswith(("hydra._internal.core_plugins", "hydra_plugins"))]
    held = {name: dict(vars(sys.modules[name])) for name in names}
    store = ConfigStore.instance()
    monkeypatch.setattr(store, "repo", copy.deepcopy(store.repo))
    monkeypatch.setattr(Singleton, "_instances", {ConfigStore: store})
    monkeypatch.setattr(in_process, "_found", {})
    yield
    for name, content in held.items():
        vars(sys.modules[name]).update(content)


@pytest.mark.parametrize("has_plugins", [True, False])
@pytest.mark.usefixtures("no_plugins")
def test_hydra_s_plugins_are_imported_once(has_plugins, monkeypatch):
    """Hydra imports their modules anew whenever it looks for them, and a program would hold other classes then."""
    looked, look = [], Plugins._initialize
    monkeypatch.setattr(Plugins, "_initialize", lambda self: looked.append(self) or look(self))
    before = Plugins.instance() if has_plugins else None
    known = sys.modules["hydra._internal.core_plugins.basic_sweeper"].BasicSweeperConf
    in_process.config_of(["seed=3"])
    in_process.config_of(["seed=4"])
    assert len(looked) == 1 and Singleton._instances.get(Plugins) is before
    if has_plugins:
        assert sys.modules["hydra._internal.core_plugins.basic_sweeper"].BasicSweeperConf is known


def test_the_log_stands_in_the_folder_and_warnings_are_shown(task, tmp_path, capsys, monkeypatch):
    log = logging.getLogger("entreg.tasks.train")
    monkeypatch.setattr(logging.root, "handlers", [])
    ours = logging.getLogger("entreg")
    before = ours.level, ours.handlers[:]

    def perform(config, folder):
        log.info("seed %d", config.seed)
        log.warning("look")
        print("a table")
        return config.seed

    task(perform)
    folder, result = in_process.perform(["seed=3", f"hydra.run.dir={tmp_path / 'run'}"])
    assert (folder.path, result) == (tmp_path / "run", 3)
    assert [line[line.index("] ") + 2 :] for line in folder.log.read_text().splitlines()] == ["seed 3", "look"]
    assert folder.read_typed() == ["seed=3"]
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "look\n") and (ours.level, ours.handlers) == before


def test_a_failure_is_raised_and_recorded(task, tmp_path):
    def perform(config, folder):
        raise SettingError("no such thing")

    task(perform)
    for _ in range(2):
        with pytest.raises(SettingError, match="^no such thing$"):
            in_process.perform([f"hydra.run.dir={tmp_path / 'run'}"])
        assert (tmp_path / "run/failure.txt").read_text() == "no such thing"
    assert not (tmp_path / "run/owner.json").exists()
