"""Where data sets come from: each module here is a source, known by the module's name.

    Settings(Data)   what the source needs beside the settings of every data set;
                     `require()` says at once what is missing
    load(settings)   reads the stimuli and fixations; DataError names the file that is missing or damaged

A new module is found by itself. An option of conf/data/ begins with `defaults: [schema_NAME, _self_]`, which gives it
the settings of the source NAME and `source: NAME`. A saved config names its source likewise: nothing but these modules
is ever imported for it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from entreg.config import Data
from entreg.data.dataset import DataSet
from entreg.errors import SettingError, brief


def sources() -> dict[str, type[Data]]:
    """Return the settings of every source by its name. SettingError where a module cannot be imported."""
    return {name: module.Settings for name, module in _modules().items()}


def settings_of(name: object, key: str = "data") -> type[Data]:
    """Return the settings of the source `name`; key: of its data set. SettingError where there is no such source."""
    known = sources()
    if not isinstance(name, str) or name not in known:
        raise SettingError(f"{key}.source={brief(name)}: there is no such source; there are {', '.join(known)}")
    return known[name]


def check(settings: Data, key: str) -> None:
    """SettingError where the data set's source is unknown, or these are not its settings; key: of the data set."""
    if type(settings) is not settings_of(settings.source, key):
        raise SettingError(
            f"{key}.source={settings.source}: the settings of {key} are not that source's; choose an option of "
            f"conf/data/ that begins with `defaults: [schema_{settings.source}, _self_]`"
        )


def load(settings: Data) -> DataSet:
    """Read a data set from its source. DataError names the file that is missing or damaged."""
    check(settings, settings.name)
    return _modules()[settings.source].load(settings)


@cache
def _modules() -> dict[str, ModuleType]:
    """The modules with `Settings` and `load`, by name."""
    found = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        try:
            module = importlib.import_module(f"{__name__}.{name}")
        except Exception as error:  # whatever importing it runs into
            raise SettingError(f"entreg/data/sources/{name}.py cannot be imported: {brief(error)}") from error
        if hasattr(module, "Settings") and hasattr(module, "load"):
            found[name] = module
    return found
