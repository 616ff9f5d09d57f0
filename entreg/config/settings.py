"""What a setting is: its default, meaning, unit and range, and what it affects.

The modules of this package, the data sources and the losses declare their settings with `setting`. Which runs form an
arm, which saved run may be resumed and what `--help` lists are all derived from those declarations.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from entreg.errors import SettingError, brief

Rule = tuple[str, str]  # the name of a field, and why its value is not allowed
MOST_SEED = 2**32 - 1  # the greatest seed of NumPy's older generator
MOST_PX = 16_384  # side of an image that the model receives; its features would take 10 GB

AFFECTS = {
    "result": "the result of a run: runs that differ in it form different arms, and none resumes with another value",
    "replicate": "which of several equivalent runs this is, such as the seed: the same arm, but another run to resume",
    "evaluation": "how finished runs are evaluated: it may be changed at any later time",
    "location": "where files lie: no result depends on it",
    "machine": "what a run requests from the machine or cluster, or writes beside its results: no result depends on it",
}
LIMITS = {"at_least": "at least", "above": "above", "at_most": "at most", "one_of": "one of"}
_KEYWORDS = f"affects= takes one of {', '.join(AFFECTS)}; the other keywords are path, {', '.join(LIMITS)}"
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes, in the usual file systems and in Linux


def setting(default: Any, meaning: str, *, affects: str = "", path: bool | str = False, **limits: Any) -> Any:
    """Declare a dataclass field that is a setting.

    affects: a key of AFFECTS
    path: whether it names a file or folder. Relative paths become absolute, from the folder that the command was
        typed in. `unless a name`: a single word without a dot or slash names something else
    limits: at_least, above, at_most, one_of; they also hold for each item of a list

    Raises a ValueError where a keyword is unknown, such as one of an earlier version, or where `affects` is missing.
    """
    unknown = sorted(limits.keys() - LIMITS.keys())
    if unknown:
        raise ValueError(f"setting {meaning!r}: {unknown[0]}= is unknown; {_KEYWORDS}")
    if affects not in AFFECTS:
        raise ValueError(f"setting {meaning!r}: affects={affects!r} is unknown; {_KEYWORDS}")
    metadata = {"meaning": meaning, "affects": affects, "path": path, "default": default, **limits}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def group(schema: type) -> Any:
    """Declare a dataclass field that is a group of settings."""
    return field(default_factory=schema)


def groups(*, affects: str | None) -> Any:
    """Declare a dataclass field that holds groups of settings by name.

    affects: applies to all their settings; None: each affects what it declares, and runs with other groups differ
    """
    return field(default_factory=dict, metadata={"affects": affects})


@dataclass(frozen=True)
class Setting:
    """One setting of a composed config: its full key (`data.fold`), its value and its declaration."""

    key: str
    value: Any
    declared: Mapping[str, Any]

    @property
    def affects(self) -> str:
        """What the setting affects: a key of AFFECTS."""
        return str(self.declared["affects"])

    @property
    def range(self) -> str:
        """The allowed values in words, in brackets; empty where there is no limit."""
        limits = [
            f"{words} {', '.join(map(str, self.declared[limit])) if limit == 'one_of' else self.declared[limit]}"
            for limit, words in LIMITS.items()
            if limit in self.declared
        ]
        return f" ({', '.join(limits)})" if limits else ""

    @property
    def is_in_range(self) -> bool:
        """Whether the value, or every item of a list, is allowed. null always is."""
        values = self.value if isinstance(self.value, list) else [self.value]
        return all(_is_allowed(value, self.declared) for value in values if value is not None)


def settings_of(node: Any, prefix: str = "", affects: str | None = None) -> Iterator[Setting]:
    """Yield every setting of a config object, with keys that begin with `prefix`.

    affects: replaces what the settings declare that they affect
    """
    for item in dataclasses.fields(node):
        if "meaning" in item.metadata:
            declared = {**item.metadata, "affects": affects or item.metadata["affects"]}
            yield Setting(prefix + item.name, getattr(node, item.name), declared)
        for key, below in _groups_in(node, item):
            yield from settings_of(below, f"{prefix}{key}.", affects or item.metadata.get("affects"))


def check(cfg: DictConfig) -> None:
    """Check that every key is a setting, its range, and the rules between settings.

    Raises a SettingError that names each wrong key in full.
    """
    _checked(cfg)


def resolved(cfg: DictConfig) -> Any:
    """Return the composed config as dataclasses, with resolved interpolations, checked ranges and absolute paths."""
    config = _checked(cfg)
    _make_paths_absolute(config)
    return config


def _checked(cfg: DictConfig) -> Any:
    """Return the config as dataclasses; raise a SettingError as `check` does."""
    config = OmegaConf.to_object(cfg)
    wrong = [f"{key} is no setting{near(key, config)}" for key in _unknown(cfg, "")]
    wrong += [
        f"{setting.key}={setting.value} is out of range: {setting.declared['meaning']}{setting.range}"
        for setting in settings_of(config)
        if not setting.is_in_range
    ]
    wrong += [
        f"{setting.key}={brief(setting.value):.60}… is out of range: "
        f"a name has at most {LONGEST_NAME} bytes, a path {LONGEST_PATH}, none of them NUL"
        for setting in settings_of(config)
        if setting.declared["path"] and setting.value is not None and not _is_path(setting.value)
    ]
    wrong += _broken_rules(config, "")
    if wrong:
        raise SettingError("\n".join(wrong))
    return config


def differing(saved: Mapping[str, Any], config: Any) -> list[str]:
    """Return the keys whose values make a saved config (plain, nested) another run than `config`.

    Only settings that affect the result or the replicate count. A setting that the saved config lacks was added later,
    and its default means what was done before.
    """
    keys = []
    for setting in settings_of(config):
        if setting.affects in ("result", "replicate"):
            value = _at(saved, setting.key)
            before = setting.declared["default"] if value is _MISSING else value
            if before != setting.value:
                keys.append(setting.key)
    return sorted(keys + _other_groups(saved, config))


def listed(config: Any, prefix: str = "", leave_out: Collection[str] = ()) -> list[str]:
    """Return a line for each setting of a config object: key, value, meaning and range."""
    lines = []
    for setting in settings_of(config, prefix):
        if setting.key.removeprefix(prefix) in leave_out:
            continue
        words = {None: "null", True: "true", False: "false"}
        shown = words[setting.value] if setting.value is None or isinstance(setting.value, bool) else setting.value
        value = "" if setting.value == MISSING else f" = {shown}"
        lines.append(f"  {setting.key}{value}: {setting.declared['meaning']}{setting.range}")
    return lines


def near(key: str, config: Any) -> str:
    """Return the words that follow a wrong key: which settings are called nearly so, or where all are listed."""
    known = {setting.key.rpartition(".")[::2] for setting in settings_of(config)}
    group, _, name = key.rpartition(".")
    beside = difflib.get_close_matches(name, [other for place, other in known if place == group], 3)
    elsewhere = [f"{place}.{other}".strip(".") for place, other in sorted(known) if other == name]
    keys = [f"{group}.{other}".strip(".") for other in beside] or elsewhere[:3]
    return _near_it(keys) or "; --help=all lists them"


def nearest(word: str, known: Collection[str]) -> str:
    """Return the words that follow a wrong name: which of the known ones are called nearly so, or all of them."""
    by_small_letters = {name.lower(): name for name in known}
    small = word.lower()
    close = [small] if small in by_small_letters else difflib.get_close_matches(small, by_small_letters, 3)
    return _near_it([by_small_letters[name] for name in close]) or f"; there are {', '.join(sorted(known)) or 'none'}"


def _near_it(names: Sequence[str]) -> str:
    return f"; near it {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else ""


_MISSING = object()


def _other_groups(saved: Mapping[str, Any], config: Any) -> list[str]:
    """Return the fields that hold groups of other names in the saved config, where these change what a run is."""
    fields = [item.name for item in dataclasses.fields(config) if item.metadata.get("affects", "") is None]
    return [name for name in fields if {*(saved.get(name) or {})} != {*getattr(config, name)}]


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return _MISSING
        tree = tree[part]
    return tree


def _unknown(node: DictConfig, prefix: str) -> Iterator[str]:
    """Yield the full keys that no dataclass declares, which a leading + appends to a config."""
    kind = OmegaConf.get_type(node)
    declared = {item.name for item in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {*node}
    for key in map(str, node):
        below = node._get_node(key)
        if key not in declared:
            yield f"{prefix}{key}"
        elif isinstance(below, DictConfig) and not below._is_none():
            yield from _unknown(below, f"{prefix}{key}.")


def _broken_rules(node: Any, prefix: str) -> list[str]:
    """Return what the `broken_rules` of each dataclass yield: the name of a field, and why its value is not allowed."""
    lines = []
    if hasattr(node, "broken_rules"):
        lines += [
            f"{prefix}{name}={attrgetter(name)(node)} is out of range: {why}" for name, why in node.broken_rules()
        ]
    for item in dataclasses.fields(node):
        for key, below in _groups_in(node, item):
            lines += _broken_rules(below, f"{prefix}{key}.")
    return lines


def _groups_in(node: Any, item: dataclasses.Field[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the key and settings of each group that a field holds; for groups by name the key is `field.name`."""
    value = getattr(node, item.name)
    if "meaning" not in item.metadata:
        if dataclasses.is_dataclass(value):
            yield item.name, value
        elif isinstance(value, dict):
            yield from ((f"{item.name}.{name}", below) for name, below in value.items())


def _is_allowed(value: Any, limits: Mapping[str, Any]) -> bool:
    if "one_of" in limits:
        return value in limits["one_of"]
    bounded = any(limit in limits for limit in ("at_least", "at_most", "above"))
    if isinstance(value, float) and not math.isfinite(value) or bounded and not isinstance(value, (int, float)):
        return False
    return not (
        "at_least" in limits
        and value < limits["at_least"]
        or "at_most" in limits
        and value > limits["at_most"]
        or "above" in limits
        and value <= limits["above"]
    )


def _is_path(value: str) -> bool:
    encoded = value.encode(errors="surrogatepass")
    return (
        b"\0" not in encoded
        and len(encoded) <= LONGEST_PATH
        and all(len(name) <= LONGEST_NAME for name in encoded.split(b"/"))
    )


def _make_paths_absolute(node: Any) -> None:
    for item in dataclasses.fields(node):
        value = getattr(node, item.name)
        is_path = item.metadata.get("path")
        if value is not None and (is_path is True or is_path and re.search(r"[./~\\]", value)):
            setattr(node, item.name, os.path.abspath(Path(value).expanduser()))  # noqa: PTH100  # keeps links
        for _, below in _groups_in(node, item):
            _make_paths_absolute(below)
