"""The jobs of a sweep as they were planned, and as SLURM has accepted them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class PlannedRun(NamedTuple):
    """A run of a sweep: the words of its job and the name of its folder, within that of the sweep."""

    words: list[str]
    folder: str

    @property
    def is_training(self) -> bool:
        """Whether the run is a training, which every task is that is not named."""
        return [word for word in self.words if word.startswith("task=")][-1:] in ([], ["task=train"])


def telling_apart(runs: Sequence[PlannedRun]) -> list[str]:
    """Return the words of each run that not all runs share; none of a single run."""
    shared = set(runs[0].words).intersection(*(run.words for run in runs)) if runs else set[str]()
    return [" ".join(word for word in run.words if word not in shared) for run in runs]


class Submission(NamedTuple):
    """What one call of sbatch has submitted.

    job: SLURM's id, of an array that of the whole; runs: the numbers of the runs of each task, in the tasks' order
    """

    job: str
    runs: list[list[int]]

    def tasks(self) -> list[tuple[str, list[int]]]:
        """Return the id and the runs of each task. SLURM numbers the tasks of an array, but not a single job."""
        if len(self.runs) == 1:
            return [(self.job, self.runs[0])]
        return [(f"{self.job}_{number}", runs) for number, runs in enumerate(self.runs)]
