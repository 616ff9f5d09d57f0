"""What version 0.2.0 saved and what was typed for it: read as it was meant, or answered with today's form.

A saved name is looked up here and never imported: a folder that somebody else has made must not choose what is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

# version 0.2.0 named tasks and data sources by the functions that a config called
TASKS = {
    "entreg.train.trainer.train": "train",
    "entreg.evaluate.evaluation.evaluate": "evaluate",
    "entreg.predict.prediction.predict": "predict",
    "entreg.prepare.prepare": "prepare",
}
LOADER = re.compile(r"entreg\.data\.sources\.(\w+)\.load")
UNRECORDED = "0.2.0"  # the version of runs that do not record theirs

ALL_OF_ONE_TRAINING = "all foreign sets of one training (a sweep over them would train everything anew)"


def today(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a saved config (plain, nested) that names its task and its data sources as today."""
    task, ood = tree.get("task"), tree.get("ood")
    renamed = dict(tree)
    if isinstance(task, dict) and task.get("_target_") in TASKS:
        renamed["task"] = {key: value for key, value in task.items() if key != "_target_"}
    if "data" in tree:
        renamed["data"] = data_set(tree["data"])
    if isinstance(ood, dict):
        renamed["ood"] = {name: data_set(settings) for name, settings in ood.items()}
    return renamed


def data_set(saved: Any) -> Any:
    """Return a data set's saved settings with the name of its source instead of its loader's."""
    if not isinstance(saved, dict) or "_target_" not in saved or "source" in saved:
        return saved
    return {"source": _source(saved["_target_"]) or saved["_target_"]} | {
        key: value for key, value in saved.items() if key != "_target_"
    }


def answer(words: Sequence[str], conf: Path) -> str | None:
    """Return what to type or write instead of words, and of YAML under `conf`, of version 0.2.0; else None.

    The same for a sweep over the foreign sets, however it is spelt.
    """
    parser = OverridesParser.create()
    for word in words:
        try:
            instead = _instead(parser.parse_override(word), conf)
        except (HydraException, ValueError, TypeError):  # an option such as -m, or what Hydra itself answers
            continue
        if instead is not None:
            return f"{word}: {instead}"
    return "\n".join(line for folder in (conf, *_config_folders(words)) for line in _in_yaml(folder)) or None


def _source(target: Any) -> str | None:
    """The name of the source that a loader of version 0.2.0 belonged to."""
    loader = LOADER.fullmatch(target) if isinstance(target, str) else None
    return loader[1] if loader else None


def _config_folders(words: Sequence[str]) -> Iterator[Path]:
    """The folders of options that somebody adds to those of entreg."""
    for word, following in zip(words, (*words[1:], ""), strict=False):
        name, _, value = word.partition("=")
        if name in ("--config-dir", "-cd"):
            yield Path(value or following)


def _in_yaml(conf: Path) -> Iterator[str]:
    """A line for each `_target_` that an option under conf/ gives to a task or a data set."""
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
            elif path.parent != conf / "experiment" or _source(target):
                yield f"{path}: `_target_: {target}` is now `source: {_source(target) or 'NAME'}`{_where(target)}"


def _where(target: str) -> str:
    return "" if _source(target) else ", NAME being a module of entreg/data/sources/"


def _instead(override: Override, conf: Path) -> str | None:
    """What to type instead of one word; None where nothing is wrong with it."""
    key, package, value = override.key_or_group, override.package, override.value()
    named = re.fullmatch(r"(task|data|ood(?:\.\w+)?)\._target_", key)
    if named and named[1] == "task":
        return f"type task={TASKS.get(str(value), 'NAME')}, a task is chosen by its name"
    if named:
        name = "ood.NAME" if named[1] == "ood" else named[1]
        return f"type {name}.source={_source(value) or 'NAME'}{_where(str(value))}"
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
                "judged on"
            )
    of_the_one_set = re.fullmatch(r"ood\.(\w+)", key)
    is_a_set = isinstance(value, dict) or of_the_one_set and (conf / f"data/{of_the_one_set[1]}.yaml").is_file()
    if of_the_one_set and not override.is_delete() and not is_a_set:
        return f"type ood.NAME.{of_the_one_set[1]}=..., NAME being one of the foreign sets (ood=[NAME])"
    return None


def _names(override: Override) -> list[str]:
    """Every name that is chosen, once each, of lists and choices within each other; a glob or a range holds none."""

    def flat(node: Any) -> Iterator[str]:
        if isinstance(node, (ChoiceSweep, list)):
            for one in node.list if isinstance(node, ChoiceSweep) else node:
                yield from flat(one)
        elif isinstance(node, (str, QuotedString)):
            yield node if isinstance(node, str) else node.text

    return list(dict.fromkeys(flat(override.value())))
