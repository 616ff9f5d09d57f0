"""Code of other packages, which a config names and which is called only where the user allows the package by name.

A config names it as `{_target_: PACKAGE.FUNCTION, SETTING: VALUE, ...}`. A config may come from a folder of unknown
origin, so `allow` is always that of the job that is typed, never a saved one, and nothing is imported without it.
"""

from __future__ import annotations

import logging
import pkgutil
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from importlib import metadata
from typing import Any

from entreg.config import Config
from entreg.config.settings import settings_of
from entreg.errors import SettingError, brief

log = logging.getLogger(__name__)

TARGET = "_target_"


def calls_of(config: Config) -> dict[str, Mapping[str, Any]]:
    """Return what the config calls of other packages, by the setting that names it."""
    return {
        setting.key: setting.value
        for setting in settings_of(config)
        if isinstance(setting.value, dict) and TARGET in setting.value
    }


def package_of(key: str, call: Mapping[str, Any]) -> str:
    """Return the package that a call names. Raises a SettingError where it names none; key: that of the setting."""
    target = call.get(TARGET)
    if not isinstance(target, str) or not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", target):
        raise SettingError(f"{key}: name what is called, as {{{TARGET}: PACKAGE.FUNCTION, SETTING: VALUE}}")
    return target.partition(".")[0]


def refuse_unallowed(key: str, call: Mapping[str, Any], allow: Collection[str]) -> None:
    """Raise a SettingError where a call names a package that is not allowed. Nothing is imported."""
    package = package_of(key, call)
    if package not in allow:
        raise SettingError(
            f"{key}: {call[TARGET]} is code of the package {package}, which is called only where you allow it: "
            f"allow=[{package}] (in Python, allow=['{package}'])"
        )


def resolved(key: str, call: Mapping[str, Any], allow: Collection[str]) -> Callable[..., Any]:
    """Return the function that a call names, with its settings, ready to be called.

    Raises a SettingError where its package is not allowed, or does not have this function.
    """
    refuse_unallowed(key, call, allow)
    target, package = call[TARGET], package_of(key, call)
    try:
        function = pkgutil.resolve_name(target)
    except Exception as error:  # a package may raise anything when it is imported
        raise SettingError(f"{key}: {target} cannot be imported: {brief(error)}") from error
    # a package also holds what it has imported itself, such as `os`, which was not allowed
    if not callable(function) or str(getattr(function, "__module__", None)).partition(".")[0] != package:
        raise SettingError(f"{key}: {target} is no function or class of the package {package} itself")
    return partial(function, **{name: value for name, value in call.items() if name != TARGET})


def versions_of(config: Config) -> dict[str, str]:
    """Return the installed version of each package that the config calls; "unknown" where none is installed."""
    packages = {package_of(key, call) for key, call in calls_of(config).items()}
    return {package: _version(package) for package in sorted(packages)}


def warn_of_other_versions(where: object, recorded: Mapping[str, str], config: Config) -> None:
    """Log where a package that the config calls has another version than `where` recorded, by package."""
    for package, version in versions_of(config).items():
        if recorded.get(package, version) != version:
            log.warning(
                "%s was trained with %s %s, and %s %s is installed: what it computes may differ",
                where,
                package,
                recorded[package],
                package,
                version,
            )


def _version(package: str) -> str:
    names = metadata.packages_distributions().get(package, ())
    return ", ".join(sorted({metadata.version(name) for name in names})) or "unknown"
