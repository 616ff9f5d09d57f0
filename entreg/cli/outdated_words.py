"""Answer words of earlier versions with what to type instead today, which Hydra's own message could not say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from entreg.runs.migrations import TASKS, source_of_loader

ALL_OF_ONE_TRAINING = "all foreign sets of one training (a sweep over them would train everything anew)"


def answer(words: Sequence[str], conf: Path) -> str | None:
    """Return what to type instead of a word, or to write instead of YAML below `conf`, of version 0.2.0; else None.

    A sweep over the foreign sets, in whatever form, is answered as well.
    """
    parser = OverridesParser.create()
    for word in words:
        try:
            instead = _instead(parser.parse_override(word), conf)
        except (HydraException, ValueError, TypeError):  # an option such as -m, or a word that Hydra itself refuses
            continue
        if instead is not None:
            return f"{word}: {instead}"
    return "\n".join(line for folder in (conf, *_config_folders(words)) for line in _in_yaml(folder)) or None


def _config_folders(words: Sequence[str]) -> Iterator[Path]:
    """Yield the folders of options that the words add to those of entreg."""
    for word, following in zip(words, (*words[1:], ""), strict=False):
        name, _, value = word.partition("=")
        if name in ("--config-dir", "-cd"):
            yield Path(value or following)


def _in_yaml(conf: Path) -> Iterator[str]:
    """Yield a line for each `_target_` that an option below conf/ gives to a task or a data set."""
    groups = ("task", "data", "ood", "experiment")
    for path in sorted(path for group in groups for path in conf.glob(f"{group}/**/*.yaml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for target in re.findall(r"^[^#\n]*\b_target_:\s*[\"']?([^\s\"',}]+)", text, re.MULTILINE):
            if path.parent == conf / "task" or target in TASKS:
                name = TASKS.get(target, "NAME")
                yield (
                    f"{path}: remove `_target_: {target}`; `name: {name}` alone now chooses the task, the function "
                    f"{name} of entreg/tasks/{name}.py"
                )
            elif path.parent != conf / "experiment" or source_of_loader(target):
                source = source_of_loader(target) or "NAME"
                yield f"{path}: `_target_: {target}` is now `source: {source}`{_where(target)}"


def _where(target: str) -> str:
    """Return what NAME stands for, where the source of a loader is not known."""
    return "" if source_of_loader(target) else ", NAME being a module of entreg/data/sources/"


def _instead(override: Override, conf: Path) -> str | None:  # noqa: PLR0911  # a return for each kind of word
    """Return what to type instead of one word; None where nothing is wrong with it."""
    key, package, value = override.key_or_group, override.package, override.value()
    named = re.fullmatch(r"(task|data|ood(?:\.\w+)?)\._target_", key)
    if named and named[1] == "task":
        return f"type task={TASKS.get(str(value), 'NAME')}, a task is chosen by its name"
    if named:
        name = "ood.NAME" if named[1] == "ood" else named[1]
        return f"type {name}.source={source_of_loader(value) or 'NAME'}{_where(str(value))}"
    if package == "ood" and key == "data" or key == "ood" and package is None:
        if override.is_delete() or value is None:
            return "type ood=[] for no foreign set"
        sets = ",".join(_names(override)) or "NAME,..."
        if override.is_sweep_override():
            return f"type ood=[{sets}]: {ALL_OF_ONE_TRAINING}"
        return f"type ood=[{sets}] (several: ood=[{sets},another])" if key == "data" else None
    if package and package.startswith("ood.") and override.is_sweep_override():
        each = " ".join(f"+{key}@ood.{name}={name}" for name in _names(override)) or f"+{key}@ood.NAME=..."
        return f"type {each}: {ALL_OF_ONE_TRAINING}"
    if key == "data" and package is None:
        choices = value.list if isinstance(value, ChoiceSweep) else [value]
        if any(isinstance(choice, list) for choice in choices):
            return (
                "type data=NAME, one data set to learn from; ood=[NAME,...] holds those that the model is also "
                "evaluated on"
            )
    below_ood = re.fullmatch(r"ood\.(\w+)", key)
    is_a_set = isinstance(value, dict) or below_ood and (conf / f"data/{below_ood[1]}.yaml").is_file()
    if below_ood and not override.is_delete() and not is_a_set:
        return f"type ood.NAME.{below_ood[1]}=..., NAME being one of the foreign sets (ood=[NAME])"
    return None


def _names(override: Override) -> list[str]:
    """Return every name that is chosen, once each, also from nested lists and choices; a glob or a range has none."""

    def flat(node: Any) -> Iterator[str]:
        if isinstance(node, (ChoiceSweep, list)):
            for element in node.list if isinstance(node, ChoiceSweep) else node:
                yield from flat(element)
        elif isinstance(node, (str, QuotedString)):
            yield node if isinstance(node, str) else node.text

    return list(dict.fromkeys(flat(override.value())))
