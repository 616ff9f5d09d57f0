"""What a setting is: its default, meaning, unit and range, and what another value of it changes.

`config.py` and the data sources declare their settings with `setting`. Everything that depends on what a setting
changes is derived from that declaration: which runs form an arm, which saved run may be resumed, and what `--help`
lists.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from entreg.errors import SettingError, brief

CHANGES = {
    "result": "what a run finds: runs that differ in it are different arms, and none is resumed under another value",
    "replicate": "which of several equivalent runs this is, such as the seed: no other arm, and no resuming either",
    "judgement": "how finished runs are judged: may be changed at any later time",
    "place": "where files are looked for: no result depends on it",
    "machine": "what is asked of the machine or cluster, or kept beside the results: no result depends on it",
}
LIMITS = {"at_least": "at least", "above": "above", "at_most": "at most", "one_of": "one of"}
_KEYWORDS = f"changes= takes one of {', '.join(CHANGES)}; the other keywords are path, {', '.join(LIMITS)}"
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes: of the usual file systems, and of Linux


def setting(default: Any, meaning: str, *, changes: str = "", path: bool | str = False, **limits: Any) -> Any:
    """A dataclass field that is a setting.

    changes: a word of CHANGES
    path: it names a file or folder; relative paths are made absolute against the folder that the command was typed in.
        `unless a name`: where it is a word alone, without a dot or slash, it names something else
    limits: at_least, above, at_most, one_of; they also hold for each item of a list
    ValueError where a keyword is none of these, such as one of an earlier version, or where `changes` is missing.
    """
    unknown = sorted(limits.keys() - LIMITS.keys())
    if unknown:
        raise ValueError(f"setting {meaning!r}: {unknown[0]}= is unknown; {_KEYWORDS}")
    if changes not in CHANGES:
        raise ValueError(f"setting {meaning!r}: changes={changes!r} is unknown; {_KEYWORDS}")
    metadata = {"meaning": meaning, "changes": changes, "path": path, "default": default, **limits}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def group(schema: type) -> Any:
    """A dataclass field that is a group of settings."""
    return field(default_factory=schema)


def groups(*, changes: str) -> Any:
    """A dataclass field that holds groups of settings by name; `changes` replaces the word of all settings in them."""
    return field(default_factory=dict, metadata={"changes": changes})


@dataclass(frozen=True)
class Setting:
    """One setting of a composed config: its full key (`data.fold`), its value, and what was declared of it."""

    key: str
    value: Any
    declared: Mapping[str, Any]

    @property
    def changes(self) -> str:
        """A word of CHANGES."""
        return self.declared["changes"]

    @property
    def range(self) -> str:
        """The allowed values in words, in brackets; empty where there is no limit."""
        said = [
            f"{words} {', '.join(map(str, self.declared[limit])) if limit == 'one_of' else self.declared[limit]}"
            for limit, words in LIMITS.items()
            if limit in self.declared
        ]
        return f" ({', '.join(said)})" if said else ""

    @property
    def is_in_range(self) -> bool:
        """Whether the value, or every item of a list, is allowed; null always is."""
        values = self.value if isinstance(self.value, list) else [self.value]
        return all(_is_allowed(value, self.declared) for value in values if value is not None)


def settings_of(node: Any, prefix: str = "", changes: str | None = None) -> Iterator[Setting]:
    """Every setting of a config object, with keys that begin with `prefix`; `changes` replaces the declared words."""
    for item in dataclasses.fields(node):
        if "meaning" in item.metadata:
            declared = {**item.metadata, "changes": changes or item.metadata["changes"]}
            yield Setting(prefix + item.name, getattr(node, item.name), declared)
        for key, below in _groups_in(node, item):
            yield from settings_of(below, f"{prefix}{key}.", changes or item.metadata.get("changes"))


def check(cfg: DictConfig) -> None:
    """Checks every setting's range and the rules between them. SettingError names each wrong key in full."""
    config = OmegaConf.to_object(cfg)
    wrong = [
        f"{one.key}={one.value} is out of range: {one.declared['meaning']}{one.range}"
        for one in settings_of(config)
        if not one.is_in_range
    ]
    wrong += [
        f"{one.key}={brief(one.value):.60}… is out of range: "
        f"a name has at most {LONGEST_NAME} bytes, a path {LONGEST_PATH}"
        for one in settings_of(config)
        if one.declared["path"] and one.value is not None and not _is_path(one.value)
    ]
    wrong += _broken_rules(config, "")
    if wrong:
        raise SettingError("\n".join(wrong))


def resolved(cfg: DictConfig) -> Any:
    """The composed config as a typed object: interpolations resolved, ranges checked, paths absolute."""
    check(cfg)
    config = OmegaConf.to_object(cfg)
    _make_paths_absolute(config)
    return config


def differing(saved: Mapping[str, Any], config: Any) -> list[str]:
    """Keys in which a saved config (plain, nested) is another run than `config`: its results or its replicate differ.

    A setting that the saved config lacks was added later; its default means what was done before.
    """
    keys = []
    for one in settings_of(config):
        if one.changes in ("result", "replicate"):
            value = _at(saved, one.key)
            before = one.declared["default"] if value is _MISSING else value
            if before != one.value:
                keys.append(one.key)
    return sorted(keys)


def listed(config: Any, prefix: str = "", leave_out: Collection[str] = ()) -> list[str]:
    """A line for each setting of a config object: key, value, meaning and range; leave_out: names of some."""
    lines = []
    for one in settings_of(config, prefix):
        if one.key.removeprefix(prefix) in leave_out:
            continue
        words = {None: "null", True: "true", False: "false"}
        shown = words[one.value] if one.value is None or isinstance(one.value, bool) else one.value
        value = "" if one.value == MISSING else f" = {shown}"
        lines.append(f"  {one.key}{value}: {one.declared['meaning']}{one.range}")
    return lines


_MISSING = object()


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return _MISSING
        tree = tree[part]
    return tree


def _broken_rules(node: Any, prefix: str) -> list[str]:
    """What the `broken_rules` of each dataclass say; they name a field of their own and why its value does not fit."""
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
    """Key and settings of each group that a field holds; of groups by name the key is `field.name`."""
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
    return len(encoded) <= LONGEST_PATH and all(len(name) <= LONGEST_NAME for name in encoded.split(b"/"))


def _make_paths_absolute(node: Any) -> None:
    for item in dataclasses.fields(node):
        value = getattr(node, item.name)
        is_path = item.metadata.get("path")
        if value is not None and (is_path is True or is_path and re.search(r"[./~\\]", value)):
            setattr(node, item.name, os.path.abspath(Path(value).expanduser()))
        for _, below in _groups_in(node, item):
            _make_paths_absolute(below)
