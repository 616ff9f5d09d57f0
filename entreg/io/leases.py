"""Leases: files with an owner and a heartbeat that keep two processes from writing to the same folder.

Locks do not work on every file system, and two processes that want to write to one run folder, or to build one feature
store, may run on different nodes. A lease file is therefore created exclusively, which every network file system can
do, and its owner touches it regularly. Another process takes it over where the owner has ended on this host, where the
owner was an earlier start of the same cluster job on another node, or where the heartbeat of an owner elsewhere has
stopped. An owner that is known to live on this host keeps its lease, however old the file looks.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import platform
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from entreg.errors import DataError
from entreg.io import files

log = logging.getLogger(__name__)

BEAT_S, STALE_S = 30.0, 300.0
SETTLE_S = 0.5  # after which all processes that take a lease over at the same time see the same owner
TOLD_EVERY_S = 60.0


@dataclass(frozen=True)
class Owner:
    """A process: where it runs, when it was started, and which start of which cluster job it belongs to."""

    host: str
    space: str | None  # the space of process numbers: one boot of one system or container
    process: int
    born: str | None
    job: str | None
    restarts: int  # how often the job was restarted so far
    since: str
    token: str

    def __str__(self) -> str:
        job = f" (job {self.job})" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {self.since}"

    @classmethod
    def this_process(cls) -> Owner:
        """Return this process as an owner. Every lease has its own token."""
        now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        return cls(platform.node(), _space(), os.getpid(), _born(os.getpid()), *_job(), now, uuid.uuid4().hex)

    @property
    def is_here(self) -> bool:
        """Whether the process belongs to this system, so that its number tells whether it lives."""
        return (self.host, self.space) == (platform.node(), _space())

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to have ended. For one on another host only the heartbeat can tell."""
        if not self.is_here:
            job, restarts = _job()
            return job is not None and self.job == job and self.restarts < restarts
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # the process belongs to another user
            pass
        # another process may have received its number
        return self.born != _born(self.process)


class LeaseHeld(DataError):
    """Another process holds the lease."""

    def __init__(self, path: Path, owner: Owner | None) -> None:
        super().__init__(f"{path.parent} is being worked on by {owner or 'another process'}")
        self.owner = owner

    def __reduce__(self) -> tuple[type[DataError], tuple[str]]:
        return DataError, (str(self),)


class Lease:
    """A lease on a folder, held until it is released or the process ends. Use `with Lease(path):` or `release`.

    Making one acquires the lease. It raises LeaseHeld, which names the owner, where another process holds it, and a
    DataError where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._owner = path, Owner.this_process()
        self._ended = threading.Event()
        if not files.create(path, json.dumps(asdict(self._owner), indent=2) + "\n"):
            self._take_over()
        files.remove_temporary_of(path, stale=True)
        self._beat = threading.Thread(target=self._renew, daemon=True, name=f"heartbeat of {path}")
        self._beat.start()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Release the lease. Nothing happens where another process has taken it over.

        A file that cannot be removed stays, and another process takes it over once this one has ended.
        """
        self._ended.set()
        owner = owner_at(self._path)
        if owner is not None and owner.token == self._owner.token:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s: cannot be removed: %s", self._path, error.strerror)

    def _take_over(self) -> None:
        owner = owner_at(self._path)
        if owner is not None and owner.is_here:
            is_free = owner.has_ended
        else:
            is_free = owner is not None and owner.has_ended or self._is_stale()
        if not is_free:
            raise LeaseHeld(self._path, owner)
        if owner is not None:
            log.info("%s: taking over from %s, which has ended", self._path.parent, owner)
        files.write_json(self._path, asdict(self._owner))
        time.sleep(SETTLE_S)
        owner = owner_at(self._path)
        if owner is None or owner.token != self._owner.token:
            raise LeaseHeld(self._path, owner)

    def _is_stale(self) -> bool:
        """Return whether the heartbeat has stopped, by the file system's clock."""
        probe = self._path.with_name(f".{self._path.name}.{self._owner.token[:8]}.tmp")
        try:
            probe.touch()
            return probe.stat().st_mtime - self._path.stat().st_mtime > STALE_S
        except FileNotFoundError:  # it was released in the meantime
            return True
        finally:
            probe.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_S):
            owner = owner_at(self._path)
            if owner is not None and owner.token != self._owner.token:
                # this process was suspended for minutes; whatever it wrote now would mix with the other's output
                log.error("%s was taken over by %s, so this process ends", self._path.parent, owner)
                os._exit(1)
            try:
                os.utime(self._path)
            except OSError as error:
                log.warning("%s: its heartbeat cannot be written: %s", self._path, error)


def make_once(made: Path, make: Callable[[], None], pause: Callable[[], None] = lambda: time.sleep(1)) -> None:
    """Make the file or folder `made` unless it exists. One of several processes makes it, and the others wait.

    pause: is called between two attempts; it may raise to give up
    """
    told = time.monotonic()
    while not made.exists():
        try:
            with Lease(made.with_name(f"{made.name}.owner")):
                if not made.exists():
                    files.remove_temporary_of(made)
                    make()
        except LeaseHeld as held:
            if time.monotonic() - told >= TOLD_EVERY_S:
                told = time.monotonic()
                log.info("%s is being made by %s: waiting for it", made, held.owner or "another process")
            pause()
    remove_leftovers(made)


def remove_leftovers(made: Path, beside: Iterable[Path] = ()) -> None:
    """Remove what a process that was killed when it had made `made` has left: its lease, and files and folders beside.

    Nothing happens where the process that holds the lease may still live.
    """
    lease = made.with_name(f"{made.name}.owner")
    owner = owner_at(lease)
    if not made.exists() or (lease.exists() if owner is None else not owner.has_ended):
        return
    with suppress(OSError):  # somebody else's folder, which may be read alone
        lease.unlink(missing_ok=True)
        files.remove_temporary_of(lease, stale=True)  # others may just be trying
        for path in beside:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def owner_at(path: Path) -> Owner | None:
    """Return the owner that a lease file names, or None where there is no file or it cannot be read."""
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _job() -> tuple[str | None, int]:
    """Return the cluster job that this process belongs to, and how often it was requeued."""
    return os.environ.get("SLURM_JOB_ID"), int(os.environ.get("SLURM_RESTART_COUNT") or 0)


def _space() -> str | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _born(process: int) -> str | None:
    """Return when a process was started, in the system's own unit, or None where the system does not say."""
    try:
        # the command's name may contain blanks and brackets
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
