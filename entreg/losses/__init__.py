"""The losses: each module here is a loss, and its `Settings` compute it.

    name     the name of the module, of the loss in tables, and of its option
    share    the method that computes a function of the densities predicted for the uniform images
    weight   the factor of that function, with its sign: a training minimises NLL + weight * share
    column   the column of steps.csv that holds the share

A new module is registered automatically. Its option in conf/loss/ contains `defaults: [schema_MODULE, _self_]`. The
package lies below `study`, because a finished run's config is read with the settings of its loss.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from entreg.config import Config, Loss
from entreg.config.settings import settings_of
from entreg.errors import SettingError


@cache
def losses() -> dict[str, type[Loss]]:
    """Return the settings of every loss, by the name of its module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").Settings for name in names}


def check(config: Config) -> None:
    """Raise a SettingError where the primary outcome's arm names a setting that no loss has."""
    known = {setting.key for loss in losses().values() for setting in settings_of(loss(), "loss.")}
    unknown = [key for key in config.evaluation.primary.arm if key.startswith("loss.") and key not in known]
    if unknown:
        raise SettingError(f"evaluation.primary.arm: {', '.join(unknown)}: no loss has such a setting")
