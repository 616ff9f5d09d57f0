"""The evaluation of a sweep on SLURM: a job that starts when all jobs of the sweep have ended.

A job that SLURM requeues at its end can be overtaken: the evaluation starts while that job waits again. The evaluation
then submits itself once more, and waits for what is missing. What has not finished then is named on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from submitit import Job as SlurmTask

from entreg.cli.composed_once import Configs
from entreg.cli.slurm_jobs import Job, returned
from entreg.cli.submission import new_mark, submit
from entreg.cli.submitit_job import SubmititJob, ready_for_signals
from entreg.errors import UserError
from entreg.runs.folder import State, SweepFolder
from entreg.runs.submission import Submission
from entreg.slurm.commands import NoAnswer
from entreg.slurm.queue import active


class Evaluation(SubmititJob):
    """The function that is submitted for the evaluation of a sweep.

    params: the settings of the launcher, as plain values; sweep: the folder of the sweep
    """

    def __init__(self, params: dict[str, Any], sweep: SweepFolder) -> None:
        super().__init__(**params)
        self._sweep = sweep
        self._is_last = False

    def submit(self, arguments: tuple[Any, ...], after: Sequence[str]) -> SlurmTask[Any]:
        """Submit the evaluation, record it, and return its job. after: the ids of the jobs for which it waits."""
        # afterany: which runs have finished is read from their folders, and a page of some is better than none
        dependency = ":".join(["afterany", *after]) if after else None
        (job,) = submit(self.params | {"dependency": dependency}, self, [arguments], new_mark())
        self._sweep.add_submission(Submission(job.job_id, [[]]))
        return job

    def __call__(self, jobs: list[Job], globals_of_hydra: bytes, configs: Configs) -> Any:
        """Evaluate the sweep in SLURM's job, or submit this once more where runs that go on have been overtaken."""
        ready_for_signals()
        missing = [] if self._is_last else self._going_on()
        if not missing:
            return super().__call__(jobs, globals_of_hydra, configs)
        self._is_last = True
        try:
            again = self.submit((jobs, globals_of_hydra, configs), missing)
        except UserError as error:  # some clusters let no job submit another
            print(f"{error}\nwhat has finished is evaluated now", flush=True)
            return super().__call__(jobs, globals_of_hydra, configs)
        print(f"these jobs go on: {' '.join(missing)}; the evaluation {again.job_id} waits for them", flush=True)
        return returned(jobs[0], None)

    def _going_on(self) -> list[str]:
        """Return the jobs that wait or run and whose runs have not finished; none where SLURM does not answer."""
        ended = (State.FINISHED, State.FAILED)
        jobs = {job for run, job in self._sweep.job_ids().items() if self._sweep.run(run).state not in ended}
        try:
            return active(sorted(jobs))
        except NoAnswer:
            return []
