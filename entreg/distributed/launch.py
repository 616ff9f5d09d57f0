"""Starting the ranks of a run: one process per device, with torch's own launcher, also inside a SLURM task."""

from __future__ import annotations

import datetime
import json
import logging
import os
import signal
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist

from entreg import errors
from entreg.config import Config
from entreg.distributed.hardware import devices_of, threads_of
from entreg.distributed.ranks import Groups, Ranks, Stopped, under_torchrun
from entreg.distributed.signals import StopRequest, end_with_parent
from entreg.errors import RankFailed, UserError
from entreg.io.log_file import LineFormatter, LogFile

log = logging.getLogger(__name__)

LOG_FORMAT = "[%(asctime)s] %(message)s"
MEETING = datetime.timedelta(minutes=2)  # time-out for all ranks to find each other
STEPS = datetime.timedelta(minutes=30)  # time-out for all ranks to reach the same step
PATIENCE = datetime.timedelta(days=7)  # time-out for one rank to build, or wait for, a feature store

Folder = TypeVar("Folder", bound="HasLog")
Work = Callable[[Ranks, Config, Folder], Any]


class HasLog(Protocol):
    """The folder of a run, of which this module only needs the path of the log file."""

    log: Path


class StoppedBy:
    """What a rank returns instead of a result when the run has stopped on request and saved.

    number: the signal that a rank received
    """

    def __init__(self, number: int | None) -> None:
        self.number = number


