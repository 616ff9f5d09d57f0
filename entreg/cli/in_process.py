"""Compose a job and run it within a program that imports entreg, which finds no trace of Hydra afterwards."""

from __future__ import annotations

import copy
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.basecontainer import BaseContainer

from entreg.cli import composition, outdated_words, wrong_words
from entreg.cli.arguments import conf_folder
from entreg.cli.execution import checked, performed, refuse_start, without_hydra
from entreg.cli.submitit_job import ignore_schema_warning
from entreg.config import Config
from entreg.distributed import process_state
from entreg.distributed.launch import LOG_FORMAT
from entreg.errors import SettingError
from entreg.io.log_file import LineFormatter, LogFile
from entreg.runs.folder import RunFolder

PLUGINS = (Plugins, SourcesRegistry)  # which Hydra makes together
_found: dict[type, Any] = {}  # Hydra's plugins, and under ConfigStore its options, as they were after the last use


def config_of(words: Sequence[str]) -> Config:
    """Return the config that these words compose on the command line, checked as there.

    Raises a SettingError where they compose none, or the job could not start.
    """
    with _composed(words) as cfg:
        config = checked(without_hydra(cfg))
        refuse_start(config, without_hydra(cfg), cfg.hydra, RunFolder(Path(cfg.hydra.run.dir)))
        return config


def perform(words: Sequence[str]) -> tuple[RunFolder, Any]:
    """Run the job that these words compose, as the command line does; return its folder and what its task returns.

    The folder's log holds what the job logs. Raises the UserError with which the job fails.
    """
    with _composed(words) as cfg, process_state.kept():
        folder = RunFolder(Path(os.path.abspath(cfg.hydra.run.dir)))  # noqa: PTH100  # resolve() would follow links
        cfg.hydra.runtime.output_dir = str(folder)
        with _logged(folder), redirect_stdout(io.StringIO()):  # results are returned instead of printed
            return folder, performed(without_hydra(cfg), cfg.hydra, folder)


@contextmanager
def _composed(words: Sequence[str]) -> Iterator[DictConfig]:
    """Compose a job with Hydra's own part for the `with` block, in which its interpolations can be resolved."""
    with _hydra_of_its_own():
        composition.register()
        answer = outdated_words.answer(words, conf_folder())
        if answer is not None:
            raise SettingError(answer)
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            with warnings.catch_warnings():
                ignore_schema_warning()
                cfg = _composed_by_hydra(list(words))
            yield cfg


def _composed_by_hydra(words: list[str]) -> DictConfig:
    try:
        for override in OverridesParser.create().parse_overrides(words):
            _refuse_for_sweeps(override)
        cfg = compose("config", words, return_hydra_config=True)
    except HydraException as error:
        raise SettingError(wrong_words.in_a_line(error, compose("config"))) from error
    if cfg.hydra.mode is RunMode.MULTIRUN:  # an experiment may hold a sweep
        raise SettingError(
            f"{' '.join(words)}: this is a sweep; give the words of one of its jobs at a time, and hydra.mode=RUN"
        )
    return cfg


def _refuse_for_sweeps(override: Override) -> None:
    key = override.get_key_element()
    if override.is_sweep_override():
        raise SettingError(f"{override.input_line}: this is a sweep; call it once for each value of {key}")
    if key.startswith("hydra") and key not in ("hydra.run.dir", "hydra.mode"):
        raise SettingError(f"{override.input_line}: this is for jobs of the command line; type it there")


@contextmanager
def _hydra_of_its_own() -> Iterator[None]:
    """Leave Hydra's globals and OmegaConf's resolvers as they were before the `with` block.

    Plugins are looked for once: Hydra imports their modules anew each time, which takes half a second and leaves other
    classes in them than those that a program has by then.
    """
    store, resolvers, instances = ConfigStore.instance(), BaseContainer._resolvers, Singleton._instances
    options = store.repo
    made: dict[type, Any] = {kind: instances[kind] for kind in PLUGINS if kind in instances}
    begin = copy.deepcopy(made | {ConfigStore: options} if made or not _found else _found)
    store.repo = begin[ConfigStore]
    Singleton._instances = begin | {ConfigStore: store}
    BaseContainer._resolvers = dict(resolvers)
    try:
        yield
    finally:
        _found.update({kind: Singleton._instances[kind] for kind in PLUGINS if kind in Singleton._instances})
        _found[ConfigStore] = store.repo
        store.repo = options
        Singleton._instances, BaseContainer._resolvers = instances, resolvers


@contextmanager
def _logged(folder: RunFolder) -> Iterator[None]:
    """Write what entreg logs into the folder's log; warnings are shown as well where the program configures no log."""
    ours, level = logging.getLogger("entreg"), logging.getLogger("entreg").level
    file = LogFile(str(folder.log))
    file.setFormatter(LineFormatter(LOG_FORMAT))
    added: list[logging.Handler] = [file]
    if not logging.root.handlers and logging.lastResort is not None:
        added.append(logging.lastResort)
    ours.handlers += added
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        for handler in added:
            ours.removeHandler(handler)
        file.close()
