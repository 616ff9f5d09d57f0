"""From the command line to jobs: what is refused before any starts, what one job does, and what a sweep shows at its end."""
from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from entreg import files
from entreg.config import Config, resolved
from entreg.engine import checkpoint, run_folder
from entreg.engine.ranks import RankFailed, new_study
from entreg.errors import SettingError, UserError

log = logging.getLogger(__name__)

# what may change between a run's start and its resumption without changing its result
FREE_KEYS = (
    "study", "runs", "paths.", "data.root", "ood.root", "evaluation.", "hardware.name", "hardware.gpus",
    "hardware.cpus", "hardware.memory_gb", "hardware.timeout_min", "hardware.partition", "hardware.account",
    "hardware.constraint",
)

SUBMITTED_CODE = ".submitit/code_version.txt"


@dataclass
class Sweep:
    """The jobs of the sweep that this process started: where it lies and what was typed for each."""

    folder: Path
    jobs: list[list[str]]


_started: list[Sweep] = []


def job(cfg: DictConfig) -> Any:
    """One job: checks its config, runs its task in its folder, leaves failure.txt there where it fails."""
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    config = resolved(cfg)
    refuse_other_config(folder, config)
    submitted = hydra_config.runtime.choices["hydra/launcher"] != "basic"
    if submitted:
        _warn_of_other_code(Path(hydra_config.sweep.dir))
    failure = folder / "failure.txt"
    failure.unlink(missing_ok=True)
    try:
        return hydra.utils.get_method(config.task._target_)(config, folder)
    except Exception as error:
        known = isinstance(error, (UserError, RankFailed))
        text = str(error) if known else f"rank {os.environ.get('RANK', 0)} failed:\n{traceback.format_exc()}"
        log.error("%s failed: %s", folder, text)
        if not failure.exists():  # under torchrun the first rank that fails is the cause
            files.write_text(failure, text)
        if submitted:
            # Hydra hands the exception to the waiting client and would let SLURM say COMPLETED
            atexit.register(os._exit, 1)
        kind = type(error) if known else RankFailed
        raise kind(f"{text}\n(run {folder}, log {folder / 'train.log'})") from None


def _warn_of_other_code(sweep_folder: Path) -> None:
    """A job reads code and conf/ when it starts, perhaps long after it was submitted."""
    then, now = (sweep_folder / SUBMITTED_CODE).read_text().strip(), run_folder.code_version()
    if then != now:
        log.warning("the code changed after this job was submitted: then %s, now %s", then, now)


def refuse_other_config(folder: Path, config: Config) -> None:
    """SettingError where the folder holds a run of another config; the message lists the keys that differ."""
    if not (folder / ".hydra/config.yaml").is_file():
        return
    differing = run_folder.differing_keys(run_folder.read_config(folder), run_folder.plain(config))
    differing = [key for key in differing if not key.startswith(FREE_KEYS)]
    if differing:
        raise SettingError(
            f"{folder} holds a run of another config; these settings differ: {', '.join(differing)}.\n"
            "  go on with that run    its settings are in .hydra/config.yaml\n"
            "  start a new one        another study=NAME (or hydra.run.dir=FOLDER)"
        )


