"""Check all jobs before the first one starts."""

from __future__ import annotations

import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from entreg.cli import outdated_words, wrong_words
from entreg.cli.arguments import conf_folder
from entreg.cli.composed_once import ComposedOnce, load_sweeps_by
from entreg.cli.composition import refuse
from entreg.cli.execution import checked, refuse_start, without_hydra
from entreg.cli.launchers import LOCAL, SLURM, TOGETHER
from entreg.cli.submission import chunks, plain_params, script
from entreg.cli.sweep_table import Sweep, announce
from entreg.command_line import command
from entreg.errors import SettingError, UserError, brief
from entreg.io import files
from entreg.runs import sweep_words
from entreg.runs.folder import RunFolder, SweepFolder
from entreg.runs.provenance import code_version
from entreg.runs.submission import PlannedRun, telling_apart
from entreg.slurm import limits


class Preflight(Callback):
    """Hydra's callback that checks every job's config, and that its folder can be written, before the first job starts.

    Where it refuses something, it prints one message and exits with 2.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse a single run that names a launcher, since Hydra would ignore it, or whose folder cannot be written."""
        launcher = config.hydra.runtime.choices["hydra/launcher"]
        if launcher != "basic":
            refuse(
                f"hydra/launcher={launcher} is for sweeps only; Hydra would run this single run here. Type\n"
                f"  {command(['-m', *sys.argv[1:]])}"
            )
        _refuse_unwritable(Path(config.hydra.run.dir), "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Compose and check the config of every job of a sweep, and record the sweep in its folder."""
        launcher = config.hydra.runtime.choices["hydra/launcher"]
        folder = SweepFolder(Path(config.hydra.sweep.dir).absolute())
        try:
            jobs = _checked_jobs(load_sweeps_by(), config, launcher, folder)
        except (UserError, OmegaConfBaseException) as error:
            refuse(str(error))
        except Exception:
            refuse(traceback.format_exc())
        if config.sweep.detach and (launcher not in SLURM or jobs is None):
            refuse("sweep.detach=true leaves jobs to SLURM: it needs hydra/launcher=submitit_slurm, and no Optuna")
        if config.sweep.evaluate and jobs is None:
            refuse("sweep.evaluate=true evaluates all jobs of a sweep: it needs jobs that are planned, and no Optuna")
        if config.sweep.dry_run:
            print(_dry_run(config, launcher, folder, jobs))
            sys.exit(0)
        _refuse_unwritable(folder.path, "hydra.sweep.dir")
        folder.write_jobs(jobs)
        if launcher not in LOCAL:
            _refuse_unwritable(Path(config.hydra.launcher.submitit_folder), "hydra.launcher.submitit_folder")
            files.write_text(folder.submitted_code, code_version() + "\n")
        if launcher == "basic" and jobs is not None and len(jobs) > 1 and config.task.name == "train":
            print(
                "The runs are trained one after the other. hydra/launcher=together trains those that read the same "
                "batches at the same time."
            )
        announce(Sweep(folder, jobs, evaluates=config.sweep.evaluate and launcher not in SLURM))


def _checked_jobs(
    loader: ComposedOnce, config: DictConfig, launcher: str, sweep: SweepFolder
) -> list[PlannedRun] | None:
    """Return each job after checking them all; None where the sweeper chooses the jobs by itself."""
    sweeper = config.hydra.sweeper
    params, typed = sweeper.get("params") or {}, list(config.hydra.overrides.task)
    # an experiment may contain a sweep, too
    answer = outdated_words.answer([f"{key}={value}" for key, value in params.items()], conf_folder())
    if answer is not None:
        raise SettingError(f"hydra.sweeper.params: {answer}")
    if launcher in SLURM:
        _refuse_limits(config.hydra.launcher)
    at_once = config.hydra.launcher.get("parallelism")
    if at_once is not None and at_once < 1:
        raise SettingError(f"hydra.launcher.parallelism={at_once}: at least 1, or null for all jobs at once")
    is_planned = sweep_words.is_basic(sweeper)
    jobs = []
    for number, words in enumerate((sweep_words.jobs_of if is_planned else sweep_words.samples_of)(params, typed)):
        try:
            name = _checked_job(loader, config, launcher, words, number, sweep if is_planned else None)
        except SettingError as error:
            raise SettingError(f"job {number} ({' '.join(words)}): {error}") from None
        jobs.append(PlannedRun(words, name))
    if launcher in SLURM and shutil.which("sbatch") is None:
        raise SettingError(
            "there is no SLURM on this machine (no sbatch). hydra/launcher=submitit_local runs the sweep's jobs here, "
            "at once; without hydra/launcher they run one after the other"
        )
    if not is_planned:
        return None
    _refuse_shared(jobs)
    return jobs


def _checked_job(
    loader: ComposedOnce, config: DictConfig, launcher: str, words: list[str], number: int, sweep: SweepFolder | None
) -> str:
    """Check one job's config by itself and against the config in its folder; return the name of this folder.

    sweep: None where the jobs will get other numbers
    """
    try:
        composed = loader.load_sweep_config(config, words)
    except HydraException as error:
        raise SettingError(wrong_words.in_a_line(error, without_hydra(config))) from error
    with read_write(composed), open_dict(composed):
        composed.hydra.job.num = number
        name = _subfolder(composed, number)
        hydra_config = composed.pop("hydra")
    job_config = checked(composed)
    folder = None if sweep is None else RunFolder(sweep.path / name)
    refuse_start(job_config, composed, hydra_config, folder)
    if launcher in TOGETHER and job_config.task.name != "train":
        raise SettingError(
            f"hydra/launcher={launcher} trains runs together, but task={job_config.task.name} trains nothing"
        )
    if launcher in SLURM and job_config.hardware != OmegaConf.to_object(config.hardware):
        raise SettingError(
            "`hardware` cannot be swept: all jobs of a SLURM sweep get the same resources. Submit one sweep for each "
            "hardware setting"
        )
    return name


def _subfolder(composed: DictConfig, number: int) -> str:
    """Return the name of a job's folder in that of its sweep: its number, or what hydra.sweep.subdir makes of it."""
    try:
        name = str(composed.hydra.sweep.subdir)
    except OmegaConfBaseException as error:
        raise SettingError(
            f"hydra.sweep.subdir: {brief(error)}; it may use what is known before the job starts, such as "
            "${hydra.job.num} and settings"
        ) from None
    if name.startswith("/") or ".." in name.split("/"):
        raise SettingError(f"hydra.sweep.subdir={name}: it must lie below the folder of the sweep")
    return name


def _refuse_shared(jobs: list[PlannedRun]) -> None:
    """Raise a SettingError where two jobs would write into the same folder."""
    first: dict[str, int] = {}
    for number, job in enumerate(jobs):
        if first.setdefault(job.folder, number) != number:
            raise SettingError(
                f"hydra.sweep.subdir: the jobs {first[job.folder]} and {number} would share the folder {job.folder}; "
                "let it contain every setting that differs, or ${hydra.job.num}"
            )


def _dry_run(config: DictConfig, launcher: str, sweep: SweepFolder, jobs: list[PlannedRun] | None) -> str:
    """Return what would be started: the jobs with the settings that differ, and the script of a SLURM job."""
    if jobs is None:
        return "a sweeper chooses the jobs one after the other; nothing was started"
    lines = [f"{len(jobs)} jobs of {config.task.name} in {sweep.path}; nothing was started"]
    lines += [f"  {job.folder}: {words}" for job, words in zip(jobs, telling_apart(jobs), strict=True)]
    if launcher in SLURM:
        tasks = len(chunks(len(jobs), limits.most_tasks())[0])
        lines += ["", script(plain_params(config.hydra.launcher), tasks)]
    return "\n".join(lines)


def _refuse_limits(asked: DictConfig) -> None:
    """Raise a SettingError where a job's time limit leaves it no time to work, or exceeds its partition's.

    asked: the launcher's settings
    """
    why = limits.why_too_short(asked.timeout_min, asked.signal_delay_s) or limits.why_too_long(
        asked.timeout_min, asked.partition
    )
    if why is not None:
        raise SettingError(why)


def _refuse_unwritable(folder: Path, key: str) -> None:
    """Refuse a folder that cannot be written, where Hydra would end with a traceback.

    key: the setting that chooses the folder
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1))
    except OSError as error:
        refuse(f"{folder}: cannot be written: {error.strerror}. Choose another folder with {key}=FOLDER")
