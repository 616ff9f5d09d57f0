"""From the command line to jobs: what is refused before any starts, what a job does, what a sweep shows at its end."""

from __future__ import annotations

import atexit
import errno
import logging
import os
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from entreg import files, tasks, tensors
from entreg.claims import Claim, Taken
from entreg.config import Config, register, without_hydra
from entreg.data import sources
from entreg.errors import DataError, SettingError, UserError, brief
from entreg.losses import losses
from entreg.run import migrations
from entreg.run.folder import RunFolder, SweepFolder, is_basic, jobs_of, samples_of
from entreg.run.launch import RankFailed, new_study
from entreg.run.provenance import code_version
from entreg.settings import resolved

log = logging.getLogger(__name__)

Together = Callable[[list[tuple[Config, RunFolder]], list[bool]], list[Any]]

# launchers that train the runs of a sweep together, here and as one job of a cluster for each group
TOGETHER, TOGETHER_SLURM = "together", "together_slurm"
SLURM = ("submitit_slurm", TOGETHER_SLURM)
HERE = ("basic", TOGETHER)

# errors of calls to the system that say what a person has to mend, not that the code is wrong
OF_THE_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}


@dataclass
class Sweep:
    """The sweep that this process started: where it lies and what was typed for each job.

    jobs: None where a sweeper chooses them one after the other
    """

    folder: SweepFolder
    jobs: list[list[str]] | None


_started: list[Sweep] = []


