"""A published model as an arm of its own: fixed, judged as it is beside the arms that were trained here."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from entreg.config import Config, Data
from entreg.evaluate.arms import Arm
from entreg.losses import nll
from entreg.model.published import TRAINED_ON, read
from entreg.run.folder import RunFolder
from entreg.study.finished import Run

NAME = "mit1003"
# under paths.data: as conf/data/mit1003.yaml has them, and as pysaliency leaves them
STIMULI = "MIT1003/ALLSTIMULI", "MIT1003/stimuli"


def arm_of(published: Path, component: int | None, beside: Config) -> Arm:
    """The arm of a published file; one of its components, or all as a mixture.

    beside: the config of a training that it is judged beside: data, priors and centre bias are those of the study.
    UserError where the file is none, or its model cannot be judged.
    """
    origin = read(published)
    model = origin.model(component)
    config = copy.deepcopy(beside)
    config.model, config.loss = origin.settings(beside.model.center_bias), nll.Settings()
    name = origin.kind.name if component is None else f"{origin.kind.name}, component {component}"
    said = described(published, "judged", beside) | {
        "name": name,
        "sha256": origin.sha256,
        "is_the_published_file": origin.sha256 == origin.kind.sha256,
        "components": len(origin.components) if component is None else 1,
    }
    return Arm(name, (Run(RunFolder(published), config, {}, model),), {}, said)


def described(path: Path, role: str, config: Config) -> dict[str, Any]:
    """What is said of a published file on the page; role: `judged`, or `start` of trainings."""
    return {"role": role, "file": str(path), "trained_on": list(TRAINED_ON), "looked_for": bool(stimuli(config))}


def stimuli(config: Config) -> list[Path]:
    """MIT1003's images, where they are at hand, so that copies of them in other sets can be found."""
    found = ([*sorted((Path(config.paths.data) / folder).glob("*.jpeg"))] for folder in STIMULI)
    return next((paths for paths in found if paths), [])


def is_mit1003(settings: Data) -> bool:
    """Whether a data set is called MIT1003: by its name, or by its folder, as pysaliency's are (MIT1003_onesize)."""
    called = settings.name, Path(settings.root or "").name
    return any(name.lower().startswith(NAME) for name in called)


def descends(run: Run) -> bool:
    """Whether a model is a published one, or was trained from one: what that has seen, it has seen."""
    return run.fixed is not None or run.config.model.init_from is not None
