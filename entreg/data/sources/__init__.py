"""Where data sets come from: each module here is a source, with its `Settings` and a `load` that returns a DataSet.

    Settings(Data)   what the source needs beside the settings of every data set;
                     `require()` says at once what is missing
    load(settings)   reads the stimuli and fixations; DataError names the file that is missing or damaged

A new module is found by itself. An option of conf/data/ begins with `defaults: [schema_MODULE, _self_]` and names the
loader as its `_target_`.
"""
from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from entreg.config import Data


@cache
def sources() -> dict[str, type[Data]]:
    """The settings of every source, by the name of its module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").Settings for name in names}


def settings_of_target(target: str) -> type[Data] | None:
    """The settings that the loader `target` takes; None where it is no source's loader."""
    return {f"{__name__}.{name}.load": settings for name, settings in sources().items()}.get(target)