def job(cfg: DictConfig) -> Any:
    """One job: checks its config, runs its task in its folder, and leaves behind how it ended."""
    hydra_config = HydraConfig.get()
    folder = RunFolder(Path(hydra_config.runtime.output_dir))
    config = checked(cfg)
    tensors.trust(config.trust)
    folder.refuse_other_config(config)
    submitted = is_submitted()
    if submitted:
        _warn_of_other_code(SweepFolder(Path(hydra_config.sweep.dir)))
    try:
        with _alone_in(folder), _failure_left_in(folder):
            return tasks.perform(config, folder)
    except KeyboardInterrupt:
        print(f"\ninterrupted: {_goes_on(folder, hydra_config.mode)}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if submitted:
            # Hydra hands the exception to the waiting client and would let SLURM say COMPLETED
            atexit.register(os._exit, 1)
        raise _kind(error)(f"{_said(error)}\n(run {folder}, log {folder.log})") from None


def is_submitted() -> bool:
    """Whether this process is a job that submitit has started, on a cluster or here."""
    try:
        submitit.JobEnvironment()
    except RuntimeError:
        return False
    return True


def jobs_together(cfgs: Sequence[DictConfig], train: Together) -> list[Any]:
    """Jobs of a sweep that are done together, each in its folder; of each what it returns, or the error it ended with.

    cfgs: with Hydra's own part, whose output_dir is the job's folder
    train: given configs and folders, and which of them are refused, does the others; of each its result or its error
    """
    submitted = is_submitted()
    runs: list[tuple[Config, RunFolder]] = []
    refusals: list[UserError | None] = []
    if submitted:
        _warn_of_other_code(SweepFolder(Path(cfgs[0].hydra.sweep.dir)))
    with ExitStack() as claims:
        for cfg in cfgs:
            HydraConfig.instance().set_config(cfg)
            folder = RunFolder(Path(cfg.hydra.runtime.output_dir))
            runs.append((checked(without_hydra(cfg)), folder))
            try:
                folder.refuse_other_config(runs[-1][0])
                claims.enter_context(_alone_in(folder))
            except UserError as error:
                log.error("%s is left out: %s", folder, error)
                refusals.append(error)
            else:
                refusals.append(None)
        tensors.trust(runs[0][0].trust)
        found: list[Any] = [None] * len(runs)
        working = [folder for (_, folder), refusal in zip(runs, refusals, strict=True) if refusal is None]
        try:
            if working:
                found = train(runs, [refusal is not None for refusal in refusals])
        except KeyboardInterrupt:
            print(f"\ninterrupted: {_goes_on(working[0], RunMode.MULTIRUN)}", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            for folder in working:
                with suppress(Exception), _failure_left_in(folder):
                    raise error
            found = [_kind(error)(_said(error))] * len(runs)
    results = [result if refusal is None else refusal for result, refusal in zip(found, refusals, strict=True)]
    if submitted and any(isinstance(result, Exception) for result in results):
        atexit.register(os._exit, 1)
    return [
        type(result)(f"{result}\n(run {folder}, log {folder.log})") if isinstance(result, Exception) else result
        for result, (_, folder) in zip(results, runs, strict=True)
    ]


@contextmanager
def _alone_in(folder: RunFolder) -> Iterator[None]:
    """Nobody else writes into the run's folder meanwhile. What was typed is left in it."""
    if os.environ.get("RANK", "0") != "0":  # under torchrun the first rank sees to it
        yield
        return
    try:
        claim = Claim(folder.owner)
    except Taken as taken:
        raise SettingError(f"{taken}; this one changes nothing there. A new run: another study=NAME") from None
    with claim:
        files.remove_temporary(folder.path)
        folder.write_typed()
        folder.failure.unlink(missing_ok=True)
        yield


@contextmanager
def _failure_left_in(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.error("%s failed: %s", folder, _said(error))
        if not folder.failure.exists():  # under torchrun the first rank that fails is the cause
            try:
                files.write_text(folder.failure, _said(error))
            except DataError as also:  # a full disk may be what it failed of
                log.error("%s", also)
        raise


def _kind(error: Exception) -> type[Exception]:
    if isinstance(error, (UserError, RankFailed)):
        return type(error)
    return DataError if isinstance(error, OSError) and error.errno in OF_THE_SYSTEM else RankFailed


def _said(error: Exception) -> str:
    """What a person reads of an error: its message where that person can mend it, else where it comes from."""
    if isinstance(error, (UserError, RankFailed)):
        return str(error)
    if isinstance(error, OSError) and error.errno in OF_THE_SYSTEM:
        return f"{error.filename or 'a file'}: {error.strerror}"
    return f"rank {os.environ.get('RANK', 0)} failed:\n{''.join(traceback.format_exception(error))}"


def _goes_on(folder: RunFolder, mode: RunMode | None) -> str:
    if mode is RunMode.MULTIRUN:
        return f"the same command with study={folder.path.parent.name} goes on with the sweep {folder.path.parent}"
    return f"the same command with study={folder.path.name} goes on with {folder}"


def checked(cfg: DictConfig) -> Config:
    """The typed config, its task and data sources looked up. SettingError of a wrong setting."""
    try:
        config: Config = resolved(cfg)
    except OmegaConfBaseException as error:  # an interpolation that leads nowhere, a value that is missing
        raise SettingError(f"{error.full_key or 'the config'}: {brief(error.msg or error)}; give a value") from error
    for key, settings in {"data": config.data, **{f"ood.{name}": one for name, one in config.ood.items()}}.items():
        sources.check(settings, key)
    tasks.check(config)
    return config


def _warn_of_other_code(sweep: SweepFolder) -> None:
    """A job reads code and conf/ when it starts, perhaps long after it was submitted."""
    then, now = sweep.submitted_code.read_text().strip(), code_version()
    if then != now:
        log.warning("the code changed after this job was submitted: then %s, now %s", then, now)


class Preflight(Callback):
    """Looks at all jobs before the first is started. Hydra swallows a callback's exceptions, so it exits with 2."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """A single run: refused where it names a launcher, which would be ignored."""
        launcher = config.hydra.runtime.choices["hydra/launcher"]
        if launcher != "basic":
            _refuse(
                f"hydra/launcher={launcher} is for sweeps only, and this is a single run: it would run here. Type\n"
                f"  python train.py -m {' '.join(sys.argv[1:])}"
            )
        _refuse_unwritable(Path(config.hydra.run.dir), "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """A sweep: every job's config is composed and checked."""
        launcher = config.hydra.runtime.choices["hydra/launcher"]
        folder = SweepFolder(Path(config.hydra.sweep.dir).absolute())
        try:
            sweeper = config.hydra.sweeper
            params, typed = sweeper.get("params") or {}, list(config.hydra.overrides.task)
            instead = migrations.answer([f"{key}={value}" for key, value in params.items()], _conf())
            if instead is not None:  # an experiment may hold a sweep, too
                raise SettingError(f"hydra.sweeper.params: {instead}")
            jobs = jobs_of(params, typed) if is_basic(sweeper) else None
            self._check(config, launcher, folder, samples_of(params, typed) if jobs is None else jobs, jobs is not None)
        except (UserError, OmegaConfBaseException) as error:
            _refuse(str(error))
        except Exception:
            _refuse(traceback.format_exc())
        _refuse_unwritable(folder.path, "hydra.sweep.dir")
        if launcher not in HERE:
            folder.submitted_code.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(folder.submitted_code, code_version() + "\n")
        if launcher in SLURM:
            # a job submitted from inside an allocation must not inherit that allocation's variables
            for name in [n for n in os.environ if n.startswith("SLURM_") and n != "SLURM_CONF"]:
                del os.environ[name]
            # since SLURM 22.05 srun does not inherit sbatch's --cpus-per-task
            os.environ["SRUN_CPUS_PER_TASK"] = str(config.hydra.launcher.cpus_per_task)
        if launcher == "basic" and jobs is not None and len(jobs) > 1 and config.task.name == "train":
            print("one run after the other; hydra/launcher=together trains those that read the same batches at once")
        _started.append(Sweep(folder, jobs))

    def _check(
        self, config: DictConfig, launcher: str, folder: SweepFolder, jobs: list[list[str]], numbered: bool
    ) -> None:
        """numbered: whether these are the jobs as they will be numbered; else ones like them"""
        loader = GlobalHydra.instance().config_loader()
        base = OmegaConf.to_object(config.hardware)
        for number, overrides in enumerate(jobs):
            composed = loader.load_sweep_config(config, overrides)
            try:
                job_config = checked(without_hydra(composed))
                if numbered:
                    folder.run(number).refuse_other_config(job_config)
            except SettingError as error:
                raise SettingError(f"job {number} ({' '.join(overrides)}): {error}") from None
            if launcher in (TOGETHER, TOGETHER_SLURM) and job_config.task.name != "train":
                raise SettingError(f"hydra/launcher={launcher} trains runs together, and job {number} trains none")
            if launcher in SLURM and job_config.hardware != base:
                raise SettingError(
                    f"job {number} ({' '.join(overrides)}): what is asked of SLURM is read once for all jobs of a "
                    "sweep, so hardware cannot be swept; submit one sweep for each"
                )
        if launcher in SLURM and shutil.which("sbatch") is None:
            raise SettingError(
                "there is no SLURM on this machine (no sbatch). hydra/launcher=submitit_local runs the sweep's jobs "
                "here, without hydra/launcher they run one after the other"
            )


@contextmanager
def summary() -> Iterator[None]:
    """Around main(): makes the settings known to Hydra; prints the sweep's table at the end, after a failure too."""
    # Hydra warns that conf/hydra/launcher/submitit_slurm.yaml is merged over the plugin's schema of that name, as meant
    warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/")
    try:
        register(sources.sources(), losses(), option_folders())
    except SettingError as error:
        _refuse(str(error))
    register_resolvers()
    # Hydra's own message would not know what was meant
    instead = migrations.answer(sys.argv[1:], _conf())
    if instead is not None:
        _refuse(instead)
    try:
        yield
    finally:
        for sweep in _started if os.environ.get("RANK", "0") == "0" else []:
            print(table(sweep), flush=True)


def table(sweep: Sweep) -> str:
    """Run, overrides that are not every run's, state, validation IG and folder; and the command that evaluates them."""
    head = ("run", "overrides", "state", "validation IG (bit/fix)", "folder")
    rows = [head]
    jobs = sweep.folder.begun() if sweep.jobs is None else dict(enumerate(sweep.jobs))
    for number, overrides in jobs.items():
        folder = sweep.folder.run(number)
        try:
            ig = folder.last_ig_bits()
            shown_ig = "" if ig is None else f"{ig:.4f}"
        except UserError:
            shown_ig = "cannot be read"
        own = [word for word in overrides if not all(word in job for job in jobs.values())]
        rows.append((str(number), " ".join(own), folder.state_said, shown_ig, _shown(folder.path)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if any(sweep.folder.run(number).is_trained for number in jobs):
        lines.append(f"evaluate with: python train.py task=evaluate 'runs={_shown(sweep.folder.path)}'")
    return "\n".join(["", *lines])


def register_resolvers() -> None:
    """What conf/ computes: `new_study`, and `asked` for what is asked of SLURM."""
    OmegaConf.register_new_resolver("new_study", new_study, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("asked", asked, replace=True)


def asked(what: str, *, _root_: DictConfig) -> int | None:
    """What is asked of SLURM: hardware's gpus, cpus or memory_gb, or the share of them that the task can use."""
    whole, gpus, used = _root_.hardware[what], _root_.hardware.gpus, _root_.task.devices
    if whole is None or not gpus or not used or used >= gpus:
        return whole
    return max(1, whole * used // gpus)


def option_folders() -> list[Path]:
    """Where the command's options lie: in its conf/, and in the folder that --config-dir names."""
    more = get_args_parser().parse_known_args()[0].config_dir
    return [_conf(), *([Path(more)] if more else [])]


def _conf() -> Path:
    return Path(sys.argv[0]).absolute().parent / "conf"


def _refuse_unwritable(folder: Path, key: str) -> None:
    """Hydra makes the folder and writes into it before a job is asked, and would answer with a traceback."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1))
    except OSError as error:
        _refuse(f"{folder}: cannot be written: {error.strerror}. Elsewhere: {key}=FOLDER")


def _refuse(message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(2)


def _shown(folder: Path) -> str:
    return os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