def new_study() -> str:
    """Return a new name for a study: the time, to the microsecond. Under torchrun all ranks return the same one."""
    name = [datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")]
    if under_torchrun():
        _initialise()
        dist.broadcast_object_list(name)
    return name[0]


def launch(work: Work[Folder], config: Config, folder: Folder) -> Any:
    """Run work(ranks, config, folder) on every device that the task can use, and return the first rank's result.

    Returns None where the run stopped on request (work raised Stopped). The previous handler of USR2 then receives the
    signal; it is submitit's, which requeues the job. Raises KeyboardInterrupt after Ctrl-C and RankFailed where a rank
    failed; a rank's UserError is raised as it is.
    """
    kind, devices = devices_of(config.hardware)
    devices = min(devices, config.task.devices or devices)
    stop = StopRequest()
    try:
        if under_torchrun() and config.task.devices != 1:
            result = _join(work, config, folder, stop, kind)
        elif under_torchrun() and os.environ["RANK"] != "0":
            result = None
        elif devices == 1:
            result = _alone(work, config, folder, stop, kind)
        else:
            result = _start_ranks(work, config, folder, kind, devices)
    finally:
        requeue = stop.restore()
    if not isinstance(result, StoppedBy):
        return result
    if signal.SIGINT in (stop.number, result.number):
        raise KeyboardInterrupt
    if stop.number == signal.SIGTERM:
        _end_by(signal.SIGTERM)
    if result.number == signal.SIGTERM:
        raise RankFailed("a rank was ended from outside (SIGTERM); the run has saved, and the same command resumes it")
    if requeue is not None:
        log.info("stopped on request; passing the signal on, so that the job is requeued")
        requeue(signal.SIGUSR2, None)
    else:
        log.warning("stopped on request (USR2); the same command resumes the run")
    return None


def _alone(work: Work[Folder], config: Config, folder: Folder, stop: StopRequest, kind: str) -> Any:
    torch.set_num_threads(threads_of(config.hardware, 1))
    try:
        return work(Ranks(device=_device(kind, 0), stop=stop), config, folder)
    except Stopped:
        return StoppedBy(stop.number)


def _start_ranks(work: Work[Folder], config: Config, folder: Folder, kind: str, devices: int) -> Any:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    # the libraries of the child processes read the number of threads from the environment when they load
    os.environ.setdefault("OMP_NUM_THREADS", str(threads_of(config.hardware, devices)))
    for name in [*logging.root.manager.loggerDict, "torch.distributed.elastic", "torch.multiprocessing"]:
        if name.startswith(("torch.distributed.elastic", "torch.multiprocessing")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    # the launcher sets its own signal handlers and does not restore the previous ones
    handlers = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)}
    # SLURM and Ctrl-C signal every process, and a rank that is still loading its libraries would die without a handler.
    # So these signals are blocked here, ranks inherit that, and each unblocks them when it has a handler. None is lost.
    blocked = {signal.SIGUSR2, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    # a process of Python's own that USR2 would kill as well; starting it unblocks Ctrl-C, so it comes first
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    with tempfile.TemporaryDirectory(prefix="entreg-") as temporary:
        failures = Path(temporary) / "failures"
        failures.mkdir()
        try:
            return elastic_launch(_launcher(devices, temporary), _rank)(work, config, folder, kind, failures)[0]
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            raise _plain(rank, failure, failures) from None
        except SignalException as error:
            number = error.sigval
        finally:
            for handled, handler in handlers.items():
                signal.signal(handled, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    if number == signal.SIGINT:
        return StoppedBy(number)
    _end_by(number)
    return None


def _launcher(devices: int, temporary: str) -> Any:
    """Return the config of torch's launcher for so many ranks on this node; temporary: a folder for its own files."""
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        # all ranks run on this node, whose own name may not resolve (in containers)
        local_addr="localhost",
        logs_specs=DefaultLogsSpecs(temporary),  # without one it leaves a folder behind
    )


def _end_by(number: int) -> None:
    """End this process as the signal that has ended the run would have."""
    # in a SLURM job this process waits for the KILL that follows: if it ended earlier, SLURM would regard the job as
    # ended, and a job that was preempted or requeued would not start again
    while os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        signal.pause()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _rank(work: Work[Folder], config: Config, folder: Folder, kind: str, failures: Path) -> Any:
    """Run one rank in its own process. The first rank logs where the parent does, and the others do not log."""
    stop = StopRequest(ends_after_grace=True)
    end_with_parent()
    rank = int(os.environ["RANK"])
    if rank == 0:
        _log_to(folder.log)
    try:
        result = _join(work, config, folder, stop, kind)
        stop.ignore_from_now_on()
        return result
    except Exception as error:
        name = type(error).__name__ if isinstance(error, UserError) else None
        text = str(error) if name else traceback.format_exc()
        (failures / str(rank)).write_text(json.dumps([name, text]), encoding="utf-8")
        # the launcher reports the first rank that it sees ended, and this one may only fail because another was killed
        time.sleep(1)
        raise


def _log_to(file: Path) -> None:
    """Send the log to stdout and to the run's log file, as Hydra does in its own process."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), LogFile(str(file))]
    for handler in handlers:
        handler.setFormatter(LineFormatter(LOG_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)


def _join(work: Work[Folder], config: Config, folder: Folder, stop: StopRequest, kind: str) -> Any:
    rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    if rank > 0:
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    device = _device(kind, local_rank)
    torch.set_num_threads(threads_of(config.hardware, int(os.environ["LOCAL_WORLD_SIZE"])))
    groups = _initialise()
    ranks = Ranks(rank, dist.get_world_size(), device, stop, groups)
    try:
        result = work(ranks, config, folder)
    except Stopped:
        # the first rank returns the result for all, whichever of them received the signal
        numbers = [number for number in ranks.gather(stop.number) if number is not None]
        result = StoppedBy(numbers[0] if numbers else None)
    dist.destroy_process_group()
    return result


_groups: list[Groups] = []


def _initialise() -> Groups:
    if not _groups:
        # NCCL for tensors on GPUs, gloo for all others
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=MEETING)
        dist.barrier()
        _groups.append(Groups(dist.new_group(timeout=STEPS), dist.new_group(timeout=PATIENCE, backend="gloo")))
    return _groups[0]


def _device(kind: str, local_rank: int) -> torch.device:
    if kind == "cpu":
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _plain(rank: int, failure: Any, failures: Path) -> Exception:
    """Return the cause of a ChildFailedError: a rank's UserError, or a RankFailed with its rank and traceback."""
    # the first rank to fail is the cause, because the others only lost their connection to it
    written = sorted(failures.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    if failure.exitcode < 0 or not written:
        return RankFailed(f"rank {rank} ended with exit code {failure.exitcode}: {failure.message}")
    name, text = json.loads(written[0].read_text(encoding="utf-8"))
    if name is not None:
        kind = getattr(errors, name, UserError)
        return kind(text) if isinstance(kind, type) and issubclass(kind, UserError) else UserError(text)
    return RankFailed(f"rank {written[0].name} failed:\n{text}")
