"""Check all jobs before the first one starts."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from entreg.cli import outdated_words, wrong_words
from entreg.cli.arguments import conf_folder
from entreg.cli.composition import refuse
from entreg.cli.execution import checked, refuse_start, without_hydra
from entreg.cli.launchers import LOCAL, SLURM, TOGETHER
from entreg.cli.sweep_table import Sweep, announce
from entreg.command_line import command
from entreg.errors import SettingError, UserError
from entreg.io import files
from entreg.runs import sweep_words
from entreg.runs.folder import SweepFolder
from entreg.runs.provenance import code_version


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
            jobs = _checked_jobs(config, launcher, folder)
        except (UserError, OmegaConfBaseException) as error:
            refuse(str(error))
        except Exception:
            refuse(traceback.format_exc())
        _refuse_unwritable(folder.path, "hydra.sweep.dir")
        folder.write_jobs(jobs)
        if launcher not in LOCAL:
            files.write_text(folder.submitted_code, code_version() + "\n")
        if launcher in SLURM:
            _prepare_environment(config.hydra.launcher.cpus_per_task)
        if launcher == "basic" and jobs is not None and len(jobs) > 1 and config.task.name == "train":
            print(
                "The runs are trained one after the other. hydra/launcher=together trains those that read the same "
                "batches at the same time."
            )
        announce(Sweep(folder, jobs))


def _checked_jobs(config: DictConfig, launcher: str, folder: SweepFolder) -> list[list[str]] | None:
    """Return the words of each job after checking them all; None where the sweeper chooses the jobs by itself."""
    sweeper = config.hydra.sweeper
    params, typed = sweeper.get("params") or {}, list(config.hydra.overrides.task)
    # an experiment may contain a sweep, too
    answer = outdated_words.answer([f"{key}={value}" for key, value in params.items()], conf_folder())
    if answer is not None:
        raise SettingError(f"hydra.sweeper.params: {answer}")
    jobs = sweep_words.jobs_of(params, typed) if sweep_words.is_basic(sweeper) else None
    for number, words in enumerate(sweep_words.samples_of(params, typed) if jobs is None else jobs):
        try:
            _check_job(config, launcher, words, None if jobs is None else folder, number)
        except SettingError as error:
            raise SettingError(f"job {number} ({' '.join(words)}): {error}") from None
    if launcher in SLURM and shutil.which("sbatch") is None:
        raise SettingError(
            "there is no SLURM on this machine (no sbatch). hydra/launcher=submitit_local runs the sweep's jobs here, "
            "all at once; without hydra/launcher they run one after the other"
        )
    return jobs


def _check_job(config: DictConfig, launcher: str, words: list[str], folder: SweepFolder | None, number: int) -> None:
    """Check one job's config by itself and against the config in its folder.

    folder: the sweep's; None where the jobs will get other numbers
    """
    try:
        composed = GlobalHydra.instance().config_loader().load_sweep_config(config, words)
    except HydraException as error:
        raise SettingError(wrong_words.in_a_line(error, without_hydra(config))) from error
    job_config = checked(without_hydra(composed))
    refuse_start(job_config, composed, composed.hydra.runtime.choices, None if folder is None else folder.run(number))
    if launcher in TOGETHER and job_config.task.name != "train":
        raise SettingError(
            f"hydra/launcher={launcher} trains runs together, but task={job_config.task.name} trains nothing"
        )
    if launcher in SLURM and job_config.hardware != OmegaConf.to_object(config.hardware):
        raise SettingError(
            "`hardware` cannot be swept: all jobs of a SLURM sweep get the same resources. Submit one sweep for each "
            "hardware setting"
        )


def _prepare_environment(cpus_per_task: int) -> None:
    """Set the environment variables that a job of SLURM must inherit, and remove those that it must not."""
    # a job submitted from inside an allocation must not inherit that allocation's variables
    for name in [name for name in os.environ if name.startswith("SLURM_") and name != "SLURM_CONF"]:
        del os.environ[name]
    # since SLURM 22.05 srun does not inherit sbatch's --cpus-per-task
    os.environ["SRUN_CPUS_PER_TASK"] = str(cpus_per_task)


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
