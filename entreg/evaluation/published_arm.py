"""A published model as an arm of its own: it is fixed, and is evaluated as it is beside the arms trained here."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from entreg.config import Config, Data, is_mit1003
from entreg.evaluation.arms import Arm
from entreg.losses import nll
from entreg.model.published_weights import TRAINED_ON, read
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun

# folders below paths.data: as in conf/data/mit1003.yaml, and as pysaliency leaves them
STIMULI = "MIT1003/ALLSTIMULI", "MIT1003/stimuli"


def arm_of(published: Path, component: int | None, beside: Config) -> Arm:
    """Return the arm of a published file: one of its components, or the mixture of all.

    Raises a UserError where the file is not a published one, or its model cannot be evaluated.

    beside: the config of a training that it is evaluated beside, whose data, priors and centre bias it takes
    """
    origin = read(published)
    model = origin.model(component)
    config = copy.deepcopy(beside)
    config.model, config.loss = origin.settings(beside.model.center_bias), nll.Settings()
    config.model.backbone.precision = beside.model.backbone.precision
    name = origin.kind.name if component is None else f"{origin.kind.name}, component {component}"
    description = described(published, "judged", beside) | {
        "name": name,
        "sha256": origin.sha256,
        "is_the_published_file": origin.sha256 == origin.kind.sha256,
        "components": len(origin.components) if component is None else 1,
    }
    return Arm(name, (FinishedRun(RunFolder(published), config, {}, model),), {}, description)


def described(path: Path, role: str, config: Config) -> dict[str, Any]:
    """Return the description of a published file in results.json.

    role: `judged` where the model is evaluated, `start` where trainings started from it
    """
    return {"role": role, "file": str(path), "trained_on": list(TRAINED_ON), "looked_for": bool(stimuli(config))}


def stimuli(config: Config) -> list[Path]:
    """Return MIT1003's images, where they are below paths.data, so that copies in other sets can be found."""
    folders = (Path(config.paths.data) / folder for folder in STIMULI)
    return next((paths for folder in folders if (paths := sorted(folder.glob("*.jpeg")))), [])


def was_seen(settings: Data) -> bool:
    """Return whether a data set's name or folder begins with MIT1003, as pysaliency's MIT1003_onesize does."""
    return any(is_mit1003(name) for name in (settings.name, Path(settings.root or "").name))


def descends(run: FinishedRun) -> bool:
    """Return whether the model is a published one, or was trained from one and thus has seen the same images."""
    return run.fixed is not None or run.config.model.init_from is not None
