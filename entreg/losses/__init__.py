"""What is minimised: each module here is a loss, with its `Settings`, which compute it.

    name     of the module, of the loss in tables, and of its option
    share    computes something of the densities that are predicted for the uniform images
    weight   of that, with its sign: a training minimises the NLL of human fixations plus weight * share
    column   of steps.csv that holds the share

A new module is found by itself. Its option of conf/loss/ is `defaults: [schema_MODULE, _self_]`. The package lies below
`study`, since a finished run's config is read with the settings of its loss.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from entreg.config import Config, Loss
from entreg.errors import SettingError
from entreg.settings import settings_of


@cache
def losses() -> dict[str, type[Loss]]:
    """Return the settings of every loss, by the name of its module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").Settings for name in names}


def check(config: Config) -> None:
    """Check the primary outcome's arm, which another run's loss may tell. SettingError: no loss has such a setting."""
    known = {one.key for loss in losses().values() for one in settings_of(loss(), "loss.")}
    unknown = [key for key in config.evaluation.primary.arm if key.startswith("loss.") and key not in known]
    if unknown:
        raise SettingError(f"evaluation.primary.arm: {', '.join(unknown)}: no loss has such a setting")
