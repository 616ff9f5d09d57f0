"""The sources of data sets: each module here is a source with the module's name.

    Settings(Data)   the settings that the source needs in addition to those of every data set;
                     `require()` raises a DataError at once where something is missing
    load(settings)   reads the stimuli and fixations; a DataError names the file that is missing or damaged

A new module is registered automatically. An option in conf/data/ begins with `defaults: [schema_NAME, _self_]`, which
gives it the settings of the source NAME and `source: NAME`. A saved config names its source in the same way, and only
these modules are ever imported for it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from entreg.config import Data
from entreg.data.dataset import DataSet
from entreg.data.plausibility.check import checked
from entreg.errors import DataError, SettingError, brief


def sources() -> dict[str, type[Data]]:
    """Return the settings of every source by its name. Raises a SettingError where a module cannot be imported."""
    return {name: module.Settings for name, module in _modules().items()}


def settings_of(name: object, key: str = "data") -> type[Data]:
    """Return the settings of the source `name`; key: the key of its data set.

    Raises a SettingError where the source does not exist.
    """
    known = sources()
    if not isinstance(name, str) or name not in known:
        raise SettingError(f"{key}.source={brief(name)}: this source does not exist; there are {', '.join(known)}")
    return known[name]


def check(settings: Data, key: str) -> None:
    """Raise a SettingError where the data set's source is unknown or has other settings; key: that of the data set."""
    if type(settings) is not settings_of(settings.source, key):
        raise SettingError(
            f"{key}.source={settings.source}: the settings of {key} belong to another source; choose an option in "
            f"conf/data/ that begins with `defaults: [schema_{settings.source}, _self_]`"
        )


def read(settings: Data) -> DataSet:
    """Read a data set from its source, however implausible it is. Raises a DataError that names a missing file."""
    check(settings, settings.name)
    dataset: DataSet = _modules()[settings.source].load(settings)
    return dataset


def load(settings: Data) -> DataSet:
    """Read a data set from its source and check that it is plausible, see `plausible`."""
    return plausible(read(settings), settings)


def plausible(dataset: DataSet, settings: Data) -> DataSet:
    """Return a data set that was read, with notes on what is doubtful.

    Raises a DataError that names what is implausible and not in `settings.accept`, and where no fixation is left.
    """
    dataset = checked(dataset, settings)
    if not len(dataset.fixations):
        raise DataError(
            f"{settings.name} ({settings.root}): no fixation is left; read: {dataset.rows_read}, dropped: "
            f"{dataset.dropped_in_words()}"
        )
    return dataset


@cache
def _modules() -> dict[str, ModuleType]:
    """Return the modules with `Settings` and `load`, by name."""
    modules = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        try:
            module = importlib.import_module(f"{__name__}.{name}")
        except Exception as error:  # a module of the user's may raise anything
            raise SettingError(f"entreg/data/sources/{name}.py cannot be imported: {brief(error)}") from error
        if hasattr(module, "Settings") and hasattr(module, "load"):
            modules[name] = module
    return modules
