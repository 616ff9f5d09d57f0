"""Starting the ranks of a run: one process for each device, by torch's own launcher, also inside a SLURM task."""

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
from typing import Any

import torch
import torch.distributed as dist
from hydra.errors import CompactHydraException

from entreg import errors, tensors
from entreg.config import Config
from entreg.errors import UserError
from entreg.ranks import Groups, Ranks, Stopped, under_torchrun
from entreg.run.folder import RunFolder
from entreg.run.hardware import devices_of, threads_of
from entreg.run.logfile import LogFile
from entreg.run.signals import StopRequest, end_with_parent

log = logging.getLogger(__name__)

LOG_FORMAT = "[%(asctime)s] %(message)s"
MEETING = datetime.timedelta(minutes=2)  # in which all ranks must have found each other
STEPS = datetime.timedelta(minutes=30)  # in which all ranks come to the same step
PATIENCE = datetime.timedelta(days=7)  # of ranks that wait for one which builds, or waits for, a feature store

Work = Callable[[Ranks, Config, RunFolder], Any]


class RankFailed(CompactHydraException):
    """A rank of a run failed; the message has its number and traceback, so Hydra need not print another one.

    Can be pickled for the client that waits for a job, unlike torch's own error.
    """


class StoppedBy:
    """In place of a result: the run stopped on request and has saved; number: the signal that a rank was asked by."""

    def __init__(self, number: int | None) -> None:
        self.number = number


def new_study() -> str:
    """A name for a study that none has had: the time, to the microsecond; under torchrun the same on all ranks."""
    name = [datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")]
    if under_torchrun():
        _initialise()
        dist.broadcast_object_list(name)
    return name[0]


def launch(work: Work, config: Config, folder: RunFolder) -> Any:
    """Runs work(ranks, config, folder) on every device that the task can use; the first rank's result.

    None where it stopped on request (work raises Stopped): then the handler of USR2 that was there before (submitit's,
    which requeues the job) gets the signal. KeyboardInterrupt after Ctrl-C. RankFailed where a rank failed; a UserError
    stays one.
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
        raise RankFailed("a rank was ended from outside (SIGTERM); the run has saved, the same command goes on with it")
    if requeue is not None:
        log.info("stopped on request; handing the signal on, so that the job is requeued")
        requeue(signal.SIGUSR2, None)
    else:
        log.warning("stopped on request (USR2); the same command goes on with it")
    return None


def _alone(work: Work, config: Config, folder: RunFolder, stop: StopRequest, kind: str) -> Any:
    torch.set_num_threads(threads_of(config.hardware, 1))
    tensors.trust(config.trust)
    try:
        return work(Ranks(device=_device(kind, 0), stop=stop), config, folder)
    except Stopped:
        return StoppedBy(stop.number)


def _start_ranks(work: Work, config: Config, folder: RunFolder, kind: str, devices: int) -> Any:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # threads are read from the environment by the children's libraries when they load
    os.environ.setdefault("OMP_NUM_THREADS", str(threads_of(config.hardware, devices)))
    for name in [*logging.root.manager.loggerDict, "torch.distributed.elastic", "torch.multiprocessing"]:
        if name.startswith(("torch.distributed.elastic", "torch.multiprocessing")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    launcher = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        # all ranks are on this node, whose own name need not resolve (containers)
        local_addr="localhost",
    )
    # the launcher sets handlers of its own and leaves them there
    handlers = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)}
    # SLURM and Ctrl-C signal every process, and a rank that still loads its libraries has no handler and would die:
    # ranks inherit that these are held back, and let them through when they have one. Nothing is lost.
    held = {signal.SIGUSR2, signal.SIGINT}
    resource_tracker.ensure_running()  # starting it would let them through again
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    with tempfile.TemporaryDirectory(prefix="entreg-") as failures:
        try:
            return elastic_launch(launcher, _rank)(work, config, folder, kind, Path(failures))[0]
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            raise _plain(rank, failure, Path(failures)) from None
        except SignalException as error:
            number = error.sigval
        finally:
            for each, handler in handlers.items():
                signal.signal(each, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, held)
    if number == signal.SIGINT:
        return StoppedBy(number)
    _end_by(number)
    return None


def _end_by(number: int) -> None:
    """The run was ended by a signal from outside: ends this process as the signal would have."""
    # in a SLURM job the KILL that follows must find this process: an end of its own before would be taken for the
    # job's, and a job that is preempted or requeued would not start again
    while os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        signal.pause()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _rank(work: Work, config: Config, folder: RunFolder, kind: str, failures: Path) -> Any:
    """A started rank: the first one logs where the parent does, the others do not log."""
    stop = StopRequest(ends_after_grace=True)
    end_with_parent()
    rank = int(os.environ["RANK"])
    if rank == 0:
        _log_to(folder)
    try:
        return _join(work, config, folder, stop, kind)
    except Exception as error:
        name = type(error).__name__ if isinstance(error, UserError) else None
        text = str(error) if name else traceback.format_exc()
        (failures / str(rank)).write_text(json.dumps([name, text]), encoding="utf-8")
        # the launcher reports the first rank that it sees ended, and a rank that was killed makes the others fail
        time.sleep(1)
        raise


def _log_to(folder: RunFolder) -> None:
    """Sends the log to stdout and to the run's log file, as Hydra does for a process of its own."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), LogFile(str(folder.log))]
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, handlers=handlers, force=True)


def _join(work: Work, config: Config, folder: RunFolder, stop: StopRequest, kind: str) -> Any:
    rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    if rank > 0:
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    device = _device(kind, local_rank)
    torch.set_num_threads(threads_of(config.hardware, int(os.environ["LOCAL_WORLD_SIZE"])))
    tensors.trust(config.trust)
    groups = _initialise()
    ranks = Ranks(rank, dist.get_world_size(), device, stop, groups)
    try:
        result = work(ranks, config, folder)
    except Stopped:
        # the first rank answers for all, whichever of them was asked
        numbers = [number for number in ranks.gather(stop.number) if number is not None]
        result = StoppedBy(numbers[0] if numbers else None)
    dist.destroy_process_group()
    return result


_groups: list[Groups] = []


def _initialise() -> Groups:
    if not _groups:
        # NCCL for what lies on GPUs, gloo for the rest
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
    """The cause of torch's ChildFailedError, with rank and traceback; a UserError as it is."""
    # the first to fail is the cause: the others lost their connection to it
    written = sorted(failures.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    if failure.exitcode < 0 or not written:
        return RankFailed(f"rank {rank} ended with exit code {failure.exitcode}: {failure.message}")
    name, text = json.loads(written[0].read_text(encoding="utf-8"))
    if name is not None:
        kind = getattr(errors, name, UserError)
        return kind(text) if isinstance(kind, type) and issubclass(kind, UserError) else UserError(text)
    return RankFailed(f"rank {written[0].name} failed:\n{text}")
