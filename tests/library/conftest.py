"""A study of two runs and their evaluation, made by the library as a script would make it, once for each session."""

from __future__ import annotations

from typing import NamedTuple

import pytest

import entreg
from entreg import EvaluatedFolder, TrainedRun
from tests.miniature import TRAIN

# those of the miniature study that say nothing of the loss, the store and the folder
SMALL = [word for word in TRAIN if not word.startswith(("loss", "paths.store", "study"))]
ONE_THREAD = ["hardware=cpu", "hardware.threads=1"]


class Study(NamedTuple):
    """Two runs that differ in their loss, and what their evaluation showed."""

    baseline: TrainedRun
    regularised: TrainedRun
    shown: EvaluatedFolder


@pytest.fixture(scope="session")
def small(store) -> list[str]:
    """Overrides of the smallest training."""
    return [*SMALL, f"paths.store={store}"]


@pytest.fixture(scope="session")
def made(tmp_path_factory, store, small) -> Study:
    """The study, in a folder whose name Hydra's grammar and globs would take for something else."""
    place = tmp_path_factory.mktemp("study") / "it's [a], b=c"
    runs = [entreg.train([f"loss={loss}", *small], folder=place / loss) for loss in ("nll", "nll_entropy")]
    shown = entreg.evaluate(runs, [*ONE_THREAD, f"paths.store={store}"], folder=place / "judged")
    return Study(*runs, shown)
