"""Hydra's loader of configs for a sweep: it composes the config of each job once, and reads each file of options once.

Hydra itself composes a job's config anew in its sweeper, in its launcher and in the job, and reads and merges all files
each time.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig

Configs = Mapping[tuple[str, ...], bytes]  # by a job's words, its composed config as pickle writes it


def load_sweeps_by() -> ComposedOnce:
    """Let Hydra load the configs of this process's sweep by a new ComposedOnce, and return it."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    loader = ComposedOnce(hydra.config_loader.get_search_path())
    hydra.config_loader = loader
    return loader


class ComposedOnce(ConfigLoaderImpl):
    """A loader that composes the config of each job of one sweep once; each time it returns a copy of its own."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = ReadOnce(config_search_path)
        self._configs: dict[tuple[str, ...], bytes] = {}
        self._merged: dict[str, bytes] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """Return the config of the job with these words. master_config: that of the sweep, always the same."""
        words = tuple(sweep_overrides)
        if words not in self._configs:
            self._configs[words] = pickle.dumps(super().load_sweep_config(master_config, list(words)))
        config: DictConfig = pickle.loads(self._configs[words])
        return config

    def configs_of(self, jobs: Sequence[Sequence[str]]) -> Configs:
        """Return the configs of these jobs, as far as they have been composed, for a process elsewhere."""
        return {words: self._configs[words] for words in map(tuple, jobs) if words in self._configs}

    def add(self, configs: Configs) -> None:
        """Add configs that another process has composed."""
        self._configs.update(configs)

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        """Merge the options, once for all jobs that have the same ones and differ in settings alone."""
        key = repr(defaults)
        if key not in self._merged:
            self._merged[key] = pickle.dumps(super()._compose_config_from_defaults_list(defaults, repo))
        merged: DictConfig = pickle.loads(self._merged[key])
        return merged

    def __getstate__(self) -> dict[str, Any]:
        # each job gets its own config alone
        return self.__dict__ | {"_configs": {}, "_merged": {}}


class ReadOnce(ConfigRepository):
    """Hydra's repository of options, which reads each of them once; each time it returns a copy of its own."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self._read: dict[str, bytes] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return an option of a group, such as `loss/nll`; None where there is none."""
        if config_path not in self._read:
            self._read[config_path] = pickle.dumps(super().load_config(config_path))
        result: ConfigResult | None = pickle.loads(self._read[config_path])
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> ReadOnce:
        # Hydra copies the repository for each composition, of which `hydra.searchpath` replaces the copy's sources
        copied = copy.copy(self)
        copied._read = self._read
        return copied

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_read": {}}
