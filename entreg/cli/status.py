"""The state of each run of a sweep: what its own folder says and, where that says too little, what squeue says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from entreg.errors import UserError, brief
from entreg.runs.epochs import epochs_of, worker_of
from entreg.runs.folder import RunFolder, State, SweepFolder
from entreg.runs.newest_sweep import newest
from entreg.runs.records import reason
from entreg.runs.submission import PlannedRun, telling_apart
from entreg.slurm.commands import NoAnswer
from entreg.slurm.endings import LOST, MEANING
from entreg.slurm.queue import QueuedJob, found, queue

GOES_ON = ("queued", "running")  # states of runs that need nobody
UNKNOWN = "unknown"


@dataclass(frozen=True)
class RunStatus:
    """The state of a run, as a line of the table or an object of the JSON.

    about: more of the state in words; job: SLURM's id; seconds: since the start of a run that goes on, else what its
    epochs took
    """

    run: int
    overrides: str
    state: str
    about: str
    job: str | None
    node: str | None
    seconds: float | None
    validation_ig_bits_per_fixation: float | None
    folder: str
    log: str


def find_sweep(runs: str | None) -> SweepFolder:
    """Return the sweep, or the folder of a single run, that is meant; None means the newest sweep.

    Raises a UserError where there is none.
    """
    if runs is None:
        sweeps = [SweepFolder(path) for path in Path("multirun").glob("*")]
        begun = [sweep for sweep in sweeps if sweep.jobs.is_file() or sweep.multirun.is_file()]
        if not begun:
            raise UserError(f"there is no sweep under multirun/ of {Path.cwd()}; name one with runs=FOLDER")
        return newest(begun)
    if not Path(runs).expanduser().is_dir():
        raise UserError(f"runs={runs}: there is no such folder (seen from {Path.cwd()})")
    return SweepFolder(Path(runs).expanduser())


def status_of(sweep: SweepFolder, now: datetime) -> tuple[list[RunStatus], str | None]:
    """Return the state of each run, and why SLURM could not be asked, where it was needed and did not answer."""
    ids, silence = sweep.job_ids(), None
    jobs: Mapping[str, QueuedJob] | None = None
    if ids:
        try:
            jobs = queue()
        except NoAnswer as error:
            silence = str(error)
    planned = planned_of(sweep)
    words = telling_apart(planned) if len(planned) > 1 else [" ".join(run.words) for run in planned]
    runs = [
        _status(number, words[number], RunFolder(sweep.path / run.folder), ids.get(number), jobs, now)
        for number, run in enumerate(planned)
    ]
    return runs, silence


def planned_of(sweep: SweepFolder) -> Sequence[PlannedRun]:
    """Return the runs that the sweep was started for, or those that have begun where a sweeper chooses them itself.

    The folder of a single run counts as a sweep of one.
    """
    planned = sweep.read_jobs()
    if planned is not None:
        return planned
    words = RunFolder(sweep.path).read_typed()
    return sweep.begun() if words is None else [PlannedRun(words, ".")]


def exit_code(runs: Sequence[RunStatus], silence: str | None) -> int:
    """Return 0 where all runs have finished, 1 where one needs somebody, 3 where all others go on, 4 on silence."""
    states = {run.state for run in runs}
    if silence is not None and UNKNOWN in states:
        return 4
    if states - {"finished", *GOES_ON}:
        return 1
    return 0 if states == {"finished"} else 3


def _status(
    number: int,
    words: str,
    folder: RunFolder,
    job: str | None,
    jobs: Mapping[str, QueuedJob] | None,
    now: datetime,
) -> RunStatus:
    """Return the state of one run.

    job: SLURM's id of its last job; jobs: those that SLURM knows, None where it was not asked or did not answer
    """
    epochs, worker = epochs_of(folder), worker_of(folder, now)
    queued = found(jobs, job) if jobs is not None and job is not None else None
    state, about = _state(folder, job, queued, jobs is None, worker is not None)
    if state == "running" and epochs.done:
        about = f"epoch {epochs.done} of {epochs.planned or '?'}"
        if epochs.expected_end is not None:
            about += f", until about {epochs.expected_end:%m-%d %H:%M}"
    seconds: float | None = epochs.seconds or None
    if state == "running" and worker is not None:
        seconds = (now - worker.since).total_seconds()
    node = queued.node if queued is not None and queued.node else worker.host if worker is not None else None
    return RunStatus(number, words, state, about, job, node, seconds, epochs.ig_bits, str(folder), str(folder.log))


def _state(
    folder: RunFolder, job: str | None, queued: QueuedJob | None, is_silent: bool, is_worked_on: bool
) -> tuple[str, str]:
    """Return the state in a word, and more of it: an outcome in the folder first, then SLURM's word, then the rest."""
    state = folder.state
    if state is State.FINISHED:
        return "finished", ""
    if queued is not None and queued.is_active:
        return _active(queued, state is State.UNFINISHED, is_worked_on)
    if state is State.FAILED:
        return "failed", brief(reason(folder.why_failed()))
    if is_worked_on and (job is None or is_silent):
        return "running", "by its heartbeat" if is_silent and job is not None else ""
    if job is not None and is_silent:
        return UNKNOWN, "SLURM does not answer"
    return _ended(folder, job is not None, queued)


def _active(queued: QueuedJob, has_begun: bool, is_worked_on: bool) -> tuple[str, str]:
    """Return the state of a run whose job waits or runs."""
    if queued.is_waiting:
        return "queued", f"{'waits for its next run' if has_begun else 'waits'} ({queued.reason})"
    return "running", "" if is_worked_on else "starts"


def _ended(folder: RunFolder, has_job: bool, queued: QueuedJob | None) -> tuple[str, str]:
    """Return the state of a run on which nothing works and that has left no outcome."""
    how = folder.how_ended() or (MEANING[queued.state] if queued is not None else "")
    if how:
        return "stopped", how
    if has_job:
        return "lost", MEANING[LOST].removeprefix("it is lost: ")
    return ("stopped", "the same command goes on with it") if folder.path.is_dir() else ("not started", "")
