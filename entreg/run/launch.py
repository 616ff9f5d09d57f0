"""Starting the ranks of a run: one process for each device, by torch's own launcher, also inside a SLURM task."""
from __future__ import annotations

import datetime
import logging
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from hydra.errors import CompactHydraException

from entreg.config import Config
from entreg.errors import UserError
from entreg.ranks import Ranks, under_torchrun
from entreg.run.folder import RunFolder
from entreg.run.hardware import devices_of, threads_of

log = logging.getLogger(__name__)

LOG_FORMAT = "[%(asctime)s] %(message)s"

# ranks wait for whoever builds the feature store, which may take hours; a failing rank ends the run by other means
PATIENCE = datetime.timedelta(hours=24)


class RankFailed(CompactHydraException):
    """A rank of a run failed; the message has its number and traceback, so Hydra need not print another one.

    Can be pickled for the client that waits for a job, unlike torch's own error.
    """


class StopRequest:
    """Whether this process was asked to stop (USR2: a SLURM time-out or preemption); the handler only sets a flag."""

    def __init__(self) -> None:
        self.received = False
        self._previous = signal.signal(signal.SIGUSR2, self._receive)
        # in a started rank it was held back until now, see `_start_ranks`
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})

    def _receive(self, *_: Any) -> None:
        self.received = True

    def restore(self) -> Callable[[int, FrameType | None], Any] | None:
        """Puts the handler found back and returns it, where it was a function."""
        signal.signal(signal.SIGUSR2, self._previous)
        return self._previous if callable(self._previous) else None


def new_study() -> str:
    """A name for a study that none has had: the time, to the microsecond; under torchrun the same on all ranks."""
    name = [datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")]
    if under_torchrun():
        _initialise()
        dist.broadcast_object_list(name)
    return name[0]


Work = Callable[[Ranks, Config, RunFolder, StopRequest], Any]


def launch(work: Work, config: Config, folder: RunFolder) -> Any:
    """Runs work(ranks, config, folder, stop) on every device and returns the first rank's result.

    work returns None where it stopped on request: then the handler that was there before (submitit's, which requeues the
    job) gets the signal. RankFailed where a rank failed; a UserError stays one.
    """
    kind, devices = devices_of(config.hardware)
    stop = StopRequest()
    try:
        if under_torchrun():
            result = _join(work, config, folder, stop, kind)
        elif devices == 1:
            result = _alone(work, config, folder, stop, kind)
        else:
            result = _start_ranks(work, config, folder, kind, devices)
    finally:
        requeue = stop.restore()
    if result is None and requeue is not None:
        log.info("stopped on request; handing the signal on, so that the job is requeued")
        requeue(signal.SIGUSR2, None)
    return result


def _alone(work: Work, config: Config, folder: RunFolder, stop: StopRequest, kind: str) -> Any:
    torch.set_num_threads(threads_of(config.hardware, 1))
    return work(Ranks(device=_device(kind, 0)), config, folder, stop)


def _start_ranks(work: Work, config: Config, folder: RunFolder, kind: str, devices: int) -> Any:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # threads are read from the environment by the children's libraries when they load
    os.environ.setdefault("OMP_NUM_THREADS", str(threads_of(config.hardware, devices)))
    for name in ("torch.distributed.elastic", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    launcher = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=devices, run_id=uuid.uuid4().hex, rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", max_restarts=0, monitor_interval=0.1,
    )
    # the launcher sets handlers of its own and leaves them there
    handlers = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)}
    # SLURM signals every process, and a rank that still loads its libraries has no handler and would die of USR2: ranks
    # inherit that it is held back, and let it through when they have one. Nothing is lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    ended_by = 0
    with tempfile.TemporaryDirectory(prefix="entreg-") as failures:
        try:
            return elastic_launch(launcher, _rank)(work, config, folder, kind, Path(failures))[0]
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode != -signal.SIGTERM:
                raise _plain(rank, failure, Path(failures)) from None
            ended_by = signal.SIGTERM
        except SignalException as error:
            ended_by = error.sigval
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
    _end_by(ended_by)


def _end_by(number: int) -> None:
    """The ranks were ended by a signal from outside: ends this process as the signal would have."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    # in a SLURM job the KILL that follows must find this process: an end of its own before would be taken for the job's,
    # and a job that is preempted or requeued would not start again
    while os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        signal.pause()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _rank(work: Work, config: Config, folder: RunFolder, kind: str, failures: Path) -> Any:
    """A started rank: the first one logs where the parent does, the others do not log."""
    stop = StopRequest()
    rank = int(os.environ["RANK"])
    if rank == 0:
        _log_to(folder)
    try:
        return _join(work, config, folder, stop, kind)
    except Exception as error:
        user_error = error if isinstance(error, UserError) else None
        (failures / str(rank)).write_bytes(pickle.dumps((user_error, traceback.format_exc())))
        # the launcher reports the first rank that it sees ended, and a rank that was killed makes the others fail
        time.sleep(1)
        raise


def _log_to(folder: RunFolder) -> None:
    """Sends the log to stdout and to the run's log file, as Hydra does for a process of its own."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), logging.FileHandler(folder.log)]
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, handlers=handlers, force=True)


def _join(work: Work, config: Config, folder: RunFolder, stop: StopRequest, kind: str) -> Any:
    rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    if rank > 0:
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    device = _device(kind, local_rank)
    torch.set_num_threads(threads_of(config.hardware, int(os.environ["LOCAL_WORLD_SIZE"])))
    _initialise()
    result = work(Ranks(rank, dist.get_world_size(), device), config, folder, stop)
    dist.destroy_process_group()
    return result


def _initialise() -> None:
    if not dist.is_initialized():
        # NCCL for what lies on GPUs, gloo for the rest
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)


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
    user_error, text = pickle.loads(written[0].read_bytes())
    return user_error or RankFailed(f"rank {written[0].name} failed:\n{text}")
