"""What entreg can do: each module here is a task of the module's name, and is found without being registered.

The module and the function of a task whose name is a word of Python's own end with `_`: `import_` is task=import.

    NAME(config, folder)   performs the task in the job's folder and returns the job's result
    check(config)          optional: raises a SettingError, before anything starts, where the task could not work

conf/task/NAME.yaml holds `name: NAME`. Nothing but these modules is ever imported for a config's task.
"""

from __future__ import annotations

import importlib
import keyword
import pkgutil
from types import ModuleType
from typing import Any

from entreg.config import Config
from entreg.errors import SettingError, brief
from entreg.runs.folder import RunFolder


def check(config: Config) -> None:
    """Raise a SettingError where the config's task is unknown or could not work with these settings."""
    module = _module(config.task.name)
    if hasattr(module, "check"):
        module.check(config)


def perform(config: Config, folder: RunFolder) -> Any:
    """Perform the config's task in the job's folder and return its result."""
    return getattr(_module(config.task.name), _identifier(config.task.name))(config, folder)


def _module(name: str) -> ModuleType:
    """Return the module of a task. Raises a SettingError where there is none, or it lacks the function of its name."""
    known = sorted(module.name.rstrip("_") for module in pkgutil.iter_modules(__path__))
    if name not in known:
        raise SettingError(f"task.name={brief(name)}: there is no such task; there are {', '.join(known)}")
    function = _identifier(name)
    try:
        module = importlib.import_module(f"{__name__}.{function}")
    except Exception as error:  # whatever importing it runs into
        raise SettingError(f"entreg/tasks/{function}.py cannot be imported: {brief(error)}") from error
    if not callable(getattr(module, function, None)):
        raise SettingError(f"entreg/tasks/{function}.py has no function {function}(config, folder)")
    return module


def _identifier(name: str) -> str:
    """Return the name of a task's module and function."""
    return f"{name}_" if keyword.iskeyword(name) else name
