"""Hydra's launcher that submits the jobs of a sweep to SLURM, and waits for them."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, configure_log, setup_globals
from submitit import SlurmJob

from entreg.cli import sweep_table
from entreg.cli.evaluation_words import words_of
from entreg.cli.slurm_evaluation import Evaluation
from entreg.cli.slurm_jobs import Job, Submitted, finished_before, numbered, results_of, returned
from entreg.cli.submission import chunks, new_mark, plain_params, submit
from entreg.cli.submitit_job import SubmititJob
from entreg.cli.sweep_table import relative
from entreg.cli.waiting import wait
from entreg.command_line import command
from entreg.errors import UserError
from entreg.runs.folder import SweepFolder
from entreg.runs.submission import Submission
from entreg.slurm.limits import most_tasks
from entreg.slurm.queue import active

log = logging.getLogger(__name__)


class Slurm(SubmititJob):
    """Submits a job of SLURM for each job of a sweep."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit all jobs that are not in the queue yet, wait for all, and return the result of each."""
        return self._launched([[job] for job in numbered(job_overrides, initial_job_idx)])

    def _launched(self, groups: list[list[Job]]) -> list[JobReturn]:
        """Submit a job of SLURM for each group of jobs, wait for all, and return the results in the groups' order."""
        assert self.config is not None
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        sweep = SweepFolder(Path(str(self.config.hydra.sweep.dir)).absolute())
        returns = {group[0].number: finished_before(sweep, group) for group in groups}
        finished = [group for group in groups if returns[group[0].number] is not None]
        try:
            submitted = self._in_the_queue(sweep, [group for group in groups if group not in finished])
            known = [*finished, *(one.jobs for one in submitted)]
            submitted += self._submitted(sweep, [group for group in groups if group not in known])
            evaluation = self._evaluation(sweep, groups, submitted) if self.config.sweep.evaluate else []
        except UserError as error:
            print(error, file=sys.stderr, flush=True)
            sweep_table.withdraw()
            sys.exit(2)
        if self.config.sweep.detach:
            print(how_to_look(sweep), flush=True)
            return [returned(job, None) for group in groups for job in group]
        try:
            ended = wait([one.slurm for one in (*submitted, *evaluation)])
            if evaluation and sweep.evaluations()[-1] != evaluation[0].slurm.job_id:  # it was submitted once more
                evaluation = [self._evaluation_of(sweep.evaluations()[-1], evaluation[0].jobs[0])]
                ended |= wait([evaluation[0].slurm])
        except KeyboardInterrupt:
            sweep_table.withdraw()
            print(f"\nThe jobs go on. {how_to_look(sweep)}", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        for one in (*submitted, *evaluation):
            returns[one.jobs[0].number] = results_of(sweep, one, ended.get(one.slurm.job_id))
        if evaluation:
            print(f"evaluation: {relative(sweep.evaluation.path)}", flush=True)
        return [job_return for number in sorted(returns) for job_return in returns[number] or []]

    def _in_the_queue(self, sweep: SweepFolder, groups: list[list[Job]]) -> list[Submitted]:
        """Return the jobs that an earlier command has submitted and that still wait or run, and log their ids.

        Raises NoAnswer where there may be such jobs and SLURM does not say.
        """
        ids = sweep.job_ids()
        waiting = {*active([*ids.values()])}
        found = [
            Submitted(SlurmJob(self.params["submitit_folder"], ids[group[0].number]), group)
            for group in groups
            if ids.get(group[0].number) in waiting
        ]
        if found:
            log.info(
                "%d of %d jobs are in the queue already and are not submitted again: %s",
                len(found),
                len(groups),
                " ".join(one.slurm.job_id for one in found),
            )
        return found

    def _submitted(self, sweep: SweepFolder, groups: list[list[Job]]) -> list[Submitted]:
        """Submit a job for each group, as arrays no larger than this cluster allows, and record them."""
        submitted = []
        for chunk in chunks(len(groups), most_tasks() if len(groups) > 1 else None):
            part = [groups[number] for number in chunk]
            jobs = submit(self.params, self, self.arguments_of(part), new_mark())
            runs = [[job.number for job in group] for group in part]
            sweep.add_submission(Submission(jobs[0].job_id.partition("_")[0], runs))
            submitted += [Submitted(*pair) for pair in zip(jobs, part, strict=True)]
        if submitted:
            log.info("submitted %d jobs: %s", len(submitted), " ".join(dict.fromkeys(map(_array, submitted))))
        return submitted

    def _evaluation(self, sweep: SweepFolder, groups: list[list[Job]], runs: list[Submitted]) -> list[Submitted]:
        """Submit the evaluation of the groups' runs, which starts when all their jobs have ended, and return its job.

        One that an earlier command has submitted and that still waits or runs is left alone. It is submitted in the
        same breath as the runs: SLURM forgets jobs, and what depends on a forgotten job starts at once.
        """
        jobs_of_runs = [job for group in groups for job in group]
        place = f"hydra.sweep.subdir={sweep.evaluation.path.name}"
        job = Job(len(jobs_of_runs), [*words_of([one.overrides for one in jobs_of_runs], sweep), place])
        waiting = active(sweep.evaluations())
        if waiting:
            return [self._evaluation_of(waiting[-1], job)]
        composed = self.hydra_context.config_loader.load_sweep_config(self.config, job.overrides)
        evaluation = Evaluation(plain_params(composed.hydra.launcher), sweep)
        evaluation.setup(hydra_context=self.hydra_context, task_function=self.task_function, config=self.config)
        (arguments,) = evaluation.arguments_of([[job]])
        submitted = evaluation.submit(arguments, list(dict.fromkeys(_array(one) for one in runs)))
        log.info("submitted the evaluation, which waits for them: %s", submitted.job_id)
        return [Submitted(submitted, [job], is_evaluation=True)]

    def _evaluation_of(self, job_id: str, job: Job) -> Submitted:
        return Submitted(SlurmJob(self.params["submitit_folder"], job_id), [job], is_evaluation=True)


def how_to_look(sweep: SweepFolder) -> str:
    """Say how to look at the jobs of a sweep, and how to cancel them."""
    look, end = (command([task, f"runs={relative(sweep.path)}"]) for task in ("status", "cancel"))
    return f"Look at them with `{look}`, cancel them with `{end}`; the same command goes on waiting."


def _array(one: Submitted) -> str:
    return str(one.slurm.job_id).partition("_")[0]
