"""What earlier versions saved and what people typed for them: read as it was meant, or answered with today's form.

A saved name is looked up here and never imported: a folder that somebody else has made must not choose what is run.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

# version 0.1.0 named its functions by other modules
TARGETS = {
    "entreg.engine.training.train": "entreg.train.trainer.train",
    "entreg.data.folder.load": "entreg.data.sources.folder.load",
    "entreg.data.synthetic.load": "entreg.data.sources.synthetic.load",
    "entreg.data.mit1003.load": "entreg.data.sources.fixation_maps.load",
    "entreg.data.cat2000.load": "entreg.data.sources.fixation_maps.load",
}
# what the loaders of single data sets knew by themselves
LAYOUTS: dict[Any, dict[str, Any]] = {
    "entreg.data.mit1003.load": {
        "stimuli": "ALLSTIMULI/*.jpeg", "maps": "ALLFIXATIONMAPS/{stem}_fixPts.jpg", "maps_are": "image",
        "expected_images": 1003,
    },
    "entreg.data.cat2000.load": {
        "archive": "trainSet", "stimuli": "Stimuli/*/*.jpg", "maps": "FIXATIONLOCS/{folder}/{stem}.mat",
        "maps_are": "mat", "key": "fixLocs", "expected_images": 2000,
    },
}
REMOVED = {"evaluation": ("bootstrap",)}
ALL_OF_ONE_TRAINING = "all foreign sets of one training (a sweep over them would train everything anew)"


def today(tree: dict[str, Any]) -> dict[str, Any]:
    """A saved config (plain, nested) with today's names, and with the settings that its own names implied."""
    renamed = _renamed(tree)
    ood = renamed.get("ood")
    if ood is None:
        renamed["ood"] = {}
    elif "_target_" in ood:  # one foreign set was all that there could be
        renamed["ood"] = {ood["name"]: ood}
    for group, names in REMOVED.items():
        if isinstance(renamed.get(group), dict):
            renamed[group] = {key: value for key, value in renamed[group].items() if key not in names}
    return renamed


def answer(words: Iterable[str], conf: Path) -> str | None:
    """What to type instead of an earlier version's words or an experiment under `conf` that holds such; else None.

    The same for a sweep over the foreign sets, however it is spelt.
    """
    parser = OverridesParser.create()
    for word in words:
        try:
            override = parser.parse_override(word)
            instead = _instead(override, conf)
        except (HydraException, ValueError, TypeError):  # an option such as -m, or what Hydra itself answers
            continue
        if instead is not None:
            return f"{word}: {instead}"
        for name in _names(override) if override.key_or_group == "experiment" else ():
            path = conf / f"experiment/{name}.yaml"
            if path.is_file() and re.search(r"override\s+/?data@ood", path.read_text(encoding="utf-8")):
                return f"{path}: `override /data@ood: NAME` is now `override /ood: [NAME]`"
    return None


def _instead(override: Override, conf: Path) -> str | None:
    """What to type instead of one word; None where nothing is wrong with it."""
    key, package, value = override.key_or_group, override.package, override.value()
    if package == "ood" and key == "data" or key == "ood" and package is None:
        if override.is_delete() or value is None:
            return "type ood=[] for no foreign set"
        sets = ",".join(_names(override)) or "NAME,..."
        if override.is_sweep_override():
            return f"type ood=[{sets}]: {ALL_OF_ONE_TRAINING}"
        return f"type ood=[{sets}] (several: ood=[{sets},another])" if key == "data" else None
    if package and package.startswith("ood.") and override.is_sweep_override():
        named = " ".join(f"+{key}@ood.{name}={name}" for name in _names(override)) or f"+{key}@ood.NAME=..."
        return f"type {named}: {ALL_OF_ONE_TRAINING}"
    if key == "data" and package is None:
        choices = value.list if isinstance(value, ChoiceSweep) else [value]
        if any(isinstance(choice, list) for choice in choices):
            return ("type data=NAME, one data set to learn from; ood=[NAME,...] holds those that the model is also "
                    "judged on")
    of_the_one_set = re.fullmatch(r"ood\.(\w+)", key)
    is_a_set = isinstance(value, dict) or of_the_one_set and (conf / f"data/{of_the_one_set[1]}.yaml").is_file()
    if of_the_one_set and not override.is_delete() and not is_a_set:
        return f"type ood.NAME.{of_the_one_set[1]}=..., NAME being one of the foreign sets (ood=[NAME])"
    if key == "evaluation.bootstrap":
        return 'leave it out: intervals are no longer resampled (README, "How sure it is")'
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


def _renamed(tree: dict[str, Any]) -> dict[str, Any]:
    target = tree.get("_target_")
    renamed = LAYOUTS.get(target, {}) | {key: _renamed(value) if isinstance(value, dict) else value
                                       for key, value in tree.items()}
    if isinstance(target, str):
        renamed["_target_"] = TARGETS.get(target, target)
    return renamed
