"""Evaluate finished runs from a script or a notebook."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from entreg.cli import in_process
from entreg.command_line import quoted
from entreg.data.memory_data import MemoryData
from entreg.errors import UserError
from entreg.library.compose import words_of
from entreg.library.given_data import write_again
from entreg.library.read_results import EvaluatedFolder, read_results
from entreg.library.train import TrainedRun


def evaluate(
    runs: str | Path | TrainedRun | Sequence[str | Path | TrainedRun] | None = None,
    overrides: Sequence[str] = (),
    *,
    folder: str | Path | None = None,
    data: Sequence[MemoryData] = (),
) -> EvaluatedFolder:
    """Evaluate finished runs against each other, as `python train.py evaluate RUNS` does, and return what it showed.

        shown = entreg.evaluate([baseline, regularised])
        shown.results.comparisons

    runs: a run that was trained, the folder of a run or a sweep, a glob as text, or a list of these; None: the newest
        sweep under multirun/, as on the command line
    overrides: such as `evaluation.seed=1`
    folder: that of the evaluation; None: outputs/STUDY
    data: the data sets in memory that the runs were trained with, where what was written of them is gone

    Raises the errors of `entreg.train`.
    """
    words, patterns = words_of(overrides, folder), None
    if runs is not None:
        several = [runs] if isinstance(runs, (str, Path, TrainedRun)) else runs
        patterns = [_pattern(one) for one in several]
        words.append(f"runs=[{','.join(map(quoted, patterns))}]")
    write_again(words, patterns, data)
    done, _ = in_process.perform([*words, "task=evaluate"])
    if not done.results.is_file():
        raise UserError(f"{done}: the evaluation was stopped on request; the same call goes on")
    return read_results(done.path)


def _pattern(run: str | Path | TrainedRun) -> str:
    """Return what finds the run: a glob as it is, a folder whatever characters its name has."""
    if isinstance(run, str):
        return run
    return glob.escape(str(run.folder if isinstance(run, TrainedRun) else run))
