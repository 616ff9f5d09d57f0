"""Tests of what a run has recorded, for when it is read: the folder may be damaged or of unknown origin."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from entreg.config import Primary
from entreg.config.settings import check

COMMIT = "[0-9a-f]{4,64}"  # digits of SHA-1 or SHA-256; git knows none shorter than four

Test = Callable[[Any], str | None]  # returns why the content is wrong, or None where it is right


def words(content: Any) -> str | None:
    """Test the words of a command line."""
    return None if isinstance(content, list) and all(isinstance(word, str) for word in content) else "it lists no words"


def jobs(content: Any) -> str | None:
    """Test the jobs of a sweep: the words and the folder of each or, as earlier versions wrote, its words alone."""
    listed = isinstance(content, list) and all(
        words(job) is None
        or isinstance(job, dict)
        and job.keys() == {"words", "folder"}
        and words(job["words"]) is None
        and _is_below(job["folder"])
        for job in content
    )
    return None if listed else "it lists no jobs"


def trials(content: Any) -> str | None:
    """Test the trials of a sweep: the values of each by their keys."""
    listed = isinstance(content, list) and all(
        isinstance(trial, dict) and all(isinstance(value, (int, float, str)) for value in trial.values())
        for trial in content
    )
    return None if listed else "it lists no trials"


def submissions(content: Any) -> str | None:
    """Test what was submitted to SLURM: ids, the numbers of the runs of each task and, in newer records, when."""
    listed = isinstance(content, list) and all(
        isinstance(one, dict)
        and one.keys() - {"at"} == {"job", "runs"}
        and isinstance(one.get("at", ""), str)
        and isinstance(one["job"], str)
        and one["job"].isdecimal()  # it becomes a word of a command
        and isinstance(one["runs"], list)
        and all(isinstance(task, list) and all(isinstance(run, int) for run in task) for task in one["runs"])
        for one in content
    )
    return None if listed else "it lists no jobs of SLURM"


def ending(content: Any) -> str | None:
    """Test how a run's job was ended from outside."""
    return None if isinstance(content, dict) and isinstance(content.get("how"), str) else "it says no way of ending"


def reason(message: str) -> str:
    """Return the line of a failure's message that says why: the first or, of a traceback, the last."""
    lines = [line for line in message.splitlines() if line.strip()] or [""]
    return lines[-1] if any(line.startswith("Traceback (") for line in lines) else lines[0]


def _is_below(folder: Any) -> bool:
    return isinstance(folder, str) and not folder.startswith("/") and ".." not in folder.split("/")


def starts(content: Any) -> str | None:
    """Test the entries for each time that a run was started."""
    if not isinstance(content, list) or not content or not all(isinstance(start, dict) for start in content):
        return "it holds no entry for each start"
    for start in content:
        names = [start.get(key) for key in ("version", "git_commit", "code", "precision")]
        features = start.get("features")
        # a training records a recipe, an evaluation text
        if isinstance(features, dict):
            names += [features.get(key) for key in ("backbone_precision", "convolution")]
        else:
            names.append(features)
        if not all(name is None or isinstance(name, str) for name in names):
            return "its version, commit, code, precision or features are no names"
        # the page shows it in a command that people paste into a shell
        if not re.fullmatch(COMMIT, start.get("git_commit") or "0000"):
            return "its git_commit is no commit"
    return None


def plan(content: Any) -> str | None:
    """Test a study's plan: `primary`, with the settings of Primary, and `ood`, the settings of each foreign set."""
    if not isinstance(content, dict) or not isinstance(content.get("primary"), dict):
        return "it has no primary outcome"
    foreign = content.get("ood")
    if not isinstance(foreign, dict) or not all(isinstance(settings, dict) for settings in foreign.values()):
        return "it has no foreign sets by name"
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Primary), content["primary"])
        assert isinstance(merged, DictConfig)
        check(merged)
    except Exception as error:  # OmegaConf raises errors of many kinds where values do not fit the settings
        return f"its primary outcome is invalid ({error})"
    return None


def row(content: Any) -> str | None:
    """Test a row of a training's history."""
    try:
        float(content["validation_ig_bits_per_fixation"])
    except (KeyError, TypeError, ValueError):
        return "its last row holds no information gain"
    return None
