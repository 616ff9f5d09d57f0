"""What is wrong with a typed word that Hydra cannot compose, in a line that names what there is instead."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf

from entreg.config.settings import near
from entreg.errors import brief


def in_a_line(error: HydraException, config: DictConfig) -> str:
    """Return Hydra's error in a line. config: one that Hydra composed, without its own settings."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        wanted = PurePosixPath(error.missing_cfg_file)
        options = [option for option in error.options if not option.startswith("schema_")]
        return f"{wanted.parent}={wanted.name}: the options are {', '.join(options)}"
    found = re.match(r"Could not override '([^']+)'", str(error))
    if found:
        settings: Any = OmegaConf.to_object(config)
        return f"{found[1]} is no setting{near(found[1], settings)}"
    lines = [line.strip() for line in (f"{error}\n{error.__cause__ or ''}").splitlines() if line.strip()]
    return brief(": ".join(dict.fromkeys(lines[:2])))
