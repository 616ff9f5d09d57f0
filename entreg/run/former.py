"""What configs that earlier versions saved mean today. Version 0.1.0 named its functions by other modules.

A saved name is looked up here and never imported: a folder that somebody else has made must not choose what is run.
"""
from __future__ import annotations

from typing import Any

TARGETS = {
    "entreg.engine.training.train": "entreg.train.trainer.train",
    "entreg.data.folder.load": "entreg.data.sources.folder.load",
    "entreg.data.synthetic.load": "entreg.data.sources.synthetic.load",
    "entreg.data.mit1003.load": "entreg.data.sources.fixation_maps.load",
    "entreg.data.cat2000.load": "entreg.data.sources.fixation_maps.load",
}
# what the loaders of single data sets knew by themselves
LAYOUTS = {
    "entreg.data.mit1003.load": {
        "stimuli": "ALLSTIMULI/*.jpeg", "maps": "ALLFIXATIONMAPS/{stem}_fixPts.jpg", "maps_are": "image",
        "expected_images": 1003,
    },
    "entreg.data.cat2000.load": {
        "archive": "trainSet", "stimuli": "Stimuli/*/*.jpg", "maps": "FIXATIONLOCS/{folder}/{stem}.mat",
        "maps_are": "mat", "key": "fixLocs", "expected_images": 2000,
    },
}


def today(tree: dict[str, Any]) -> dict[str, Any]:
    """A saved config (plain, nested) with today's names, and with the settings that its own names implied."""
    target = tree.get("_target_")
    here: dict[str, Any] = LAYOUTS.get(target, {}) if isinstance(target, str) else {}
    found = here | {key: today(value) if isinstance(value, dict) else value for key, value in tree.items()}
    if isinstance(target, str):
        found["_target_"] = TARGETS.get(target, target)
    return found
