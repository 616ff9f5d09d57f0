"""Data sets in memory that are given to a job: they are written where every process of the job reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from entreg.cli import in_process
from entreg.command_line import quoted
from entreg.data.memory_data import MemoryData
from entreg.errors import SettingError
from entreg.evaluation.find_runs import find


def words_for(words: Sequence[str], data: MemoryData | None, foreign: Mapping[str, MemoryData] | None) -> list[str]:
    """Write the data sets and return the words by which a training reads them.

    words: those of the job, which name the store; foreign: the foreign sets by name
    """
    added: list[str] = []
    if data is None and not foreign:
        return added
    store = _store(words)
    if data is not None:
        added += ["data=memory", f"data.name={quoted(data.name)}", f"data.root={quoted(str(data.write(store)))}"]
    if foreign and not any(word.startswith("ood=") for word in words):
        added.append("ood=[]")
    for name, settings in (foreign or {}).items():
        if not re.fullmatch(r"\w+", name):
            raise SettingError(f"foreign={name!r}: the name of a foreign set consists of letters, digits and _")
        added += [f"+data@ood.{name}=memory", f"ood.{name}.root={quoted(str(settings.write(store)))}"]
    return added


def write_again(words: Sequence[str], patterns: Sequence[str] | None, data: Sequence[MemoryData]) -> None:
    """Write data sets that runs were trained with once more, where what was written of them is gone.

    Raises a SettingError where the runs were not trained with one of them. patterns: see `find`
    """
    if not data:
        return
    configs = [run.read_config() for run in find(patterns)[0]]
    sets = [settings for config in configs for settings in (config["data"], *config["ood"].values())]
    store = _store(words)
    known = {Path(settings["root"]).name for settings in sets if settings["source"] == "memory"}
    for given in data:
        if given.digest not in known:
            raise SettingError(
                f"the runs were not trained with the data set {given.name} as it is given: its images or fixations are "
                "other ones. Give those of the training, or train with these"
            )
        given.write(store)


def _store(words: Sequence[str]) -> Path:
    return Path(in_process.config_of([word for word in words if word.startswith("paths.")]).paths.store)
