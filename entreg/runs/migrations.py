"""Reading what version 0.2.0 and early versions of 0.3.0 saved.

A saved name is looked up here and never imported, because a folder of unknown origin must not choose what is run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from entreg.errors import DataError, brief
from entreg.io import files
from entreg.runs.submission import PlannedRun

# version 0.2.0 named tasks and data sources by the functions that a config called, as Hydra's _target_
TASKS = {
    "entreg.train.trainer.train": "train",
    "entreg.evaluate.evaluation.evaluate": "evaluate",
    "entreg.predict.prediction.predict": "predict",
    "entreg.prepare.prepare": "prepare",
}
# settings without a use: PyTorch now reads files of tensors safely, and each logger has a place of its own (`loggers`)
REMOVED = ("trust", "logger")
LOADER = re.compile(r"entreg\.data\.sources\.(\w+)\.load")
UNRECORDED = "0.2.0"  # the version of runs that do not record it


def today(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a saved config (plain, nested) with today's names of its task and its data sources."""
    task, ood = tree.get("task"), tree.get("ood")
    renamed = {key: value for key, value in tree.items() if key not in REMOVED}
    if isinstance(task, dict) and task.get("_target_") in TASKS:
        renamed["task"] = {key: value for key, value in task.items() if key != "_target_"}
    if "data" in tree:
        renamed["data"] = data_set(tree["data"])
    if isinstance(ood, dict):
        renamed["ood"] = {name: data_set(settings) for name, settings in ood.items()}
    model, hardware = tree.get("model"), tree.get("hardware")
    if isinstance(model, dict) and isinstance(model.get("backbone"), dict) and isinstance(hardware, dict):
        # one setting was for the products of backbone and readout
        precision = {"precision": hardware["precision"]} if "precision" in hardware else {}
        renamed["model"] = model | {"backbone": precision | model["backbone"]}
    return renamed


def data_set(saved: Any) -> Any:
    """Return a data set's saved settings with the name of its source in place of its loader's."""
    if not isinstance(saved, dict) or "_target_" not in saved or "source" in saved:
        return saved
    return {"source": source_of_loader(saved["_target_"]) or saved["_target_"]} | {
        key: value for key, value in saved.items() if key != "_target_"
    }


def source_of_loader(target: Any) -> str | None:
    """Return the name of the source that a loader of version 0.2.0 belonged to, or None where there is none."""
    loader = LOADER.fullmatch(target) if isinstance(target, str) else None
    return loader[1] if loader else None


def planned(jobs: list[Any]) -> list[PlannedRun]:
    """Return the recorded jobs of a sweep. Earlier versions recorded words alone, and numbered the folders."""
    return [
        PlannedRun(job["words"], job["folder"]) if isinstance(job, dict) else PlannedRun(job, str(number))
        for number, job in enumerate(jobs)
    ]


def jobs_of_sweep(multirun: Path) -> list[list[str]]:
    """Return the words of each job of a sweep that version 0.2.0 started; none where a sweeper chose them one by one.

    That version recorded its jobs only in the `multirun.yaml` that Hydra writes, so Hydra's own parser has to read it.
    Raises a DataError where the file cannot be read.
    """
    from entreg.runs import sweep_words  # late, since it loads Hydra

    if not multirun.is_file():
        return []
    try:
        saved = files.read_yaml(multirun)["hydra"]
        if not sweep_words.is_basic(saved["sweeper"]):
            return []
        return sweep_words.jobs_of(saved["sweeper"].get("params") or {}, saved["overrides"]["task"])
    except Exception as error:  # a malformed tree raises errors of many kinds, also in Hydra's parser
        # the message of Hydra's parser describes its lexer
        why = "its command line cannot be parsed" if isinstance(error, sweep_words.ParseError) else brief(error)
        reason = f"cannot be read as the config of a sweep: {why}"
        raise DataError(f"{multirun}: {reason}; restore it, or remove it to read the runs without it") from error