class Study(Callback):
    """Looks at all jobs before the first is started. Hydra swallows a callback's exceptions, so it exits with 2."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        launcher = config.hydra.runtime.choices["hydra/launcher"]
        if launcher != "basic":
            _refuse(
                f"hydra/launcher={launcher} submits sweeps only, and this is a single run: it would run here. Type\n"
                f"  python train.py -m {' '.join(sys.argv[1:])}"
            )

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        launcher = config.hydra.runtime.choices["hydra/launcher"]
        folder = Path(config.hydra.sweep.dir).absolute()
        jobs = _jobs(config)
        try:
            self._check(config, launcher, folder, jobs)
        except UserError as error:
            _refuse(str(error))
        except Exception:
            _refuse(traceback.format_exc())
        if launcher != "basic":
            (folder / SUBMITTED_CODE).parent.mkdir(parents=True, exist_ok=True)
            files.write_text(folder / SUBMITTED_CODE, run_folder.code_version() + "\n")
        if launcher == "submitit_slurm":
            # a job submitted from inside an allocation must not inherit that allocation's variables
            for name in [n for n in os.environ if n.startswith("SLURM_") and n != "SLURM_CONF"]:
                del os.environ[name]
            # since SLURM 22.05 srun does not inherit sbatch's --cpus-per-task
            os.environ["SRUN_CPUS_PER_TASK"] = str(config.hydra.launcher.cpus_per_task)
        _started.append(Sweep(folder, jobs))

    def _check(self, config: DictConfig, launcher: str, folder: Path, jobs: list[list[str]]) -> None:
        loader = GlobalHydra.instance().config_loader()
        base = OmegaConf.to_object(config.hardware)
        for number, overrides in enumerate(jobs):
            composed = loader.load_sweep_config(config, overrides)
            try:
                job_config = _without_hydra(composed)
                refuse_other_config(folder / str(number), job_config)
            except SettingError as error:
                raise SettingError(f"job {number} ({' '.join(overrides)}): {error}") from None
            if launcher == "submitit_slurm" and job_config.hardware != base:
                raise SettingError(
                    f"job {number} ({' '.join(overrides)}): what is asked of SLURM is read once for all jobs of a sweep, "
                    "so hardware cannot be swept; submit one sweep for each"
                )
        if launcher == "submitit_slurm":
            if shutil.which("sbatch") is None:
                raise SettingError(
                    "there is no SLURM on this machine (no sbatch). hydra/launcher=submitit_local runs the sweep's jobs "
                    "here, without hydra/launcher they run one after the other"
                )


@contextmanager
def summary() -> Iterator[None]:
    """Around main(): prints the sweep's table at the end, after a failure too."""
    # Hydra warns that conf/hydra/launcher/submitit_slurm.yaml is merged over the plugin's schema of that name: it is meant
    warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/")
    OmegaConf.register_new_resolver("new_study", new_study, use_cache=True, replace=True)
    try:
        yield
    finally:
        for sweep in _started if os.environ.get("RANK", "0") == "0" else []:
            print(table(sweep), flush=True)


def table(sweep: Sweep) -> str:
    """Run, overrides that are not every run's, state, validation IG and folder; and the command that evaluates them."""
    head = ("run", "overrides", "state", "validation IG (bit/fix)", "folder")
    rows = [head]
    for number, overrides in enumerate(sweep.jobs):
        folder = sweep.folder / str(number)
        state, ig = state_of(folder)
        own = [word for word in overrides if not all(word in job for job in sweep.jobs)]
        rows.append((str(number), " ".join(own), state, "" if ig is None else f"{ig:.4f}", _shown(folder)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    if any(state_of(sweep.folder / str(number))[1] is not None for number in range(len(sweep.jobs))):
        lines.append(f"evaluate with: python train.py task=evaluate 'runs={_shown(sweep.folder)}'")
    return "\n".join(["", *lines])


def state_of(folder: Path) -> tuple[str, float | None]:
    """finished, failed, unfinished or not started; and, of a finished training, the last validation IG."""
    final = folder / "checkpoints/final.pt"
    if final.is_file():
        return "finished", checkpoint.load(final)["history"][-1]["validation_ig_bits_per_fixation"]
    if (folder / "results.json").is_file():
        return "finished", None
    if (folder / "failure.txt").is_file():
        return "failed: " + (folder / "failure.txt").read_text().strip().splitlines()[-1][:80], None
    return ("unfinished" if folder.is_dir() else "not started"), None


def planned(folder: Path) -> list[Path]:
    """The folders of all trainings of the sweep that lies in `folder`, started or not; none where it is no sweep."""
    path = folder / "multirun.yaml"
    if not path.is_file():
        return []
    jobs = _jobs(OmegaConf.load(path))
    return [folder / str(number) for number, job in enumerate(jobs) if not any(word.startswith("task=") for word in job)]


def _jobs(config: DictConfig) -> list[list[str]]:
    """The overrides of each job, as Hydra's sweeper will cut them."""
    params = config.hydra.sweeper.get("params") or {}
    typed = list(config.hydra.overrides.task)
    overrides = OverridesParser.create().parse_overrides([f"{k}={v}" for k, v in params.items()] + typed)
    return [list(job) for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]


def _without_hydra(composed: DictConfig) -> Config:
    with read_write(composed), open_dict(composed):
        del composed["hydra"]
    return resolved(composed)


def _refuse(message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(2)


def _shown(folder: Path) -> str:
    return os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
