"""What earlier versions saved and what people typed for them: read as it was meant, or answered with today's form.

A saved name is looked up here and never imported: a folder that somebody else has made must not choose what is run.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
# words of earlier versions, each with what to type instead; \1 stands for what the brackets hold
WORDS = (
    (r"\+?data@ood=(\w+)", r"type ood=[\1] (several: ood=[\1,another])"),
    (r"~data@ood(=.*)?", "type ood=[] for no foreign set"),
    (r"~ood(=.*)?|ood=null", "type ood=[] for no foreign set"),
    (r"ood=([\w,]+,[\w,]+)",
     r"type ood=[\1]: all foreign sets of one training (a sweep over them would train everything anew)"),
    (r"data=\[(.*)\]",
     "type data=NAME, one data set to learn from; ood=[NAME,...] holds those that the model is also judged on"),
    (r"\+?ood\.(_target_|root|limit|sample|sample_seed|split_seed|folds|fold|geometry|long_side_px|short_side_px|sigma_px"
     r"|drop_first|images|seed|observers|fixations_per_observer|bias_\w+|object_share|name)=.*",
     r"type ood.NAME.\1=..., NAME being one of the foreign sets (ood=[NAME])"),
    (r"evaluation\.bootstrap=.*", "leave it out: intervals are no longer resampled (README, \"How sure it is\")"),
)


def today(tree: dict[str, Any]) -> dict[str, Any]:
    """A saved config (plain, nested) with today's names, and with the settings that its own names implied."""
    found = _renamed(tree)
    ood = found.get("ood")
    if ood is None:
        found["ood"] = {}
    elif "_target_" in ood:  # one foreign set was all that there could be
        found["ood"] = {ood["name"]: ood}
    for group, names in REMOVED.items():
        if isinstance(found.get(group), dict):
            found[group] = {key: value for key, value in found[group].items() if key not in names}
    return found


def answer(words: Iterable[str], conf: Path) -> str | None:
    """What to type instead of an earlier version's words or an experiment under `conf` that holds such; else None."""
    for word in words:
        for pattern, instead in WORDS:
            match = re.fullmatch(pattern, word)
            if match:
                return f"{word}: {match.expand(instead)}"
        experiments = re.fullmatch(r"\+?experiment=\[?([\w,/-]+)\]?", word)
        for name in experiments[1].split(",") if experiments else ():
            path = conf / f"experiment/{name}.yaml"
            if path.is_file() and re.search(r"override\s+/?data@ood", path.read_text(encoding="utf-8")):
                return f"{path}: `override /data@ood: NAME` is now `override /ood: [NAME]`"
    return None


def _renamed(tree: dict[str, Any]) -> dict[str, Any]:
    target = tree.get("_target_")
    found = LAYOUTS.get(target, {}) | {key: _renamed(value) if isinstance(value, dict) else value
                                       for key, value in tree.items()}
    if isinstance(target, str):
        found["_target_"] = TARGETS.get(target, target)
    return found
